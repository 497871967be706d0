/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_EARLY_H
#define RUNTIME_EARLY_H

/* Root's image, attached to a loop device and mounted without a place by a thread, while the caller
 * makes namespaces and the rest of the root; then the thread fetches what the start will read. Most
 * of both is waiting for threads of the kernel, one request after another. The exec ends the
 * thread. */

#include <stdbool.h>

#include "runtime/disk.h"

struct early;

/* Whether P can be performed with a thread at work: by root, and nothing forks on the way. */
bool early_possible(const struct runtime_plan *p);

/* Start it. NULL where there can be no thread, or the kernel has no mounts without a place. P
 * outlives it. */
struct early *early_start(const struct runtime_plan *p, const struct disk *d);

/* Wait for the mount. The caller owns the descriptor. */
MUST_CHECK int early_take(struct early *x, struct err *e);

/* Waits for the thread. NULL is fine. */
void early_free(struct early *x);

#endif
