/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mem.h"
#include "deffile/reader.h"

static void entry_add(struct deffile_section *s, char *first, char *second, unsigned line)
{
    s->entries = array_grow(s->entries, s->n_entries, sizeof *s->entries);
    s->entries[s->n_entries++] =
        (struct deffile_entry){ .first = first, .second = second, .line = line };
}

/* Length of "{{ name }}" at S, or 0. */
static size_t template_length(struct slice s)
{
    static const char word[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    if (!slice_has_prefix(s, "{{"))
        return 0;
    size_t i = 2;
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
        i++;
    size_t start = i;
    while (i < s.n && s.p[i] && strchr(word, s.p[i]))
        i++;
    if (i == start)
        return 0;
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t'))
        i++;
    return slice_has_prefix(slice_from(s, i), "}}") ? i + 2 : 0;
}

struct words {
    struct strv list;
    struct str word;
    bool in_word;
    char quote; /* the one that is open, or 0 */
};

static void word_end(struct words *w)
{
    if (w->in_word)
        strv_take(&w->list, mem_strndup(str_text(&w->word), w->word.len));
    str_reset(&w->word);
    w->in_word = false;
}

/* Take the character at S outside quotes; returns how many bytes were used, 0 at a comment. */
static size_t word_step(struct words *w, struct slice s)
{
    char c = s.p[0];
    if (c == ' ' || c == '\t') {
        word_end(w);
        return 1;
    }
    if (c == '#' && !w->in_word)
        return 0;
    w->in_word = true;
    if (c == '"' || c == '\'') {
        w->quote = c;
        return 1;
    }
    size_t n = template_length(s);
    if (n) {
        str_add_n(&w->word, s.p, n);
        return n;
    }
    if (c == '\\' && s.n > 1 && strchr(" \t\"'\\#", s.p[1])) {
        str_add_c(&w->word, s.p[1]);
        return 2;
    }
    str_add_c(&w->word, c);
    return 1;
}

/* Blanks separate, quotes group, a backslash takes the meaning from a blank, quote, # or itself. */
static void split_words(struct words *w, struct slice s)
{
    while (s.n) {
        size_t n = 1;
        if (w->quote && s.p[0] == w->quote)
            w->quote = 0;
        else if (w->quote)
            str_add_c(&w->word, s.p[0]);
        else
            n = word_step(w, s);
        if (n == 0)
            break;
        s = slice_from(s, n);
    }
    word_end(w);
}

static void files_line(struct reader *r, struct deffile_section *s, struct slice line, unsigned n)
{
    struct words w = { 0 };
    struct place at = { n, 1 };
    split_words(&w, line);
    if (w.quote)
        say(r, DIAG_ERROR("files-quote", at), "put the second one, or '\\' before it",
            "a quote without its partner");
    if (w.list.n > 2)
        say(r, DIAG_ERROR("files-extra", at), "put quotes around a name with blanks",
            "more than a source and a destination");
    if (w.list.n)
        entry_add(s, mem_strdup(w.list.v[0]), w.list.n > 1 ? mem_strdup(w.list.v[1]) : NULL, n);
    strv_free(&w.list);
    str_free(&w.word);
}

static void read_files(struct reader *r, struct deffile_section *s)
{
    auto_str struct str pending = { 0 };
    struct slice rest = { str_text(&s->body), s->body.len }, line;
    unsigned start = 0;
    for (unsigned n = s->line + 1; slice_next_line(&rest, &line); n++) {
        struct slice t = slice_trim(line);
        if (pending.len == 0) {
            if (t.n == 0 || t.p[0] == '#')
                continue;
            start = n;
        }
        bool continues = t.n && t.p[t.n - 1] == '\\' && !(t.n > 1 && t.p[t.n - 2] == '\\');
        if (continues && rest.n) {
            str_add_n(&pending, t.p, t.n - 1);
            str_add_c(&pending, ' ');
            continue;
        }
        str_add_n(&pending, t.p, t.n);
        files_line(r, s, (struct slice){ pending.data, pending.len }, start);
        str_reset(&pending);
    }
}

static void read_labels(struct reader *r, struct deffile_section *s)
{
    struct slice rest = { str_text(&s->body), s->body.len }, line;
    for (unsigned n = s->line + 1; slice_next_line(&rest, &line); n++) {
        struct slice t = slice_trim(line);
        if (t.n == 0 || t.p[0] == '#')
            continue;
        size_t len = 0;
        while (len < t.n && t.p[len] != ' ' && t.p[len] != '\t')
            len++;
        struct slice key = { t.p, len }, value = slice_trim(slice_from(t, len));
        if (value.n == 0) {
            struct place at = { n, 1 };
            auto_free char *word = slice_dup(key), *shown = text_quote(word);
            say(r, DIAG_WARNING("label-no-value", at), "write 'KEY VALUE'",
                "the label '%s' has no value", shown);
        }
        entry_add(s, slice_dup(key), slice_dup(value), n);
    }
}

void reader_entries(struct reader *r, struct deffile_section *s)
{
    if (s->rule && s->rule->body == DEFFILE_BODY_FILES)
        read_files(r, s);
    else if (s->rule && s->rule->body == DEFFILE_BODY_LABELS)
        read_labels(r, s);
}
