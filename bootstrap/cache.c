/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strv.h"
#include "bootstrap/bootstrap.h"
#include "bootstrap/fetch/fetch.h"
#include "image/image.h"

#define FORMAT         "hpcc.base-root.v1"
#define NOTE_MAX_BYTES (16u << 20)
#define KEEP_ROOTS     8 /* the least recently used go first */

/* Ours: owned by us, and nobody else may write. */
static bool is_ours(const struct stat *st)
{
    return st->st_uid == geteuid() && !(st->st_mode & 022);
}

/* Whether another user cannot exchange what is ours in there: a directory of ours, or one like /tmp. */
static bool keeps_ours(const struct stat *st)
{
    return is_ours(st) || (st->st_uid == 0 && (st->st_mode & S_ISVTX));
}

/* Each directory is judged by its descriptor, and the next one made and opened below it. */
static bool make_subdir(const char *whole, const char *name)
{
    struct stat st;
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    auto_close int dir_fd = open(whole, flags);
    if (dir_fd < 0 || fstat(dir_fd, &st) < 0 || !keeps_ours(&st) ||
        (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST))
        return false;
    auto_close int fd = openat(dir_fd, name, flags | O_NOFOLLOW);
    return fd >= 0 && fstat(fd, &st) == 0 && is_ours(&st);
}

char *cache_subdir(const char *dir, const char *name)
{
    auto_free char *whole = path_absolute(dir, NULL);
    auto_free char *path = path_join(whole, name);
    auto_free char *parent = path_dir(whole);
    if (access(whole, F_OK) < 0) { /* as XDG has it: missing directories are made, for us alone */
        (void)mkdir(parent, 0700);
        (void)mkdir(whole, 0700);
    }
    if (make_subdir(whole, name))
        return steal_ptr(path);
    log_warn("'%s' cannot be used as a cache: it must be a directory of this user that nobody "
             "else can write",
             path);
    return NULL;
}

/* Open DIR/NAME when it is a regular file of ours; -1 otherwise. */
static int open_ours(const char *dir, const char *name, struct stat *st)
{
    auto_free char *path = path_join(dir, name);
    auto_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, st) < 0 || !S_ISREG(st->st_mode) || !is_ours(st))
        return -1;
    return steal_fd(&fd);
}

static struct json_object *read_note(const char *dir, const char *name)
{
    struct stat st;
    auto_str struct str text = { 0 };
    auto_close int fd = open_ours(dir, name, &st);
    if (fd < 0 || fs_read_fd(fd, NOTE_MAX_BYTES, &text, NULL) < 0)
        return NULL;
    auto_json struct json_object *note = json_read(str_text(&text), text.len, name, NULL);
    return note && str_eq(json_get_str(note, "format"), FORMAT) ? steal_ptr(note) : NULL;
}

static void drop(const char *dir, const char *hash)
{
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_free char *note = mem_printf("%s.json", hash);
    auto_free char *image = mem_printf("%s.img", hash);
    if (fd < 0 || unlinkat(fd, note, 0) < 0 || unlinkat(fd, image, 0) < 0)
        log_debug("cache: nothing or not all of '%s' to drop", hash);
}

/* The kept image, checked against its note; -1: it does not hold. */
static int open_checked(const char *dir, const char *hash, struct json_object *note,
                        struct image_info *info)
{
    struct stat st;
    auto_free char *name = mem_printf("%s.img", hash);
    auto_close int fd = open_ours(dir, name, &st);
    if (fd < 0)
        return -1;
    auto_free char *sum = digest_fd(fd, NULL);
    if (!str_eq(sum, json_get_str(note, "sha256")) || image_probe(fd, name, info, NULL) < 0)
        return -1;
    return steal_fd(&fd);
}

/* Mark as used now; the time is only for choosing what to drop. */
static void touch(const char *dir, const char *hash)
{
    auto_free char *path = mem_printf("%s/%s.json", dir, hash);
    if (utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW) < 0)
        log_debug("cache: cannot touch '%s'", path);
}

static char *hash_of(const char *key)
{
    auto_str struct str text = { 0 };
    str_addf(&text, "%s\nhpcc %s\n%s", FORMAT, HPCC_VERSION, key);
    return digest_text(&text);
}

int cache_restore(const char *dir, const char *key, int rootfs_fd, struct json_object **facts,
                  struct err *e)
{
    auto_free char *sub = cache_subdir(dir, "base");
    auto_free char *hash = hash_of(key);
    auto_free char *name = mem_printf("%s.json", hash);
    auto_json struct json_object *note = sub ? read_note(sub, name) : NULL;
    struct json_object *kept = NULL;
    *facts = NULL;
    if (!note)
        return 0;
    struct image_info info;
    auto_close int fd = open_checked(sub, hash, note, &info);
    if (fd < 0 || !json_object_object_get_ex(note, "facts", &kept)) {
        log_warn("the base root kept in '%s' is damaged and is made anew", sub);
        drop(sub, hash);
        return 0;
    }
    log_info("using the base root kept from %s ('hpcc cache clean' forgets it)",
             json_get_str(note, "made") ? json_get_str(note, "made") : "an earlier build");
    if (image_unpack(fd, &info, rootfs_fd, e) < 0)
        return err_wrap(e, "base root kept in '%s'", sub);
    touch(sub, hash);
    *facts = json_object_get(kept);
    return 0;
}

