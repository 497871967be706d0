/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/strv.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

void strv_take(struct strv *s, char *take)
{
    s->v = mem_grow(s->v, s->n + 1, sizeof *s->v); /* the NULL behind it has its place too */
    s->v[s->n++] = take;
    s->v[s->n] = NULL;
}

void strv_add(struct strv *s, const char *text)
{
    strv_take(s, mem_strdup(text));
}

void strv_addf(struct strv *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strv_take(s, mem_vprintf(fmt, ap));
    va_end(ap);
}

void strv_add_all(struct strv *s, const char *const *list)
{
    for (; list && *list; list++)
        strv_add(s, *list);
}

void strv_free(struct strv *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->v[i]);
    free(s->v);
    *s = (struct strv){ 0 };
}

bool strv_has(const struct strv *s, const char *text)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->v[i], text) == 0)
            return true;
    return false;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void strv_sort(struct strv *s)
{
    if (s->n)
        qsort(s->v, s->n, sizeof *s->v, by_bytes);
}

void strv_split(struct strv *s, const char *text, const char *seps)
{
    while (*text) {
        text += strspn(text, seps);
        size_t n = strcspn(text, seps);
        if (n)
            strv_take(s, mem_strndup(text, n));
        text += n;
    }
}

char *strv_join(const struct strv *s, const char *sep)
{
    struct str out = { 0 };
    for (size_t i = 0; i < s->n; i++) {
        if (i)
            str_add(&out, sep);
        str_add(&out, s->v[i]);
    }
    return str_steal(&out);
}

/* The value in ENTRY when it is "NAME=value". */
static const char *value_in(const char *entry, const char *name)
{
    size_t len = strlen(name);
    return strncmp(entry, name, len) == 0 && entry[len] == '=' ? entry + len + 1 : NULL;
}

static size_t env_find(const struct strv *s, const char *name)
{
    size_t i = 0;
    while (i < s->n && !value_in(s->v[i], name))
        i++;
    return i;
}

void strv_env_set(struct strv *s, const char *name, const char *value)
{
    size_t i = env_find(s, name);
    char *text = mem_printf("%s=%s", name, value);
    if (i == s->n) {
        strv_take(s, text);
        return;
    }
    free(s->v[i]);
    s->v[i] = text;
}

void strv_env_unset(struct strv *s, const char *name)
{
    size_t i;
    while ((i = env_find(s, name)) < s->n) {
        free(s->v[i]);
        memmove(s->v + i, s->v + i + 1, (s->n - i) * sizeof *s->v);
        s->n--;
    }
}

const char *strv_env_value(const char *const *envp, const char *name)
{
    const char *value = NULL;
    while (envp && *envp && !value)
        value = value_in(*envp++, name);
    return value;
}

const char *strv_env_get(const struct strv *s, const char *name)
{
    return strv_env_value((const char *const *)s->v, name);
}
