/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>

#include "base/mem.h"
#include "deffile/reader.h"

static const char no_break_space[] = "\xc2\xa0";

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t count_blanks(struct slice s)
{
    size_t i = 0;
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
        i++;
    return i;
}

/* blanks KEY blanks ':' value */
bool header_line_split(struct slice line, struct slice *key, struct slice *value)
{
    struct slice s = slice_from(line, count_blanks(line));
    size_t n = 0;
    while (n < s.n &&
           (is_alpha(s.p[n]) || (n && (isdigit((unsigned char)s.p[n]) || s.p[n] == '_'))))
        n++;
    struct slice rest = slice_from(s, n);
    rest = slice_from(rest, count_blanks(rest));
    if (n == 0 || rest.n == 0 || rest.p[0] != ':')
        return false;
    *key = (struct slice){ s.p, n };
    *value = slice_from(rest, 1);
    return true;
}

bool header_key_listed(const struct deffile_schema *schema, const char *key)
{
    for (size_t i = 0; schema->header_keys[i]; i++)
        if (str_eq(schema->header_keys[i], key))
            return true;
    return false;
}

static bool header_key_known(const struct deffile_schema *schema, const char *key)
{
    if (header_key_listed(schema, key))
        return true;
    return str_starts(key, "otherurl") && key[8 + strspn(key + 8, "0123456789")] == 0;
}

/* Repeated Include lines are one list. */
static void join_include(struct reader *r, const struct deffile_header *h, const char *value)
{
    struct str *j = &r->joined;
    if (!j->data)
        str_add(j, h->value);
    str_addf(j, " %s", value);
    size_t n = 0, space;
    while (j->len > n && (space = space_length(j->data + n, j->len - n)))
        n += space;
    if (n) {
        memmove(j->data, j->data + n, j->len - n + 1);
        j->len -= n;
    }
    for (size_t back = 1; back <= 3 && back <= j->len;) {
        if (space_length(j->data + j->len - back, back) != back) {
            back++;
            continue;
        }
        j->len -= back;
        j->data[j->len] = 0;
        back = 1;
    }
}

static void put_new(struct reader *r, const char *key, const char *value, struct place at)
{
    size_t n = strlen(value);
    if (n == 0)
        say(r, DIAG_WARNING("empty-value", at), NULL, "'%s' has no value", key);
    else if (n > 1 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0])
        say(r, DIAG_WARNING("quoted-value", at),
            "values are taken to the end of the line: remove them",
            "the quotes become part of the value of '%s'", key);
    struct deffile_stage *s = reader_stage(r);
    name_add(&r->keys, key, s->n_headers);
    s->headers = array_grow(s->headers, s->n_headers, sizeof *s->headers);
    s->headers[s->n_headers++] = (struct deffile_header){ .key = mem_strdup(key),
                                                          .value = mem_strdup(value),
                                                          .line = at.line };
}

static void put(struct reader *r, const char *key, const char *value, struct place at)
{
    if (str_eq(key, "osbuild") || str_eq(key, "ostype")) {
        say(r, DIAG_WARNING("obsolete-header", at), "write 'Bootstrap'",
            "'%s' is an old name of 'Bootstrap'", key);
        key = "bootstrap";
    } else if (!header_key_known(r->schema, key)) {
        const char *near = reader_correction(r, key, r->schema->header_keys);
        auto_free char *shown = text_quote(key);
        auto_free char *hint = near ? mem_printf("did you mean '%s'?", near) : NULL;
        say(r, DIAG_ERROR("unknown-header", at), hint, "unknown keyword '%s'", shown);
    }
    size_t position;
    if (!name_find(r->keys, key, &position)) {
        put_new(r, key, value, at);
        return;
    }
    const struct deffile_header *first = &reader_stage(r)->headers[position];
    if (str_eq(key, "include")) {
        join_include(r, first, value);
        return;
    }
    auto_free char *shown = text_quote(key);
    auto_free char *hint = mem_printf("remove one: the first is on line %u", first->line);
    say(r, DIAG_ERROR("duplicate-header", at), hint, "'%s' is given twice", shown);
}

static bool is_dockerfile_word(const char *word)
{
    static const char *const words[] = { "ENV", "RUN",        "COPY",       "ADD",    "WORKDIR",
                                         "CMD", "ENTRYPOINT", "MAINTAINER", "EXPOSE", "LABEL",
                                         "ARG", "USER",       "VOLUME",     "SHELL" };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(word, words[i]))
            return true;
    return false;
}

static void refuse_line(struct reader *r, struct slice line, unsigned n)
{
    struct place at = { n, (unsigned)count_blanks(line) + 1 };
    struct slice s = slice_trim(line);
    size_t len = 0;
    while (len < s.n && !strchr(" \t:", s.p[len]))
        len++;
    auto_free char *word = mem_strndup(s.p, len);
    if (str_eq(word, "DistType")) {
        r->old_lines = array_grow(r->old_lines, r->n_old_lines, sizeof *r->old_lines);
        r->old_lines[r->n_old_lines++] = at;
        return;
    }
    auto_free char *key = mem_strdup(word);
    str_lower(key);
    auto_free char *hint = NULL;
    if (header_key_known(r->schema, key))
        hint = mem_printf("put a ':' after '%s'", word);
    else if (is_dockerfile_word(word))
        hint = mem_printf("'%s' is an instruction of a Dockerfile; commands go below %%post", word);
    else
        hint = mem_strdup("commands that build the image go below a %post line");
    say(r, DIAG_ERROR("bad-header-line", at), hint, "neither 'Keyword: value' nor a %%section");
}

