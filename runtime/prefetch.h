/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_PREFETCH_H
#define RUNTIME_PREFETCH_H

/* What nearly every start needs from an image, asked for in one go instead of piece by piece.
 * Nothing depends on it, and an image without it loses nothing. */

#include "runtime/plan/plan.h"

/* The names in the root, most of which are looked up soon. */
void prefetch_names(int root_fd);

/* The dynamic linker and the C library: they come in while the old root is let go of. For our own
 * server, which reads them while we go on. */
void prefetch_libc(int root_fd);

/* The same and the program that P starts, by a thread: the kernel's driver reads while somebody
 * waits. The thread ends with the exec at the latest; nothing may fork from here on. */
void prefetch_aside(int root_fd, const struct runtime_plan *p);

#endif
