/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_INIT_H
#define RUNTIME_INIT_H

/* With --pid somebody has to wait on both sides of the pid namespace:
 *   caller   passes signals on, ends as the program ended
 *   init     pid 1 inside: passes signals on, reaps orphans (--no-init: is the program)
 *   program */

#include <signal.h>
#include <sys/types.h>

#include "base/cleanup.h"

/* Block the signals that both pass on. OLD: the mask before, for the program. */
void init_block_signals(sigset_t *watched, sigset_t *old);

/* Be pid 1 until PROGRAM ends, and end as it did. */
NORETURN void init_loop(pid_t program, const sigset_t *watched);

/* In the caller: wait for INIT's end and return its exit status (128+n for a signal). -1: it had to
 * be ended, since SERVER (0: none), which shows the root's files, had failed. */
int init_wait(pid_t init, const sigset_t *watched, pid_t server);

#endif
