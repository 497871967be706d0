/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_ROOTFS_H
#define RUNTIME_ROOTFS_H

/* The new root's bottom: the image by loop device, FUSE or bind, and over it an overlay where there
 * are layers, or where writes go elsewhere. In this order: */

#include "jail/jail.h"
#include "runtime/plan/plan.h"
#include "runtime/server.h"

/* What is at work for the root before there are namespaces. */
struct rootfs {
    struct server server;                  /* of the image, by FUSE */
    struct server layers[PLAN_MAX_LAYERS]; /* of the layers with the same index, likewise */
    int dir_fd;                            /* a sandbox's tree, see mounter_clone; -1 */
};
#define ROOTFS_INIT                                                                                \
    {                                                                                              \
        .server = SERVER_INIT, .layers = { [0 ... PLAN_MAX_LAYERS - 1] = SERVER_INIT },            \
        .dir_fd = -1                                                                               \
    }

/* Start the servers, in the namespaces of the caller. server.share may be set already. */
MUST_CHECK int rootfs_start(const struct runtime_plan *p, struct rootfs *f, struct err *e);

/* In the new namespaces, between newroot_init and newroot_open: take hold of a sandbox. */
MUST_CHECK int rootfs_clone(const struct newroot *r, const struct runtime_plan *p, struct rootfs *f,
                            struct err *e);

/* Mount all of it. */
MUST_CHECK int rootfs_mount(struct newroot *r, const struct runtime_plan *p, struct rootfs *f,
                            struct err *e);

void rootfs_close(struct rootfs *f);

#endif
