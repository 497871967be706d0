/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"

enum {
    WIDTH = 80,
    COLUMN = 28, /* where an option's explanation starts */
};

const struct opt cli_global_opts[] = {
    { .name = "help", .letter = 'h', .help = "show help and exit" },
    { .name = "version", .help = "print the version and exit" },
    { .name = "quiet", .letter = 'q', .help = "no notices and no progress", .env = "QUIET" },
    { .name = "silent", .letter = 's', .help = "only errors", .env = "SILENT" },
    { .name = "verbose", .letter = 'v', .help = "say more", .env = "VERBOSE" },
    { .name = "debug", .letter = 'd', .help = "say everything", .env = "DEBUG" },
    { .name = "nocolor", .help = "no colour", .env = "NOCOLOR" },
    { 0 },
};

/* Add TEXT wrapped to WIDTH, every line after the first indented by INDENT; the first starts at
 * column AT. */
static void wrap(struct str *out, const char *text, size_t at, size_t indent)
{
    size_t column = at;
    bool first = true;
    while (*text) {
        size_t len = strcspn(text, " \n");
        if (!first && column + 1 + len > WIDTH) {
            str_addf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            str_add_c(out, ' ');
            column++;
        }
        str_add_n(out, text, len);
        column += len;
        text += len;
        first = false;
        if (text[0] == '\n' && text[1] == '\n') {
            str_addf(out, "\n\n%*s", (int)indent, "");
            column = indent;
            first = true;
        }
        text += strspn(text, " \n");
    }
    str_add_c(out, '\n');
}

static void add_options(struct str *out, const struct opt *table)
{
    for (const struct opt *o = table; o && o->name; o++) {
        if (o->alias_of)
            continue;
        auto_str struct str left = { 0 };
        if (o->letter)
            str_addf(&left, "  -%c, --%s", o->letter, o->name);
        else
            str_addf(&left, "      --%s", o->name);
        if (o->arg)
            str_addf(&left, " %s", o->arg);
        str_add(out, str_text(&left));
        if (left.len + 2 > COLUMN)
            str_addf(out, "\n%*s", COLUMN, "");
        else
            str_addf(out, "%*s", (int)(COLUMN - left.len), "");
        wrap(out, o->help, COLUMN, COLUMN);
    }
}

char *usage_overview(const struct command_entry *table)
{
    struct str out = { 0 };
    str_add(&out, "Usage: hpcc [options] COMMAND [arguments]\n\n"
                  "Builds container images from definition files and runs programs in them.\n\n"
                  "Commands:\n");
    for (const struct command_entry *c = table; c->name; c++)
        if (c->place != COMMAND_ABSENT)
            str_addf(&out, "  %-12s %s\n", c->name, c->summary);
    str_add(&out, "\nOptions:\n");
    add_options(&out, cli_global_opts);
    str_add(&out, "\n'hpcc help COMMAND' explains a command; 'man hpcc' has the rest.\n");
    return str_steal(&out);
}

char *usage_command(const struct command_entry *entry)
{
    const struct command *c = entry->command;
    struct str out = { 0 };
    str_addf(&out, "Usage: hpcc %s %s\n\n", entry->name, c->synopsis);
    wrap(&out, c->help, 0, 0);
    if (c->opts && c->opts->name) {
        str_add(&out, "\nOptions:\n");
        add_options(&out, c->opts);
    }
    if (c->more)
        c->more(&out);
    if (c->examples)
        str_addf(&out, "\nExamples:\n%s", c->examples);
    str_addf(&out,
             "\n'hpcc help' lists the options that every command takes; 'man hpcc-%s' has "
             "the rest.\n",
             entry->name);
    return str_steal(&out);
}

static void add_words(struct str *out, const struct opt *table)
{
    for (const struct opt *o = table; o && o->name; o++)
        if (!o->alias_of)
            str_addf(out, " --%s", o->name);
}

char *usage_bash(const struct command_entry *table)
{
    struct str out = { 0 };
    str_add(&out, "# bash completion for hpcc; load with: source <(hpcc completion bash)\n"
                  "_hpcc()\n{\n"
                  "    local cur=${COMP_WORDS[COMP_CWORD]} cmd= i words= verbs=\n"
                  "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                  "        case ${COMP_WORDS[i]} in\n"
                  "        -*) ;;\n"
                  "        *) cmd=${COMP_WORDS[i]}; break ;;\n"
                  "        esac\n"
                  "    done\n"
                  "    case $cmd in\n"
                  "    '') verbs='");
    const char *sep = "";
    for (const struct command_entry *c = table; c->name; c++)
        if (c->place != COMMAND_ABSENT) {
            str_addf(&out, "%s%s", sep, c->name);
            sep = " ";
        }
    str_add(&out, "' ;;\n");
    for (const struct command_entry *c = table; c->name; c++) {
        if (!c->command)
            continue;
        str_addf(&out, "    %s) words='", c->name);
        add_words(&out, c->command->opts);
        str_add(&out, "'");
        if (c->command->verbs)
            str_addf(&out, "; ((i + 1 == COMP_CWORD)) && verbs='%s'", c->command->verbs);
        str_add(&out, " ;;\n");
    }
    str_add(&out, "    esac\n    if [[ $cur == -* ]]; then\n"
                  "        mapfile -t COMPREPLY < <(compgen -W \"$words");
    add_words(&out, cli_global_opts);
    str_add(&out, "\" -- \"$cur\")\n"
                  "    elif [[ -n $verbs ]]; then\n"
                  "        mapfile -t COMPREPLY < <(compgen -W \"$verbs\" -- \"$cur\")\n"
                  "    else\n"
                  "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                  "    fi\n}\n"
                  "complete -o filenames -F _hpcc hpcc\n");
    return str_steal(&out);
}
