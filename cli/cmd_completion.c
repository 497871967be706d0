/* SPDX-License-Identifier: BSD-3-Clause */

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/out.h"

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    (void)cli;
    if (!str_eq(args->rest[0], "bash")) {
        err_set(e, ERR_USAGE, "no completion for '%s'", args->rest[0]);
        return err_hint(e, "there is 'bash'");
    }
    auto_free char *text = usage_bash(command_table);
    out_say("%s", text);
    return 0;
}

const struct command cmd_completion = {
    .synopsis = "bash",
    .help = "Prints a script that completes hpcc's commands and options on the command line.",
    .examples = "  source <(hpcc completion bash)\n",
    .verbs = "bash",
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
