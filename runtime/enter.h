/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_ENTER_H
#define RUNTIME_ENTER_H

#include "runtime/plan/plan.h"
#include "runtime/rootfs.h"

/* Make the namespaces of the plan for this process, except that of --pid. IN_USERNS: the user
 * namespace is there already and only has to be mapped. */
MUST_CHECK int enter_namespaces(const struct runtime_plan *p, bool in_userns, int proc_fd,
                                struct err *e);

/* In the namespaces of another run of the same plan: become the program.
 * Returns only on failure. */
MUST_CHECK int enter_shared(const struct runtime_plan *p, int proc_fd, struct err *e);

/* In the namespaces: build the root, enter it, give up what is not needed, become the program.
 * Returns only on failure. */
MUST_CHECK int enter_and_exec(const struct runtime_plan *p, int proc_fd, struct rootfs *f,
                              struct err *e);

#endif
