/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_ACCOUNTS_H
#define RUNTIME_ACCOUNTS_H

/* /etc/passwd and /etc/group of the container with the caller in them. */

#include "jail/jail.h"
#include "runtime/plan/plan.h"

/* TEXT (a passwd or group file) has a line for NAME, or for ID in its third field. */
bool accounts_has(const char *text, const char *name, unsigned id);

/* The first line of TEXT whose third field is ID, or NULL. Caller frees. */
MUST_CHECK char *accounts_line(const char *text, unsigned id);

enum { ACCOUNTS_MAX = 16 << 20 }; /* bytes of such a file that are read */

/* Bind completed copies over the image's files where the caller's lines are missing; an image
 * without these files is left so. */
MUST_CHECK int accounts_add(struct newroot *r, const struct runtime_plan *p,
                            const struct plan_op *op, struct err *e);

#endif
