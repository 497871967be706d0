/* SPDX-License-Identifier: BSD-3-Clause */
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/out.h"

/* Whether this executable is the small one, which leaves the rest to hpcc-full. */
static bool knows_all(void)
{
    for (const struct command_entry *c = command_table; c->name; c++)
        if (c->place == COMMAND_ELSEWHERE)
            return false;
    return true;
}

static const struct command *find_topic(const char *name)
{
    for (const struct command_entry *c = command_table; c->name; c++)
        if (c->command && c->command->topic && str_eq(c->command->topic, name))
            return c->command;
    return NULL;
}

static int explain(struct cli *cli, const char *word, struct err *e)
{
    const struct command_entry *entry = command_find(word);
    const struct command *topic = entry ? NULL : find_topic(word);
    if (topic) {
        topic->print_topic();
        return 0;
    }
    if (!entry && access(word, F_OK) == 0) {
        const char *argv[] = { "hpcc", "inspect", "--helpfile", "--", word, NULL };
        return cli_exec_full(cli, argv, e);
    }
    if (entry ? entry->place == COMMAND_ELSEWHERE : !knows_all()) {
        const char *argv[] = { "hpcc", "help", "--", word, NULL };
        return cli_exec_full(cli, argv, e);
    }
    if (!entry || entry->place == COMMAND_ABSENT)
        return command_unknown(word, e);
    auto_free char *text = usage_command(entry);
    out_say("%s", text);
    return 0;
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    if (args->n_rest > 0)
        return explain(cli, args->rest[0], e);
    auto_free char *text = usage_overview(command_table);
    out_say("%s", text);
    return 0;
}

const struct command cmd_help = {
    .synopsis = "[COMMAND | agents | IMAGE]",
    .help =
        "Explains COMMAND and its options, or what 'Bootstrap:' in a definition may say (agents), "
        "or prints the help text that IMAGE carries; without any, lists all commands.",
    .max_args = 1,
    .run = run,
};
