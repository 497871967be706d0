/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_AUDIT_H
#define RUNTIME_AUDIT_H

#include "runtime/plan/plan.h"

/* Inside the new root, ask the kernel whether what was built is what was promised: every mount that
 * is left nosuid, all outside /dev nodev, the image read-only unless it was asked for, nothing of
 * the host's root. PROC_FD is an open /proc. ERR_BUG otherwise. */
MUST_CHECK int audit_root(const struct runtime_plan *p, int proc_fd, struct err *e);

/* The same from outside: of the mounts of the process whose directory in /proc PROCESS_FD is. */
MUST_CHECK int audit_process(const struct runtime_plan *p, int process_fd, struct err *e);

#endif
