/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_MEETING_H
#define RUNTIME_MEETING_H

/* Where runs of one user meet: sockets in a directory that only this user can enter. Nothing here
 * waits. A socket whose listener was killed stays behind, refuses whoever connects, and goes away
 * when the next one is made. */

#include <sys/types.h>

#include "base/err.h"

/* Open UID's directory: "hpcc" in RUNTIME_DIR (XDG_RUNTIME_DIR; NULL: none) or in /run/user/UID
 * where that is his own and closed to others, else a hidden one of the same kind in a directory for
 * temporary files. It is made when it is missing, and judged by its descriptor. -1: there is
 * none. */
MUST_CHECK int meeting_open(const char *runtime_dir, uid_t uid);

enum meeting {
    MEETING_NONE,   /* it does not work here */
    MEETING_NOBODY, /* nobody listens under that name */
    MEETING_BUSY,   /* somebody does or is about to: try again */
    MEETING_READY,  /* connected, or listening */
};

/* Connect *FD (non-blocking) to who listens at NAME. */
MUST_CHECK enum meeting meeting_ask(int dir_fd, const char *name, int *fd);

/* Listen at NAME on *FD, where nobody listens. Sweeps out what killed runs have left. */
MUST_CHECK enum meeting meeting_listen(int dir_fd, const char *name, int *fd);

#endif
