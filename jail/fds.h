/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_FDS_H
#define JAIL_FDS_H

/* Which inherited descriptors the program gets: pipes, sockets and regular files pass (launchers
 * hand over PMI sockets so); what leads out of the container or to its makers does not. */

#include <stdbool.h>

#include "base/err.h"
#include "base/strv.h"

/* Mark the others close-on-exec; ours are so already. CONTAIN: all but 0, 1, 2 and KEEP (decimal
 * numbers). A directory or device that is no terminal on 0, 1 or 2 is replaced by /dev/null. */
MUST_CHECK int fds_restrict(bool contain, const struct strv *keep, struct err *e);

/* FD (-1: none) is done with; it is closed with others, neighbours in one go, when they have become
 * many or fds_close_spent asks for it. For descriptors that are close-on-exec, by one thread. */
void fds_spend(int fd);
void fds_close_spent(void);
#define auto_spent cleanup_with(fds_cleanup)
void fds_cleanup(const int *fd);

#endif