struct kept {
    char *hash;
    struct timespec used;
};

static int by_use(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return (x->used.tv_nsec > y->used.tv_nsec) - (x->used.tv_nsec < y->used.tv_nsec);
}

/* Drop the least recently used roots beyond KEEP_ROOTS. */
static void make_room(const char *dir)
{
    struct kept *all = NULL;
    size_t n = 0;
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_strv struct strv names = { 0 };
    if (fd < 0 || fs_names_at(fd, ".", &names) < 0)
        return;
    for (size_t i = 0; i < names.n; i++) {
        struct stat st;
        if (!str_ends(names.v[i], ".json") || fstatat(fd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        all = mem_grow(all, n, sizeof *all);
        all[n].hash = mem_strndup(names.v[i], strlen(names.v[i]) - 5);
        all[n++].used = st.st_mtim;
    }
    if (n)
        qsort(all, n, sizeof *all, by_use);
    for (size_t i = 0; i < n; i++) {
        if (i + KEEP_ROOTS < n)
            drop(dir, all[i].hash);
        free(all[i].hash);
    }
    free(all);
}

static int write_note(const char *dir, const char *hash, struct json_object *facts, const char *sum,
                      struct err *e)
{
    char made[32];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(made, sizeof made, "%Y-%m-%d %H:%M UTC", &tm);
    auto_json struct json_object *note = json_object_new_object();
    json_put_str(note, "format", FORMAT);
    json_put_str(note, "made", made);
    json_put_str(note, "sha256", sum);
    json_put(note, "facts", json_object_get(facts));
    auto_free char *text = json_text(note, 1);
    auto_free char *path = mem_printf("%s/%s.json", dir, hash);
    auto_place struct place place = PLACE_INIT;
    auto_draft struct fs_draft draft = FS_DRAFT_INIT;
    if (place_open(path, &place, e) < 0 || fs_draft_open(&place, &draft, e) < 0)
        return -1;
    if (fs_write_full(draft.fd, text, strlen(text)) < 0)
        return err_sys(e, "cannot write '%s'", path);
    return fs_draft_publish(&draft, 0600, true, e);
}

static int keep(const char *dir, const char *hash, int rootfs_fd, struct json_object *facts,
                struct err *e)
{
    auto_free char *path = mem_printf("%s/%s.img", dir, hash);
    const struct image_pack_spec spec = { .path = path,
                                          .rootfs_fd = rootfs_fd,
                                          .grow = true,
                                          .replace = true,
                                          .mode = 0600,
                                          .owner_uid = -1,
                                          .owner_gid = -1 };
    if (image_pack(&spec, NULL, e) < 0)
        return -1;
    auto_free char *sum = digest_file(path, e);
    return sum ? write_note(dir, hash, facts, sum, e) : -1;
}

void cache_keep(const char *dir, const char *key, int rootfs_fd, struct json_object *facts)
{
    auto_free char *sub = cache_subdir(dir, "base");
    auto_free char *hash = hash_of(key);
    auto_err struct err why = { 0 };
    if (!sub)
        return;
    if (keep(sub, hash, rootfs_fd, facts, &why) < 0) {
        log_warn("the base root is not kept for next time: %s", why.msg);
        drop(sub, hash);
    }
    make_room(sub);
}

struct json_object *cache_roots(const char *cache_dir)
{
    struct json_object *list = json_object_new_array();
    auto_free char *sub = path_join(cache_dir, "base");
    auto_close int fd = open(sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_strv struct strv names = { 0 };
    if (fd < 0 || fs_names_at(fd, ".", &names) < 0)
        return list;
    for (size_t i = 0; i < names.n; i++) {
        const char *name = names.v[i];
        if (!str_ends(name, ".json"))
            continue;
        auto_json struct json_object *note = read_note(sub, name);
        struct json_object *facts = NULL;
        struct stat st = { 0 };
        auto_free char *image = mem_printf("%.*s.img", (int)strlen(name) - 5, name);
        if (!note || !json_object_object_get_ex(note, "facts", &facts) ||
            fstatat(fd, image, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        struct json_object *o = json_object_new_object();
        json_put_str(o, "made", json_get_str(note, "made"));
        json_put_str(o, "agent", json_get_str(facts, "agent"));
        json_put_str(o, "suite", json_get_str(facts, "suite"));
        json_put_int(o, "bytes", (int64_t)st.st_blocks * 512);
        json_add(list, o);
    }
    return list;
}
