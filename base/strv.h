/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_STRV_H
#define BASE_STRV_H

/* A growing, NULL-terminated vector of owned strings: argv, environments, lists. {0} is empty. */

#include <stdbool.h>

#include "base/cleanup.h"

struct strv {
    char **v; /* NULL while nothing was ever added; else v[n] == NULL */
    size_t n;
};

void strv_add(struct strv *s, const char *text); /* copies */
void strv_take(struct strv *s, char *take);      /* owns TAKE from here */
void strv_addf(struct strv *s, const char *fmt, ...) PRINTF(2, 3);
void strv_add_all(struct strv *s, const char *const *list); /* NULL-terminated; NULL adds nothing */
void strv_free(struct strv *s);
bool strv_has(const struct strv *s, const char *text);
void strv_sort(struct strv *s); /* strcmp order */

/* Add the words of TEXT that are separated by any of SEPS; empty words are left out. */
void strv_split(struct strv *s, const char *text, const char *seps);

/* The words joined by SEP. Caller frees. */
MUST_CHECK char *strv_join(const struct strv *s, const char *sep);

/* Environment lists ("NAME=value"): set (replacing), unset, look up (NULL when absent). */
void strv_env_set(struct strv *s, const char *name, const char *value);
void strv_env_unset(struct strv *s, const char *name);
const char *strv_env_get(const struct strv *s, const char *name);

/* The value of NAME in the list ENVP (NULL-terminated; NULL: an empty one), the first where it
 * stands twice; NULL when it is not there. */
const char *strv_env_value(const char *const *envp, const char *name);

static inline void cleanup_strv(struct strv *s)
{
    strv_free(s);
}
#define auto_strv cleanup_with(cleanup_strv)

#endif
