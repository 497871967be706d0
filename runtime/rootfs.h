/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_ROOTFS_H
#define RUNTIME_ROOTFS_H

/* The image as the new root's bottom: by loop device, FUSE or bind, with an overlay when asked. */

#include "runtime/newroot.h"
#include "runtime/plan.h"
#include "runtime/server.h"

/* SERVER answers for PLAN_ROOT_FUSE, else it is unused. */
MUST_CHECK int rootfs_mount(struct newroot *r, const struct runtime_plan *p, struct server *server,
                            struct err *e);

#endif
