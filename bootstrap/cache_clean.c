/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "bootstrap/bootstrap.h"
#include "bootstrap/cache.h"

/* Everything the agents keep: directories of the cache, each flat. */
static const struct {
    const char *name, *what;
} kinds[] = {
    { "base", "finished base roots" },
    { "deb", "packages for debootstrap" },
    { "files", "packages and metadata of RPM repositories" },
    { "keys", "signing keys, by their fingerprints" },
    { "solv", "RPM repositories, ready to be solved" },
};

/* The cache's directory, or -1: *MISSING when there is none. */
static int open_cache(const char *dir, bool *missing, struct err *e)
{
    struct stat st;
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    *missing = fd < 0 && errno == ENOENT;
    if (fd < 0)
        return *missing ? -1 : err_sys(e, "cannot open the cache '%s'", dir);
    if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022))
        return err_set(e, ERR_FAILED, "'%s' is not a cache of this user's own", dir);
    return steal_fd(&fd);
}

static void measure(int cache_fd, const char *name, uint64_t *n_files, uint64_t *bytes)
{
    *n_files = *bytes = 0;
    auto_close int fd = openat(cache_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    auto_strv struct strv names = { 0 };
    if (fd < 0 || fs_names_at(fd, ".", &names) < 0)
        return;
    for (size_t i = 0; i < names.n; i++) {
        struct stat st;
        if (fstatat(fd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        *bytes += (uint64_t)st.st_blocks * 512;
        *n_files += 1;
    }
}

int bootstrap_cache_list(const char *cache_dir, struct json_object **out, struct err *e)
{
    bool missing;
    auto_close int fd = open_cache(cache_dir, &missing, e);
    if (fd < 0 && !missing)
        return -1;
    struct json_object *doc = json_object_new_object();
    struct json_object *list = json_object_new_array();
    uint64_t total = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        uint64_t n_files, bytes;
        measure(fd, kinds[i].name, &n_files, &bytes);
        total += bytes;
        struct json_object *o = json_object_new_object();
        json_put_str(o, "name", kinds[i].name);
        json_put_str(o, "what", kinds[i].what);
        json_put_int(o, "files", (int64_t)n_files);
        json_put_int(o, "bytes", (int64_t)bytes);
        json_add(list, o);
    }
    json_put_str(doc, "dir", cache_dir);
    json_put_int(doc, "bytes", (int64_t)total);
    json_put(doc, "kinds", list);
    json_put(doc, "base_roots", cache_roots(cache_dir));
    *out = doc;
    return 0;
}

static int unknown_kind(const char *kind, struct err *e)
{
    auto_str struct str names = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        str_addf(&names, "%s%s", i ? ", " : "", kinds[i].name);
    err_set(e, ERR_USAGE, "the cache keeps no '%s'", kind);
    return err_hint(e, "it keeps: %s", str_text(&names));
}

int bootstrap_cache_clean(const char *cache_dir, const char *kind, uint64_t *freed_bytes,
                          struct err *e)
{
    bool known = !kind, missing;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        known = known || str_eq(kind, kinds[i].name);
    if (!known)
        return unknown_kind(kind, e);
    auto_close int fd = open_cache(cache_dir, &missing, e);
    if (fd < 0)
        return missing ? 0 : -1;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        uint64_t n_files, bytes;
        if (kind && !str_eq(kind, kinds[i].name))
            continue;
        measure(fd, kinds[i].name, &n_files, &bytes);
        if (fs_remove_tree(fd, kinds[i].name, e) < 0)
            return err_wrap(e, "cache '%s'", cache_dir);
        *freed_bytes += bytes;
    }
    return 0;
}
