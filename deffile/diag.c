/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>

#include "base/mem.h"
#include "deffile/reader.h"

void say(struct reader *r, struct deffile_diag diag, const char *hint, const char *fmt, ...)
{
    struct deffile *d = r->d;
    va_list ap;
    va_start(ap, fmt);
    diag.message = mem_vprintf(fmt, ap);
    va_end(ap);
    diag.hint = mem_strdup(hint);
    d->diags = array_grow(d->diags, d->n_diags, sizeof *d->diags);
    d->diags[d->n_diags++] = diag;
}

static void diag_fini(struct deffile_diag *g)
{
    free(g->message);
    free(g->hint);
}

void diags_cut(struct deffile *d, size_t n)
{
    while (d->n_diags > n)
        diag_fini(&d->diags[--d->n_diags]);
}

/* Corrections cost a comparison with every name: after this many, the file is no definition. */
const char *reader_correction(struct reader *r, const char *word, const char *const names[])
{
    enum { MAX_CORRECTIONS = 50 };
    if (r->n_corrections >= MAX_CORRECTIONS)
        return NULL;
    r->n_corrections++;
    return str_nearest(word, names);
}

struct numbered {
    struct deffile_diag diag;
    size_t n;
};

static int compare(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    if (x->diag.line != y->diag.line)
        return x->diag.line < y->diag.line ? -1 : 1;
    if (x->diag.column != y->diag.column)
        return x->diag.column < y->diag.column ? -1 : 1;
    return x->n < y->n ? -1 : 1;
}

static bool in_order(const struct deffile_diag *a, const struct deffile_diag *b)
{
    return a->line < b->line || (a->line == b->line && a->column <= b->column);
}

void diags_sort(struct deffile *d)
{
    bool sorted = true;
    d->ok = true;
    for (size_t i = 0; i < d->n_diags; i++) {
        if (d->diags[i].severity == DEFFILE_ERROR)
            d->ok = false;
        if (i && !in_order(&d->diags[i - 1], &d->diags[i]))
            sorted = false;
    }
    if (sorted)
        return;
    auto_free struct numbered *all = mem_zero(d->n_diags + 1, sizeof *all);
    for (size_t i = 0; i < d->n_diags; i++)
        all[i] = (struct numbered){ d->diags[i], i };
    qsort(all, d->n_diags, sizeof *all, compare);
    for (size_t i = 0; i < d->n_diags; i++)
        d->diags[i] = all[i].diag;
}

void deffile_diag_add(struct deffile *d, enum deffile_severity severity, const char *code,
                      unsigned line, unsigned column, const char *hint, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *message = mem_vprintf(fmt, ap);
    va_end(ap);
    struct deffile_diag g = { .severity = severity, .code = code, .line = line, .column = column };
    g.message = text_escape(message);
    g.hint = mem_strdup(hint);
    size_t at = d->n_diags;
    while (at && !in_order(&d->diags[at - 1], &g))
        at--;
    d->diags = array_grow(d->diags, d->n_diags, sizeof *d->diags);
    memmove(&d->diags[at + 1], &d->diags[at], (d->n_diags - at) * sizeof *d->diags);
    d->diags[at] = g;
    d->n_diags++;
    if (severity == DEFFILE_ERROR)
        d->ok = false;
}

char *deffile_diag_text(const struct deffile *d, const struct deffile_diag *g)
{
    auto_free char *text =
        mem_printf("%s:%u:%u: %s[%s]: %s", d->name, g->line, g->column,
                   g->severity == DEFFILE_ERROR ? "error" : "warning", g->code, g->message);
    return str_printable(text);
}

int deffile_err(const struct deffile *d, struct err *e)
{
    const struct deffile_diag *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < d->n_diags; i++) {
        if (d->diags[i].severity != DEFFILE_ERROR)
            continue;
        if (n++ == 0)
            first = &d->diags[i];
    }
    if (!first)
        return err_set(e, ERR_BUG, "'%s' has no error to tell", d->name);
    auto_free char *message = str_printable(first->message);
    if (n > 1)
        err_at(e, d->name, first->line, "%s (and %zu more error%s)", message, n - 1,
               n == 2 ? "" : "s");
    else
        err_at(e, d->name, first->line, "%s", message);
    if (first->hint)
        err_hint(e, "%s", first->hint);
    return -1;
}
