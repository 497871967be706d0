/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/vault.h"

#include <fnmatch.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "bootstrap/value.h"

#define LIVE 0
#define GONE 1

static const struct vault_suite suites[] = {
#define SUITE(family, name, version, state) { #family, name, version, state },
#define SITE(family, pattern)
#define MOVED(prefix, first, last, to)
#include "bootstrap/vault.list"
#undef SUITE
#undef SITE
#undef MOVED
};

static const struct {
    const char *family, *pattern;
} sites[] = {
#define SUITE(family, name, version, state)
#define SITE(family, pattern) { #family, pattern },
#define MOVED(prefix, first, last, to)
#include "bootstrap/vault.list"
#undef SUITE
#undef SITE
#undef MOVED
};

static const struct moved {
    const char *prefix;
    unsigned first, last;
    const char *to;
} moves[] = {
#define SUITE(family, name, version, state)
#define SITE(family, pattern)
#define MOVED(prefix, first, last, to) { prefix, first, last, to },
#include "bootstrap/vault.list"
#undef SUITE
#undef SITE
#undef MOVED
};

const struct vault_suite *vault_suite_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(suites); i++)
        if (str_eq(suites[i].name, name))
            return &suites[i];
    return NULL;
}

const char *vault_suite_nearest(const char *word)
{
    const char *names[ARRAY_LEN(suites) + 1];
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        if (suites[i].version[0] && str_eq(suites[i].version, word))
            return suites[i].name;
        names[i] = suites[i].name;
    }
    names[ARRAY_LEN(suites)] = NULL;
    auto_free char *lower = mem_strdup(word);
    str_lower(lower);
    return str_nearest(lower, names);
}

const char *vault_default_mirror(const char *family, const char *arch)
{
    if (str_eq(family, "debian"))
        return "http://deb.debian.org/debian";
    if (!str_eq(family, "ubuntu"))
        return NULL;
    return str_eq(arch, "amd64") || str_eq(arch, "i386") ? "http://archive.ubuntu.com/ubuntu"
                                                         : "http://ports.ubuntu.com/ubuntu-ports";
}

const char *vault_archive(const char *family)
{
    if (str_eq(family, "debian"))
        return "http://archive.debian.org/debian";
    return str_eq(family, "ubuntu") ? "http://old-releases.ubuntu.com/ubuntu" : NULL;
}

/* "host/path" of URL, without scheme and user; NULL when it is none of the network's. */
static const char *place_of(const char *url)
{
    if (!str_starts(url, "http://") && !str_starts(url, "https://") && !str_starts(url, "ftp://"))
        return NULL;
    const char *place = strstr(url, "://") + 3;
    const char *slash = place + strcspn(place, "/?");
    const char *at = memrchr(place, '@', (size_t)(slash - place));
    return at ? at + 1 : place;
}

bool vault_suite_moved(const struct vault_suite *suite, const char *url, char **moved)
{
    const char *place = place_of(url);
    if (!suite->gone || !place)
        return false;
    auto_free char *whole = mem_printf("%s/", place); /* a bare host matches "host/…" too */
    for (size_t i = 0; i < ARRAY_LEN(sites); i++)
        if (str_eq(sites[i].family, suite->family) && fnmatch(sites[i].pattern, whole, 0) == 0) {
            *moved = mem_strdup(vault_archive(suite->family));
            return true;
        }
    return false;
}

/* The part of PLACE behind the rule's prefix and number, or NULL when the rule does not fit. */
static const char *fits(const struct moved *m, const char *place, unsigned *number)
{
    if (!str_starts(place, m->prefix))
        return NULL;
    const char *rest = place + strlen(m->prefix);
    if (!m->last)
        return rest;
    size_t digits = strspn(rest, "0123456789");
    if (digits == 0 || digits > 3 || (rest[digits] && rest[digits] != '/'))
        return NULL;
    *number = 0;
    for (size_t i = 0; i < digits; i++)
        *number = *number * 10 + (unsigned)(rest[i] - '0');
    return *number >= m->first && *number <= m->last ? rest + digits : NULL;
}

/* Value of NAME in the query of PLACE: at most 31 harmless characters, else "". */
static void query_value(const char *place, const char *name, char out[32])
{
    out[0] = 0;
    const char *q = strchr(place, '?');
    while (q) {
        q++;
        size_t len = strlen(name);
        if (strncmp(q, name, len) == 0 && q[len] == '=') {
            size_t n = strspn(q + len + 1, "abcdefghijklmnopqrstuvwxyz_0123456789.-ABCDEFGHIJKLMNOP"
                                           "QRSTUVWXYZ");
            char next = q[len + 1 + n];
            if (n > 0 && n < 32 && (!next || next == '&'))
                snprintf(out, 32, "%.*s", (int)n, q + len + 1);
            return;
        }
        q = strchr(q, '&');
    }
}

/* CentOS's mirror list service is gone with the mirrors; it named a repository by its parts. */
static char *place_of_list(const char *place)
{
    if (!str_starts(place, "mirrorlist.centos.org/"))
        return NULL;
    char release[32], arch[32], repo[32];
    query_value(place, "release", release);
    query_value(place, "arch", arch);
    query_value(place, "repo", repo);
    if (!release[0] || !arch[0] || !repo[0])
        return NULL;
    bool split = strcmp(release, "8") == 0; /* BaseOS, AppStream: one directory deeper */
    return mem_printf("mirror.centos.org/centos/%s/%s/%s/%s", release, repo, arch,
                      split ? "os/" : "");
}

bool vault_url_moved(const char *url, char **moved, bool *was_list)
{
    const char *place = place_of(url);
    if (!place)
        return false;
    auto_free char *list = place_of_list(place);
    if (list)
        place = list;
    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        unsigned number = 0;
        const char *rest = fits(&moves[i], place, &number);
        if (!rest)
            continue;
        auto_str struct str s = { 0 };
        str_add(&s, "https://");
        for (const char *c = moves[i].to; *c; c++)
            if (*c == '%')
                str_addf(&s, "%u", number);
            else
                str_add_c(&s, *c);
        str_add(&s, rest);
        *moved = str_steal(&s);
        if (was_list)
            *was_list = list != NULL;
        return true;
    }
    return false;
}

char *vault_notice(const char *from, const char *to)
{
    auto_free char *a = value_url_public(from);
    auto_free char *b = value_url_public(to);
    return mem_printf("'%s' is gone; using the archive '%s' (--no-vault: do not)", a, b);
}
