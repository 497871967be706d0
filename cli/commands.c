/* SPDX-License-Identifier: BSD-3-Clause */
/* Compiled once for each executable: HPCC_FULL says that this is hpcc-full. */
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"

#define COMMAND(name, tier, summary) extern const struct command cmd_##name;
#include "cli/commands.list"
#undef COMMAND

#define HERE(name) COMMAND_HERE, &cmd_##name
#define AWAY(name) COMMAND_ELSEWHERE, NULL
#define GONE(name) COMMAND_ABSENT, NULL

#define PLACE_HOT(name) HERE(name)
#if defined(HPCC_FULL)
#define PLACE_FULL(name) HERE(name)
#else
#define PLACE_FULL(name) AWAY(name)
#endif
#if defined(HPCC_BUILD)
#define PLACE_BUILD(name) PLACE_FULL(name)
#else
#define PLACE_BUILD(name) GONE(name)
#endif

#define COMMAND(name, tier, summary) { #name, summary, PLACE_##tier(name) },
const struct command_entry command_table[] = {
#include "cli/commands.list"
    { NULL, NULL, COMMAND_ABSENT, NULL },
};

const struct command_entry *command_find(const char *name)
{
    for (const struct command_entry *c = command_table; c->name; c++)
        if (str_eq(c->name, name))
            return c;
    return NULL;
}

int command_unknown(const char *name, struct err *e)
{
    const char *names[ARRAY_LEN(command_table)];
    size_t n = 0;
    for (const struct command_entry *c = command_table; c->name; c++)
        names[n++] = c->name;
    names[n] = NULL;
    const char *near = str_nearest(name, names);
    err_set(e, ERR_USAGE, "unknown command '%s'", name);
    if (near)
        return err_hint(e, "did you mean 'hpcc %s'?", near);
    return err_hint(e, "'hpcc help' lists the commands");
}
