/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/path.h"

#include <limits.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/strv.h"

char *path_join(const char *a, const char *b)
{
    if (!*a)
        return mem_strdup(b);
    while (*b == '/')
        b++;
    return mem_printf("%s%s%s", a, str_ends(a, "/") ? "" : "/", b);
}

/* Length of PATH without trailing slashes; "/" keeps one. */
static size_t trimmed_len(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n;
}

char *path_base(const char *path)
{
    size_t n = trimmed_len(path), at = n;
    while (at > 0 && path[at - 1] != '/')
        at--;
    return at == n ? mem_strdup("/") : mem_strndup(path + at, n - at);
}

char *path_dir(const char *path)
{
    size_t n = trimmed_len(path);
    while (n > 0 && path[n - 1] != '/')
        n--;
    if (n == 0)
        return mem_strdup(".");
    while (n > 1 && path[n - 1] == '/')
        n--;
    return mem_strndup(path, n);
}

static char *rebuild(const char *path, bool fold_dotdot)
{
    auto_strv struct strv parts = { 0 };
    strv_split(&parts, path, "/");
    struct str out = { 0 };
    for (size_t i = 0; i < parts.n; i++) {
        if (str_eq(parts.v[i], "."))
            continue;
        if (fold_dotdot && str_eq(parts.v[i], "..")) {
            while (out.len && out.data[out.len - 1] != '/')
                out.len--;
            if (out.len)
                out.len--;
            if (out.data)
                out.data[out.len] = 0;
            continue;
        }
        str_addf(&out, "/%s", parts.v[i]);
    }
    if (!out.len)
        str_add(&out, "/");
    return str_steal(&out);
}

char *path_absolute(const char *path, const char *cwd)
{
    if (*path == '/')
        return rebuild(path, false);
    char here[PATH_MAX];
    if (!cwd)
        cwd = getcwd(here, sizeof here) ? here : "/";
    auto_free char *full = path_join(cwd, path);
    return rebuild(full, false);
}

char *path_clean(const char *path)
{
    return rebuild(path, true);
}

bool path_within(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (str_eq(dir, "/"))
        return true;
    return strncmp(path, dir, n) == 0 && (path[n] == 0 || path[n] == '/');
}