void reader_pending_refuse(struct reader *r, unsigned column)
{
    struct place at = { r->pending.at.line, column };
    r->pending.open = false;
    say(r, DIAG_ERROR("bad-continuation", at),
        "remove the '\\', or write the rest on the next line",
        "nothing follows the '\\' at the end of the line");
}

/* No-break spaces are invisible: they count as blanks here. LINE then lives in COPY. */
static struct slice plain_blanks(struct reader *r, struct slice line, unsigned n, struct str *copy)
{
    const char *at = memmem(line.p, line.n, no_break_space, 2);
    if (!at)
        return line;
    unsigned column = (unsigned)(at - line.p) + 1;
    const char *from = line.p, *end = line.p + line.n;
    for (; at; at = memmem(from, (size_t)(end - from), no_break_space, 2)) {
        str_add_n(copy, from, (size_t)(at - from));
        str_add_c(copy, ' ');
        from = at + 2;
    }
    str_add_n(copy, from, (size_t)(end - from));
    struct slice out = { copy->data, copy->len };
    struct slice body = slice_trim(out);
    if (body.n == 0 || body.p[0] != '#') {
        struct place where = { n, column };
        say(r, DIAG_WARNING("odd-space", where), NULL,
            "a no-break space (U+00A0) is read as a blank");
    }
    return out;
}

/* The value is complete unless it ends in a backslash. */
static void finish_value(struct reader *r)
{
    struct pending *p = &r->pending;
    struct str *v = &p->value;
    p->open = v->len && v->data[v->len - 1] == '\\';
    if (!p->open) {
        put(r, p->key, str_text(v), p->at);
        return;
    }
    v->data[--v->len] = 0;
    if (v->len >= 2 && memcmp(v->data + v->len - 2, "\\n", 2) == 0) {
        v->data[v->len - 2] = '\n';
        v->data[--v->len] = 0;
    }
}

void reader_header_line(struct reader *r, struct slice raw, unsigned n)
{
    auto_str struct str copy = { 0 };
    struct slice line = plain_blanks(r, raw, n, &copy);
    struct slice s = slice_trim(line), key, value;
    struct pending *p = &r->pending;
    bool nothing = s.n == 0 || s.p[0] == '#';
    if (p->open && nothing) {
        reader_pending_refuse(r, p->at.column);
        return;
    }
    if (nothing)
        return;
    if (p->open) {
        s = slice_cut_comment(s);
        str_add_n(&p->value, s.p, s.n);
        finish_value(r);
        return;
    }
    if (!header_line_split(line, &key, &value)) {
        refuse_line(r, line, n);
        return;
    }
    value = slice_cut_comment(value);
    free(p->key);
    p->key = slice_dup(key);
    str_lower(p->key);
    p->at = (struct place){ n, (unsigned)(key.p - line.p) + 1 };
    str_reset(&p->value);
    str_add_n(&p->value, value.p, value.n);
    finish_value(r);
}

static void judge_old_lines(struct reader *r, bool has_bootstrap)
{
    for (size_t i = 0; has_bootstrap && i < r->n_old_lines; i++)
        say(r, DIAG_WARNING("obsolete-header", r->old_lines[i]), "remove the line",
            "'DistType' belongs to the format of Singularity 2.0 and is ignored");
    if (!has_bootstrap) {
        diags_cut(r->d, r->mark); /* one message instead of one for each line */
        say(r, DIAG_ERROR("old-format", r->old_lines[0]),
            "write 'Bootstrap: AGENT' and put the commands below %post",
            "the definition is in the format of Singularity 2.0 and 2.1");
    }
    r->n_old_lines = 0;
}

void reader_header_end(struct reader *r)
{
    struct deffile_stage *s = reader_stage(r);
    size_t position;
    if (r->joined.data && name_find(r->keys, "include", &position)) {
        free(s->headers[position].value);
        s->headers[position].value = str_steal(&r->joined);
    }
    bool has_bootstrap = name_find(r->keys, "bootstrap", NULL);
    bool old = r->n_old_lines != 0;
    if (old)
        judge_old_lines(r, has_bootstrap);
    if (old && !has_bootstrap)
        return;
    if (name_find(r->keys, "stage", &position) && *s->headers[position].value)
        s->name = mem_strdup(s->headers[position].value);
    if (!has_bootstrap) {
        struct place at = { s->line, 1 };
        say(r, DIAG_WARNING("no-bootstrap", at), "add a line 'Bootstrap: AGENT'",
            "without the keyword 'Bootstrap' this can be read but not built");
    }
}
