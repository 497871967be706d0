/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"
#include "base/mem.h"
#include "build/parts.h"

#define SECTION(name) extern const struct section_kind section_##name;
#include "build/sections.list"
#undef SECTION

const struct section_kind *const section_kinds[] = {
#define SECTION(name) &section_##name,
#include "build/sections.list"
#undef SECTION
    NULL
};

void sections_check(struct deffile *def, bool here)
{
    for (size_t i = 0; i < def->n_stages; i++) {
        for (const struct section_kind *const *k = section_kinds; *k; k++) {
            if ((*k)->check)
                (*k)->check(&def->stages[i], def);
            if (here && (*k)->check_here)
                (*k)->check_here(&def->stages[i], def);
        }
    }
}

int sections_filter_check(const char *const *names, struct err *e)
{
    const char *known[64];
    size_t n = 0;
    for (; section_kinds[n]; n++)
        known[n] = section_kinds[n]->name;
    known[n++] = "none"; /* as in Singularity 2.6: the base alone */
    known[n] = NULL;
    for (size_t i = 0; names && names[i]; i++) {
        size_t at = 0;
        while (known[at] && !str_eq(known[at], names[i]))
            at++;
        if (known[at])
            continue;
        const char *near = str_nearest(names[i], known);
        err_set(e, ERR_USAGE, "--section: there is no section '%s'", names[i]);
        return near ? err_hint(e, "did you mean '%s'?", near) : -1;
    }
    return 0;
}

static bool stage_has(const struct deffile_stage *stage, const char *name)
{
    for (size_t i = 0; i < stage->n_sections; i++)
        if (str_eq(stage->sections[i].name, name))
            return true;
    return false;
}

static bool wanted(const struct build *b, const struct section_kind *kind)
{
    bool chosen = b->spec->sections == NULL;
    for (size_t i = 0; !chosen && b->spec->sections[i]; i++)
        chosen = str_eq(b->spec->sections[i], kind->name);
    return chosen && stage_has(b->stage, kind->name);
}

static int perform(struct build *b, const void *arg, struct err *e)
{
    const struct section_kind *kind = arg;
    log_info("performing %%%s", kind->name);
    return kind->perform(b, kind, e);
}

int sections_perform(struct build *b, bool before_base, struct err *e)
{
    for (const struct section_kind *const *k = section_kinds; *k; k++) {
        if ((*k)->before_base != before_base || !wanted(b, *k))
            continue;
        auto_free char *what = mem_printf("%%%s", (*k)->name);
        if (step_run(b, what, perform, *k, e) < 0)
            return -1;
    }
    return 0;
}

static bool is_code(const struct str *body)
{
    bool at_start = true, comment = false;
    for (size_t i = 0; i < body->len; i++) {
        char c = body->data[i];
        if (c == '\n') {
            at_start = true;
            comment = false;
        } else if (at_start && c == '#') {
            comment = true;
            at_start = false;
        } else if (c != ' ' && c != '\t') {
            at_start = false;
            if (!comment)
                return true;
        }
    }
    return false;
}

bool section_body(const struct deffile_stage *stage, const char *name, const char *app,
                  struct str *out)
{
    const struct deffile_section *s;
    bool code = false;
    for (size_t pos = 0; (s = deffile_section_next(stage, name, app, &pos));) {
        str_add_n(out, str_text(&s->body), s->body.len);
        code = code || is_code(&s->body);
    }
    return code;
}

const char *section_args(const struct deffile_stage *stage, const char *name, const char *app,
                         unsigned *line)
{
    const struct deffile_section *s;
    const char *args = "";
    for (size_t pos = 0; (s = deffile_section_next(stage, name, app, &pos));) {
        if (*s->args)
            args = s->args;
        if (line)
            *line = s->line;
    }
    return args;
}
