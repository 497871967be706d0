/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    if (args->n_rest == 0) {
        auto_free char *text = usage_overview(command_table);
        fputs(text, stdout);
        return 0;
    }
    const struct command_entry *entry = command_find(args->rest[0]);
    if (!entry && access(args->rest[0], F_OK) == 0) {
        const char *argv[] = { "hpcc", "inspect", "--helpfile", "--", args->rest[0], NULL };
        return cli_exec_full(cli, argv, e);
    }
    if (!entry || entry->place == COMMAND_ABSENT)
        return command_unknown(args->rest[0], e);
    if (entry->place == COMMAND_ELSEWHERE) {
        const char *argv[] = { "hpcc", "help", entry->name, NULL };
        return cli_exec_full(cli, argv, e);
    }
    auto_free char *text = usage_command(entry);
    fputs(text, stdout);
    return 0;
}

const struct command cmd_help = {
    .synopsis = "[COMMAND | IMAGE]",
    .help = "Explains COMMAND and its options, or prints the help text that IMAGE carries; without "
            "either, lists all commands.",
    .max_args = 1,
    .run = run,
};
