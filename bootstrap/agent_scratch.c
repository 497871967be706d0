/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/bootstrap.h"

/* An empty root has nothing to depend on and nothing to do: %files and %setup fill it. */
static int fill(const struct agent_input *in, int rootfs_fd, struct agent_result *out,
                struct err *e)
{
    (void)in;
    (void)rootfs_fd;
    (void)e;
    out->facts = json_object_new_object();
    return 0;
}

const struct agent agent_scratch = {
    .name = "scratch",
    .help = "an empty root, for %files and %setup to fill",
    .fill = fill,
};
