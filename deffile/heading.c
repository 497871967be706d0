/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>

#include "base/mem.h"
#include "deffile/reader.h"

const struct deffile_section_rule *rule_find(const struct reader *r, struct slice name)
{
    for (const struct deffile_section_rule *rule = r->schema->sections; rule->name; rule++)
        if (strlen(rule->name) == name.n && strncasecmp(rule->name, name.p, name.n) == 0)
            return rule;
    return NULL;
}

static bool app_name_ok(const char *s)
{
    if (!isalnum((unsigned char)s[0]) || (unsigned char)s[0] > 0x7f)
        return false;
    return s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-")] == 0;
}

static void check_app(struct reader *r, struct deffile_section *s, struct place at)
{
    auto_strv struct strv words = { 0 };
    strv_split_spaces(&words, s->args);
    auto_free char *hint = mem_printf("write '%%%s NAME'", s->name);
    if (words.n == 0) {
        say(r, DIAG_ERROR("app-name-missing", at), hint, "'%%%s' needs the name of an application",
            s->name);
    } else if (words.n > 1) {
        say(r, DIAG_ERROR("app-name-extra", at), hint, "'%%%s' takes one name", s->name);
    } else if (!app_name_ok(words.v[0])) {
        auto_free char *shown = text_quote(words.v[0]);
        say(r, DIAG_ERROR("app-name-bad", at),
            "use letters, digits and . _ + -, a letter or digit first",
            "'%s' cannot name an application", shown);
    }
    s->app = words.n ? mem_strdup(words.v[0]) : NULL;
    s->args[0] = 0;
}

static void check_stage(struct reader *r, struct deffile_section *s, struct place at)
{
    auto_strv struct strv words = { 0 };
    strv_split_spaces(&words, s->args);
    if (words.n == 0)
        return;
    if (words.n != 2 || !str_eq(words.v[0], "from")) {
        say(r, DIAG_ERROR("files-args", at), "write '%files' or '%files from STAGE'",
            "'%%%s' does not take these words", s->name);
        return;
    }
    s->from = mem_strdup(words.v[1]);
    if (name_find(r->stage_names, s->from, NULL))
        return;
    auto_free char *shown = text_quote(s->from);
    say(r, DIAG_ERROR("unknown-stage", at), "name a stage above by a line 'Stage: NAME'",
        "no earlier stage is named '%s'", shown);
}

static void check_args(struct reader *r, struct deffile_section *s, struct place at)
{
    switch (s->rule->args) {
    case DEFFILE_ARGS_APP:
        check_app(r, s, at);
        return;
    case DEFFILE_ARGS_STAGE:
        check_stage(r, s, at);
        return;
    case DEFFILE_ARGS_NONE:
        if (*s->args)
            say(r, DIAG_WARNING("unused-args", at), NULL, "the words after '%%%s' are ignored",
                s->name);
        return;
    case DEFFILE_ARGS_SHELL:
        break;
    }
    if (!*s->args)
        return;
    const char **last = &r->last_args[s->rule - r->schema->sections];
    if (*last && !str_eq(*last, s->args))
        say(r, DIAG_WARNING("conflicting-args", at), "the last ones are taken for all of it",
            "'%%%s' stood above with other words behind it", s->name);
    *last = s->args;
}

static void check_name(struct reader *r, const struct deffile_section *s, struct place at,
                       size_t gap)
{
    if (!*s->name) {
        say(r, DIAG_ERROR("empty-section-name", at), "indent the line if it belongs to a script",
            "'%%' in the first column without the name of a section");
    } else if (!s->rule) {
        auto_free char *shown = text_quote(s->name);
        const char *near = reader_correction(r, s->name, r->section_names);
        auto_free char *hint =
            near ? mem_printf("did you mean '%%%s'?", near)
                 : mem_strdup("a '%' in the first column starts a section: indent the line if it "
                              "belongs to a script");
        say(r, DIAG_ERROR("unknown-section", at), hint, "unknown section '%%%s'", shown);
    } else if (gap) {
        struct place behind = { at.line, at.column + 1 };
        say(r, DIAG_WARNING("space-after-percent", behind), "remove the blank",
            "'%% %s' is read as '%%%s'", s->name, s->name);
    }
}

/* LINE starts with its '%'; INDENT blanks stood before it. */
void reader_heading(struct reader *r, struct slice line, unsigned n, size_t indent)
{
    struct place at = { n, (unsigned)indent + 1 };
    struct slice rest = slice_from(line, 1);
    size_t gap = 0, len = 0;
    while (gap < rest.n && (rest.p[gap] == ' ' || rest.p[gap] == '\t'))
        gap++;
    rest = slice_from(rest, gap);
    while (len < rest.n && rest.p[len] != ' ' && rest.p[len] != '\t')
        len++;
    struct slice name = { rest.p, len };

    struct deffile_stage *stage = reader_stage(r);
    stage->sections = array_grow(stage->sections, stage->n_sections, sizeof *stage->sections);
    struct deffile_section *s = &stage->sections[stage->n_sections++];
    s->rule = rule_find(r, name);
    s->name = slice_dup(name);
    str_lower(s->name);
    s->args = slice_dup(slice_cut_comment(slice_trim(slice_from(rest, len))));
    s->line = n;
    r->in_section = true;

    if (indent) {
        auto_free char *hint =
            mem_printf("remove the %zu blank%s before the '%%'", indent, indent == 1 ? "" : "s");
        say(r, DIAG_ERROR("indented-section", at), hint,
            "'%%%s' is indented, so it would not start a section", s->name);
    }
    check_name(r, s, at, gap);
    if (s->rule)
        check_args(r, s, at);
}
