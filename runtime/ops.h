/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_OPS_H
#define RUNTIME_OPS_H

/* The plan's operations: what is mounted into the new root. */

#include "runtime/newroot.h"
#include "runtime/plan.h"

/* Make the mount points that the image lacks, then mount. */
MUST_CHECK int ops_perform(struct newroot *r, const struct runtime_plan *p, struct err *e);

#endif
