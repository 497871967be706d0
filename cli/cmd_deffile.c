/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mem.h"
#include "base/str.h"
#include "build/build.h"
#include "cli/cli.h"
#include "cli/out.h"
#include "deffile/deffile.h"

static const struct opt opts[] = {
    { .name = "json", .help = "print one JSON document (schema hpcc.deffile.v1)" },
    { 0 },
};

static void print_findings(const struct cli *cli, const struct deffile *d)
{
    for (size_t i = 0; i < d->n_diags; i++) {
        const struct deffile_diag *g = &d->diags[i];
        if (g->severity == DEFFILE_WARNING && cli->silent)
            continue;
        auto_free char *text = deffile_diag_text(d, g);
        out_finding(cli->out, "%s", text);
        if (g->hint && *g->hint)
            out_finding(cli->out, "  hint: %s", g->hint);
    }
}

static void print_value(const char *prefix, const char *value)
{
    auto_free char *text = str_printable_line(value);
    out_say("%s%s", prefix, text);
}

static void print_section(const struct deffile_section *s)
{
    size_t n_lines = 0;
    for (size_t i = 0; i < s->body.len; i++)
        n_lines += s->body.data[i] == '\n';
    out_say("  line %-5u", s->line);
    print_value(" %", s->name);
    if (s->app)
        print_value(" ", s->app);
    if (*s->args)
        print_value(" ", s->args);
    out_say("  (%zu line%s)\n", n_lines, n_lines == 1 ? "" : "s");
    bool labels = s->rule && s->rule->body == DEFFILE_BODY_LABELS;
    for (size_t i = 0; i < s->n_entries; i++) {
        const struct deffile_entry *entry = &s->entries[i];
        print_value("               ", entry->first);
        print_value(labels ? " = " : " -> ", entry->second ? entry->second : entry->first);
        out_say("\n");
    }
}

static void print_stage(const struct deffile_stage *s)
{
    out_say("stage from line %u", s->line);
    if (s->name)
        print_value(": ", s->name);
    out_say("\n");
    for (size_t i = 0; i < s->n_headers; i++) {
        out_say("  line %-5u", s->headers[i].line);
        print_value(" ", s->headers[i].key);
        print_value(": ", s->headers[i].value);
        out_say("\n");
    }
    for (size_t i = 0; i < s->n_sections; i++)
        print_section(&s->sections[i]);
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    bool check = str_eq(args->rest[0], "check");
    const char *path = args->rest[1];
    auto_deffile struct deffile *d = NULL;
    if (!check && !str_eq(args->rest[0], "dump")) {
        err_set(e, ERR_USAGE, "hpcc deffile: there is no '%s'", args->rest[0]);
        return err_hint(e, "say 'hpcc deffile dump FILE' or 'hpcc deffile check FILE'");
    }
    int rc = check ? build_check(path, &d, e) : deffile_read(path, &deffile_schema_all, &d, e);
    if (rc < 0)
        return -1;
    print_findings(cli, d);
    if (args_has(args, "json")) {
        auto_json struct json_object *dump = deffile_dump(d);
        auto_free char *text = json_text(dump, 1);
        out_say("%s\n", text);
    } else if (check) {
        if (d->ok)
            out_say("ok\n");
    } else {
        for (size_t i = 0; i < d->n_stages; i++)
            print_stage(&d->stages[i]);
    }
    return d->ok ? 0 : ERR_INPUT;
}

const struct command cmd_deffile = {
    .synopsis = "dump|check [--json] FILE",
    .help =
        "Reads a definition file and tells every mistake in it with its line and its cure.\n"
        "\n"
        "'dump' shows what was understood: keywords, sections, labels and files. 'check' also asks "
        "whether it could be built: the agent is known and has the keywords it needs, and every "
        "section is one that 'hpcc bootstrap' performs. FILE '-' is standard input.\n"
        "\n"
        "Findings go to stderr as FILE:LINE:COLUMN: error|warning[code]: message. The exit status "
        "is 0 when there is no error, else 3.",
    .examples = "  hpcc deffile check lab.def\n"
                "  hpcc deffile dump --json lab.def | jq '.stages[].header'\n",
    .verbs = "dump check",
    .opts = opts,
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
