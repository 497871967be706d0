/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_DISK_H
#define RUNTIME_DISK_H

/* An image file mounted: as the new root's bottom, or aside, as a layer. */

#include "jail/jail.h"
#include "runtime/plan/plan.h"
#include "runtime/server.h"

struct disk {
    const char *path;
    int fd;
    const struct image_info *image;
    bool writable;      /* by loop only; locks the image for itself */
    const char *source; /* FUSE: what the mount is called */
    const char *dst;    /* a directory of the session; NULL: the new root */
};

MUST_CHECK int disk_mount_loop(struct newroot *r, const struct disk *d, struct err *e);

/* SERVER, started for this image, answers. */
MUST_CHECK int disk_mount_fuse(struct newroot *r, const struct disk *d,
                               const struct runtime_plan *p, struct server *server, struct err *e);

#endif
