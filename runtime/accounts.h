/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_ACCOUNTS_H
#define RUNTIME_ACCOUNTS_H

/* /etc/passwd and /etc/group of the container with the caller in them. */

#include "jail/jail.h"
#include "runtime/plan/plan.h"

/* Bind completed copies over the image's files where the caller's lines are missing; an image
 * without these files is left so. */
MUST_CHECK int accounts_add(struct newroot *r, const struct runtime_plan *p,
                            const struct plan_op *op, struct err *e);

#endif
