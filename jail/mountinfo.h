/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_MOUNTINFO_H
#define JAIL_MOUNTINFO_H

/* The kernel's own account of our mounts: /proc/self/mountinfo, see proc(5). */

#include <stdint.h>

#include "base/err.h"

struct mountinfo {
    uint64_t id, parent;
    const char *mount_point; /* octal escapes undone */
    const char *type;
    const char *source;        /* what was mounted: a device, or any text */
    const char *super_options; /* "rw,size=…" */
    unsigned long flags;       /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_*ATIME */
};

/* Parse one line in place; 0, or -1 when it is none. */
MUST_CHECK int mountinfo_line(char *line, struct mountinfo *out);

/* Call EACH for every mount of this namespace, as seen from our root, until it returns non-zero.
 * PROC_FD: an open /proc, for when the root has none; -1: by path. Returns 0, or -1 with errno when
 * it cannot be read. */
MUST_CHECK int mountinfo_each(int proc_fd, int (*each)(void *ctx, const struct mountinfo *mi),
                              void *ctx);

/* The same for the mount that FD is the root of, and those below it; their mount points are told
 * relative to FD, whose own is "/". */
MUST_CHECK int mountinfo_below(int fd, int (*each)(void *ctx, const struct mountinfo *mi),
                               void *ctx);

#endif
