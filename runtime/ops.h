/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_OPS_H
#define RUNTIME_OPS_H

/* The plan's operations: what is mounted into the new root. First the host's trees are cloned,
 * while nothing is mounted yet; then all mount points are found or made, a directory that has to be
 * covered while nothing is mounted below it; then the trees are attached. */

#include <sys/stat.h>

#include "jail/jail.h"
#include "runtime/plan/plan.h"

struct ops {
    struct newroot *r;
    const struct runtime_plan *p;
    struct ops_one *one; /* of the plan's operation with the same index */
    struct stat root;
    bool host_root; /* the program is uid 0 on the host, see userns_is_host_root */
    bool exact; /* so far each mount went onto its target: what is known of others still holds */
};

/* R is between newroot_init and newroot_open. A tree that cannot be had is told by ops_perform. */
void ops_open(struct ops *x);
MUST_CHECK int ops_perform(struct ops *x, struct err *e);
void ops_close(struct ops *x);

#endif
