/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_KEEPER_H
#define RUNTIME_KEEPER_H

/* The process that keeps the stage in which a run's changes wait, merges them when it is told to,
 * and removes the stage, also when the caller was killed. It has its own session, so that no signal
 * from the terminal reaches it, and an ordinary user's is root of a user namespace: it can read
 * and remove all that the run has written, whatever its modes. */

#include "base/stage.h"
#include "runtime/plan/plan.h"

struct keeper {
    struct stage stage; /* the keeper removes it, or the merge's failure keeps it */
    pid_t pid;          /* 0: none */
    int order_fd;       /* its end is our death */
    int result_fd;      /* one wire message after the merge */
};
#define KEEPER_INIT                                                                                \
    {                                                                                              \
        .stage = STAGE_INIT, .order_fd = -1, .result_fd = -1                                       \
    }

/* Make the stage, with 'upper' and 'work' for an overlay, and start it: P's stage_fd is set, lent
 * by K. MERGE is begun. */
MUST_CHECK int keeper_start(struct runtime_plan *p, struct image_merge *merge, struct keeper *k,
                            struct err *e);

/* Merge what the stage holds. When that fails, or the keeper is dead, the stage is kept under a
 * name that E tells. */
MUST_CHECK int keeper_merge(const struct runtime_plan *p, struct keeper *k, struct err *e);

/* Let go of the stage, unless it was merged or kept; wait until the keeper has ended. */
void keeper_stop(struct keeper *k);

#endif
