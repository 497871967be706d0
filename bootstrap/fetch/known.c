/* SPDX-License-Identifier: BSD-3-Clause */
#include <fnmatch.h>
#include <strings.h>

#include "base/mem.h"
#include "bootstrap/fetch/fetch.h"

/* keys.list as tables. */

#define SOURCE(...)
#define SIGNER(distribution, first, last, fingerprint, address)                                    \
    { #distribution, first, last, fingerprint, address },
static const struct known_key signers[] = {
#include "bootstrap/keys.list"
};
#undef SOURCE
#undef SIGNER

#define SOURCE(distribution, pattern) { #distribution, pattern },
#define SIGNER(...)
static const struct {
    const char *distribution, *pattern;
} sources[] = {
#include "bootstrap/keys.list"
};
#undef SOURCE
#undef SIGNER

static bool is_of(const char *distribution, const char *url)
{
    auto_free char *low = mem_strdup(url);
    str_lower(low);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        if (str_eq(sources[i].distribution, distribution) &&
            fnmatch(sources[i].pattern, low, 0) == 0)
            return true;
    return false;
}

/* The major number that RELEASE begins with ("7.9.2009", "9-stream"); 0: it has none. */
static unsigned long major_of(const char *release)
{
    return release ? strtoul(release, NULL, 10) : 0;
}

static bool signs(const struct known_key *k, unsigned long major)
{
    return !k->first || !major || (k->first <= major && major <= k->last);
}

static void add(struct known_keys *out, const struct known_key *k)
{
    for (size_t i = 0; i < out->n; i++)
        if (str_eq(out->v[i]->fingerprint, k->fingerprint))
            return;
    out->v = mem_resize(out->v, out->n + 1, sizeof *out->v);
    out->v[out->n++] = k;
}

void known_keys_of(const char *distribution, const char *release, struct known_keys *out)
{
    for (size_t i = 0; i < ARRAY_LEN(signers); i++)
        if (str_eq(signers[i].distribution, distribution) && signs(&signers[i], major_of(release)))
            add(out, &signers[i]);
}

void known_keys_for(const struct strv *urls, const char *release, struct known_keys *out)
{
    for (size_t i = 0; i < ARRAY_LEN(signers); i++)
        for (size_t j = 0; j < urls->n && signs(&signers[i], major_of(release)); j++)
            if (is_of(signers[i].distribution, urls->v[j]))
                add(out, &signers[i]);
}

const struct known_key *known_key_find(const char *fingerprint)
{
    for (size_t i = 0; i < ARRAY_LEN(signers); i++)
        if (strcasecmp(signers[i].fingerprint, fingerprint) == 0)
            return &signers[i];
    return NULL;
}

void known_keys_fini(struct known_keys *k)
{
    free(k->v);
    *k = (struct known_keys){ 0 };
}
