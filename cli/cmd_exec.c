/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/action.h"

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    return action_run(cli, args, RUNTIME_EXEC, e);
}

const struct command cmd_exec = {
    .synopsis = "[options] IMAGE COMMAND [ARGUMENTS]",
    .help =
        "Runs a command of the image. See 'hpcc help run' for what the command sees and for the "
        "exit status.",
    .examples = "  hpcc exec demo.img python3 -c 'print(1)'\n"
                "  hpcc exec -B /scratch:/data:ro demo.img ls /data\n",
    .opts = action_opts,
    .min_args = 2,
    .max_args = CLI_ANY,
    .stop_at_first = true,
    .passes_status = true,
    .run = run,
};
