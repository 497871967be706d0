/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/deb/index.h"

#include "base/mem.h"

static uint32_t hash_of(const char *name, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 16777619u;
    return h;
}

static bool same(const struct deb_field *f, const char *text, size_t len)
{
    return f->len == len && memcmp(f->text, text, len) == 0;
}

static bool is(const struct deb_field *f, const char *text)
{
    return same(f, text, strlen(text));
}

struct deb_package *deb_index_find(const struct deb_index *x, const char *name, size_t len)
{
    if (!x->n_slots)
        return NULL;
    for (size_t i = hash_of(name, len);; i++) {
        uint32_t slot = x->slots[i & (x->n_slots - 1)];
        if (!slot)
            return NULL;
        if (same(&x->all[slot - 1].name, name, len))
            return &x->all[slot - 1];
    }
}

/* Where the value of LINE goes when it is a field we want. */
static struct deb_field *wanted(struct deb_package *p, const char *line, size_t len, size_t *skip)
{
    const struct {
        const char *name;
        struct deb_field *field;
    } fields[] = {
        { "Package:", &p->name },      { "Version:", &p->version },
        { "Architecture:", &p->arch }, { "Priority:", &p->priority },
        { "Filename:", &p->filename }, { "SHA256:", &p->sha256 },
        { "Depends:", &p->depends },   { "Pre-Depends:", &p->pre_depends },
    };
    if (!len || !strchr("PVAFSD", line[0]))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        *skip = strlen(fields[i].name);
        if (len >= *skip && memcmp(line, fields[i].name, *skip) == 0)
            return fields[i].field;
    }
    return NULL;
}

static void take_size(struct deb_package *p, const char *line, size_t len)
{
    char digits[24];
    size_t skip = 5;
    while (skip < len && line[skip] == ' ') /* strspn would look beyond the line */
        skip++;
    if (len > skip && len - skip < sizeof digits) {
        memcpy(digits, line + skip, len - skip);
        digits[len - skip] = 0;
        if (str_parse_u64(digits, UINT64_MAX, &p->size_bytes) < 0)
            p->size_bytes = 0;
    }
}

static void take_line(struct deb_package *p, const char *line, size_t len)
{
    size_t skip;
    struct deb_field *f = wanted(p, line, len, &skip);
    if (f) {
        while (skip < len && (line[skip] == ' ' || line[skip] == '\t'))
            skip++;
        *f = (struct deb_field){ line + skip, len - skip };
    } else if (len > 5 && memcmp(line, "Size:", 5) == 0) {
        take_size(p, line, len);
    }
}

static void add(struct deb_index *x, const struct deb_package *p)
{
    if (!p->name.len || x->n > DEB_MAX_PACKAGES)
        return; /* one too many is there, and refused */
    x->all = mem_grow(x->all, x->n, sizeof *x->all);
    x->all[x->n++] = *p;
}

/* Hash the names; those of one name are chained in order. From the last to the first, as the chain
 * grows at its head: a list may have one name 400,000 times. */
static void index_names(struct deb_index *x)
{
    for (x->n_slots = 1024; x->n_slots < x->n * 2; x->n_slots *= 2)
        ;
    x->slots = mem_zero(x->n_slots, sizeof *x->slots);
    for (size_t n = x->n; n-- > 0;) {
        struct deb_package *p = &x->all[n];
        size_t i = hash_of(p->name.text, p->name.len);
        uint32_t *slot;
        while (*(slot = &x->slots[i & (x->n_slots - 1)]) &&
               !same(&x->all[*slot - 1].name, p->name.text, p->name.len))
            i++;
        p->next = *slot;
        *slot = (uint32_t)n + 1;
    }
}

int deb_index_read(struct deb_index *x, struct str *text, struct err *e)
{
    *x = (struct deb_index){ .text = *text };
    *text = (struct str){ 0 };
    const char *line = str_text(&x->text), *end = line + x->text.len;
    while (line < end) {
        struct deb_package p = { .stanza = { line, 0 } };
        for (size_t len; line < end; line += len + 1) {
            const char *nl = memchr(line, '\n', (size_t)(end - line));
            len = (size_t)((nl ? nl : end) - line);
            if (!len)
                break;
            take_line(&p, line, len);
        }
        p.stanza.len = (size_t)((line < end ? line : end) - p.stanza.text);
        add(x, &p);
        line++;
    }
    if (x->n > DEB_MAX_PACKAGES)
        return err_set(e, ERR_INPUT, "a package list holds more than %d packages",
                       DEB_MAX_PACKAGES);
    index_names(x);
    return 0;
}

void deb_index_fini(struct deb_index *x)
{
    str_free(&x->text);
    free(x->all);
    free(x->slots);
    *x = (struct deb_index){ 0 };
}

struct todo {
    struct deb_package **p;
    size_t n;
};

static void choose_name(struct deb_index *lists, size_t n, const char *name, size_t len,
                        struct todo *todo)
{
    for (size_t i = 0; i < n; i++) {
        struct deb_package *p = deb_index_find(&lists[i], name, len);
        for (; p && !p->chosen; p = p->next ? &lists[i].all[p->next - 1] : NULL) {
            p->chosen = true;
            todo->p = mem_grow(todo->p, todo->n, sizeof *todo->p);
            todo->p[todo->n++] = p;
        }
    }
}

/* "a (>= 1), b:any | c, d": the first name of each. */
static void choose_depends(struct deb_index *lists, size_t n, const struct deb_field *f,
                           struct todo *todo)
{
    const char *at = f->text, *end = f->text + f->len;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        while (at < stop && (*at == ' ' || *at == '\t'))
            at++;
        size_t len = 0;
        while (at + len < stop && !strchr(" \t(|:", at[len]))
            len++;
        /* debootstrap never takes usrmerge in: it merges /usr itself */
        if (len && !(len == 8 && memcmp(at, "usrmerge", 8) == 0))
            choose_name(lists, n, at, len, todo);
        at = stop + 1;
    }
}

void deb_index_choose(struct deb_index *lists, size_t n, const struct strv *roots,
                      const char *const priorities[])
{
    struct todo todo = { 0 };
    for (size_t i = 0; i < roots->n; i++)
        choose_name(lists, n, roots->v[i], strlen(roots->v[i]), &todo);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < lists[i].n; j++)
            for (const char *const *p = priorities; *p; p++)
                if (is(&lists[i].all[j].priority, *p))
                    choose_name(lists, n, lists[i].all[j].name.text, lists[i].all[j].name.len,
                                &todo);
    while (todo.n) {
        const struct deb_package *p = todo.p[--todo.n];
        choose_depends(lists, n, &p->depends, &todo);
        choose_depends(lists, n, &p->pre_depends, &todo);
    }
    free(todo.p);
}
