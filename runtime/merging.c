/* SPDX-License-Identifier: BSD-3-Clause */
#include <signal.h>

#include "runtime/keeper.h"
#include "runtime/plan/plan.h"

/* A run whose changes are merged at its end:
 *   caller   holds the image's lock, waits for the program, then has the keeper merge
 *   keeper   see keeper.h
 *   init     pid 1 of the container; dies with the caller, and all that the program started with
 *            it, so that nobody writes when the merge begins
 * What the image's lock is for: two such runs would both start from the old image, and the later
 * merge would undo the earlier. */

int runtime_perform_merging(struct runtime_plan *p, int *status, struct err *e)
{
    auto_image_merge struct image_merge *merge = NULL;
    cleanup_with(keeper_stop) struct keeper keeper = KEEPER_INIT;
    const struct plan_image *target = plan_merge_target(p);
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigaction(SIGCHLD, &dfl, NULL); /* ignored, it would make the keeper vanish unseen */
    if (image_merge_begin(target->path, target->fd, &merge, e) < 0 ||
        keeper_start(p, merge, &keeper, e) < 0 || runtime_perform(p, status, e) < 0)
        return -1;
    if (keeper_merge(p, &keeper, e) < 0)
        return -1;
    image_merge_regroup(merge);
    return 0;
}
