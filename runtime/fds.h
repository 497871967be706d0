/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_FDS_H
#define RUNTIME_FDS_H

/* Which inherited descriptors the program gets: pipes, sockets and regular files pass (launchers
 * hand over PMI sockets so); what leads out of the container or to its makers does not. */

#include <stdbool.h>

#include "base/err.h"
#include "base/strv.h"

/* Mark the others close-on-exec; ours are so already. CONTAIN: all but 0, 1, 2 and KEEP (decimal
 * numbers). A directory or device that is no terminal on 0, 1 or 2 is replaced by /dev/null. */
MUST_CHECK int fds_restrict(bool contain, const struct strv *keep, struct err *e);

#endif
