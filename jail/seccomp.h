/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_SECCOMP_H
#define JAIL_SECCOMP_H

/* System calls that a container never needs and an attacker likes. A deny list: everything that
 * MPI, debuggers, profilers, GPUs and io_uring want stays allowed. Covers the foreign ABIs too
 * (i386 on x86_64 by its own numbers; x32 and others answer ENOSYS). */

#include "base/err.h"

enum seccomp_policy {
    SECCOMP_BASE = 1u << 0,    /* TIOCSTI, TIOCLINUX, modules, kexec, reboot, swap, clock … */
    SECCOMP_CONTAIN = 1u << 1, /* keyrings, new user namespaces, the mount family */
};

/* Install for this thread and all it becomes. Needs no_new_privs or CAP_SYS_ADMIN in its namespace.
 */
MUST_CHECK int seccomp_install(unsigned policy, struct err *e);

#endif
