/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mem.h"
#include "deffile/reader.h"

static void stage_start(struct reader *r, unsigned line)
{
    struct deffile *d = r->d;
    if (d->n_stages && reader_stage(r)->name)
        name_add(&r->stage_names, reader_stage(r)->name, d->n_stages - 1);
    d->stages = array_grow(d->stages, d->n_stages, sizeof *d->stages);
    d->stages[d->n_stages++].line = line;
    r->in_section = false;
    r->mark = d->n_diags;
    r->n_old_lines = 0;
    names_free(&r->keys);
    str_free(&r->joined);
    memset(r->last_args, 0, r->n_rules * sizeof *r->last_args);
}

/* Blanks, '%' and the name of a known section: how many blanks, or 0. */
static size_t indented_heading(const struct reader *r, struct slice line)
{
    size_t i = 0, n = 0;
    while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
        i++;
    if (i == 0 || i == line.n || line.p[i] != '%')
        return 0;
    struct slice rest = slice_from(line, i + 1);
    while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '\t')
        n++;
    return rule_find(r, (struct slice){ rest.p, n }) ? i : 0;
}

static bool starts_stage(struct slice line)
{
    static const char word[] = "bootstrap";
    if (line.n < sizeof word || strncasecmp(line.p, word, sizeof word - 1) != 0)
        return false;
    struct slice key, value;
    return header_line_split(line, &key, &value) && key.n == sizeof word - 1;
}

/* Headers of a later stage written above its Bootstrap line fell into the section before. */
static void refuse_early_headers(struct reader *r, unsigned n)
{
    const struct deffile_stage *stage = reader_stage(r);
    const struct str *body = &stage->sections[stage->n_sections - 1].body;
    size_t end = body->len;
    while (end) {
        size_t start = end - 1; /* of the line that ends in the \n before END */
        while (start && body->data[start - 1] != '\n')
            start--;
        struct slice line = { body->data + start, end - 1 - start }, key, value;
        end = start;
        n--;
        struct slice s = slice_trim(line);
        if (s.n == 0 || s.p[0] == '#')
            continue;
        if (!header_line_split(line, &key, &value) || key.p != line.p)
            return;
        auto_free char *name = slice_dup(key), *low = slice_dup(key);
        str_lower(low);
        if (!header_key_listed(r->schema, low))
            return;
        struct place at = { n, 1 };
        say(r, DIAG_ERROR("stage-order", at), "make Bootstrap the first line of a later stage",
            "'%s' above Bootstrap belongs to the section before it", name);
    }
}

static void read_line(struct reader *r, struct slice line, unsigned n)
{
    bool heading = line.n && line.p[0] == '%';
    size_t indent = heading ? 0 : indented_heading(r, line);
    if (heading || indent) {
        if (!r->in_section) {
            if (heading && r->pending.open)
                reader_pending_refuse(r, 1);
            reader_header_end(r);
        }
        reader_heading(r, slice_from(line, indent), n, indent);
        return;
    }
    if (r->in_section && !starts_stage(line)) {
        struct deffile_stage *s = reader_stage(r);
        struct str *body = &s->sections[s->n_sections - 1].body;
        str_add_n(body, line.p, line.n);
        str_add_c(body, '\n');
        return;
    }
    if (r->in_section) {
        refuse_early_headers(r, n);
        stage_start(r, n);
    }
    reader_header_line(r, line, n);
}

static void finish(struct reader *r)
{
    struct deffile *d = r->d;
    if (r->pending.open)
        reader_pending_refuse(r, r->pending.at.column);
    if (!r->in_section)
        reader_header_end(r);
    const struct deffile_stage *only = &d->stages[0];
    bool old = str_eq(d->n_diags ? d->diags[d->n_diags - 1].code : "", "old-format");
    if (d->n_stages == 1 && !only->n_headers && !only->n_sections && !old) {
        struct place top = { 1, 1 };
        say(r, DIAG_ERROR("empty", top), "start with 'Bootstrap: AGENT'; see hpcc help deffile",
            "there is no keyword and no section in it");
    }
    void *taken = NULL;
    for (size_t i = 0; i < d->n_stages; i++) {
        struct deffile_stage *s = &d->stages[i];
        if (s->name && !name_add(&taken, s->name, i)) {
            struct place at = { deffile_header_find(s, "stage")->line, 1 };
            auto_free char *shown = text_quote(s->name);
            say(r, DIAG_ERROR("duplicate-stage", at), "give each stage its own name",
                "the stage name '%s' is taken", shown);
        }
        for (size_t j = 0; j < s->n_sections; j++)
            reader_entries(r, &s->sections[j]);
    }
    names_free(&taken);
}

static void parse_text(struct reader *r)
{
    struct slice rest = { r->d->text.data, r->d->text.len }, line;
    if (!reader_check_bytes(r, &rest))
        return;
    stage_start(r, 1);
    for (unsigned n = 1; slice_next_file_line(&rest, &line); n++)
        read_line(r, line, n);
    finish(r);
}

struct deffile *deffile_parse(const char *text, size_t len, const char *name,
                              const struct deffile_schema *schema)
{
    struct reader r = { .schema = schema, .d = mem_zero(1, sizeof *r.d) };
    r.d->name = mem_strdup(name);
    str_add(&r.d->text, "");
    str_add_n(&r.d->text, text, len);
    while (schema->sections[r.n_rules].name)
        r.n_rules++;
    r.last_args = mem_zero(r.n_rules + 1, sizeof *r.last_args);
    r.section_names = mem_zero(r.n_rules + 1, sizeof *r.section_names);
    for (size_t i = 0; i < r.n_rules; i++)
        r.section_names[i] = schema->sections[i].name;
    parse_text(&r);
    diags_sort(r.d);
    names_free(&r.keys);
    names_free(&r.stage_names);
    str_free(&r.joined);
    str_free(&r.pending.value);
    free(r.pending.key);
    free(r.old_lines);
    free(r.last_args);
    free(r.section_names);
    return r.d;
}
