/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_ENTER_H
#define RUNTIME_ENTER_H

#include "runtime/plan.h"
#include "runtime/server.h"

/* Make the namespaces of the plan for this process (and, with --pid, for its next child). */
MUST_CHECK int enter_namespaces(const struct runtime_plan *p, struct err *e);

/* In the namespaces: build the root, enter it, give up what is not needed, become the program.
 * Returns only on failure. */
MUST_CHECK int enter_and_exec(const struct runtime_plan *p, struct server *server, struct err *e);

#endif
