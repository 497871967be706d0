/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_ROOTFS_H
#define RUNTIME_ROOTFS_H

/* The image as the new root's bottom: by loop device, FUSE or bind, with an overlay when asked. */

#include "runtime/layers.h"
#include "jail/jail.h"
#include "runtime/plan/plan.h"
#include "runtime/server.h"

/* What is at work for the root before there are namespaces. */
struct rootfs {
    struct server server; /* answers for PLAN_ROOT_FUSE */
    int dir_fd;           /* PLAN_ROOT_DIR: its tree, see mounter_clone; -1 */
    struct layers layers;
};
#define ROOTFS_INIT                                                                                \
    {                                                                                              \
        .server = { .sock_fd = -1, .share.listen_fd = -1 }, .dir_fd = -1, .layers = LAYERS_INIT    \
    }

/* Start it, in the namespaces of the caller. server.share may be set already. */
MUST_CHECK int rootfs_start(const struct runtime_plan *p, struct rootfs *f, struct err *e);
void rootfs_close(struct rootfs *f);

/* Between newroot_init and newroot_open. */
MUST_CHECK int rootfs_clone(const struct newroot *r, const struct runtime_plan *p, struct rootfs *f,
                            struct err *e);

MUST_CHECK int rootfs_mount(struct newroot *r, const struct runtime_plan *p, struct rootfs *f,
                            struct err *e);

#endif
