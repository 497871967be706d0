/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/action.h"

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    return action_run(cli, args, RUNTIME_TEST, e);
}

const struct command cmd_test = {
    .synopsis = "[options] IMAGE [ARGUMENTS]",
    .help = "Runs the image's test script (%test of its definition).",
    .examples = "  hpcc test demo.img\n",
    .opts = action_opts,
    .min_args = 1,
    .max_args = CLI_ANY,
    .stop_at_first = true,
    .passes_status = true,
    .run = run,
};
