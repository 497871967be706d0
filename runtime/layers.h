/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_LAYERS_H
#define RUNTIME_LAYERS_H

/* The overlay over an image: --overlay, --writable-tmpfs, and the stage of a merge. */

#include "jail/jail.h"
#include "runtime/plan/plan.h"
#include "runtime/server.h"

struct layers {
    struct server servers[PLAN_MAX_LAYERS]; /* of the layer with the same index */
};
#define LAYERS_INIT                                                                                \
    {                                                                                              \
        .servers = {                                                                               \
            [0 ... PLAN_MAX_LAYERS - 1] = { .sock_fd = -1, .share.listen_fd = -1 },                \
        }                                                                                          \
    }

/* Start the servers of P's layers, in the namespaces of the caller. */
MUST_CHECK int layers_start(const struct runtime_plan *p, struct layers *l, struct err *e);
void layers_close(struct layers *l);

/* Put the overlay over the new root. */
MUST_CHECK int layers_mount(struct newroot *r, const struct runtime_plan *p, struct server *servers,
                            struct err *e);

#endif
