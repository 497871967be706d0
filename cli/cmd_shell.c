/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/action.h"

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    return action_run(cli, args, RUNTIME_SHELL, e);
}

const struct command cmd_shell = {
    .synopsis = "[options] IMAGE [ARGUMENTS]",
    .help = "Starts a shell in the image: --shell, else bash, else sh. The prompt names the image. "
            "Arguments go to the shell.",
    .examples = "  hpcc shell demo.img\n",
    .opts = action_opts,
    .min_args = 1,
    .max_args = CLI_ANY,
    .stop_at_first = true,
    .passes_status = true,
    .run = run,
};
