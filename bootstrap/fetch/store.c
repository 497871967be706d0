/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/fetch/fetch.h"

#include <ctype.h>
#include <fcntl.h>
#include <rpm/rpmpgp.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

static const struct {
    const char *type;
    int algo;
} types[] = {
    { "sha256", PGPHASHALGO_SHA256 }, { "sha512", PGPHASHALGO_SHA512 },
    { "sha384", PGPHASHALGO_SHA384 }, { "sha224", PGPHASHALGO_SHA224 },
    { "sha1", PGPHASHALGO_SHA1 }, /* EL5 and older: no collision helps who does not make the file */
    { "sha", PGPHASHALGO_SHA1 },
};

int store_algo(const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcasecmp(types[i].type, type) == 0)
            return types[i].algo;
    return -1;
}

static const char *algo_name(int algo)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i].algo == algo)
            return types[i].type;
    return "?";
}

bool store_hex_ok(int algo, const char *hex)
{
    size_t want = rpmDigestLength(algo) * 2;
    return want && strlen(hex) == want && strspn(hex, "0123456789abcdefABCDEF") == want;
}

int store_sum_start(struct store_sum *s, int algo, struct err *e)
{
    store_sum_drop(s);
    s->ctx = rpmDigestInit(algo, RPMDIGEST_NONE);
    return s->ctx ? 0 : err_set(e, ERR_HOST, "librpm cannot compute checksums of type %d", algo);
}

void store_sum_add(struct store_sum *s, const void *data, size_t len)
{
    rpmDigestUpdate(s->ctx, data, len);
}

bool store_sum_is(struct store_sum *s, const char *hex)
{
    void *text = NULL;
    size_t len = 0;
    bool same =
        s->ctx && rpmDigestFinal(s->ctx, &text, &len, 1) == 0 && text && strcasecmp(text, hex) == 0;
    s->ctx = NULL;
    free(text);
    return same;
}

void store_sum_drop(struct store_sum *s)
{
    if (s->ctx)
        rpmDigestFinal(s->ctx, NULL, NULL, 0);
    s->ctx = NULL;
}

int store_sum_fd(struct store_sum *s, int fd, uint64_t len)
{
    enum { PIECE = 1 << 17 };
    auto_free char *buf = mem_alloc(PIECE);
    for (uint64_t at = 0; at < len;) {
        size_t want = len - at < PIECE ? (size_t)(len - at) : PIECE;
        ssize_t n = fs_pread_full(fd, buf, want, at);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        store_sum_add(s, buf, (size_t)n);
        at += (uint64_t)n;
    }
    return 0;
}

static int check_mine(int fd, const char *path, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(e, "cannot look at '%s'", path);
    if (st.st_uid == geteuid() && !(st.st_mode & 022))
        return 0;
    err_set(e, ERR_FAILED, "cache directory '%s' %s", path,
            st.st_uid == geteuid() ? "can be written by others" : "belongs to another user");
    return err_hint(e, "name one of your own with HPCC_CACHEDIR");
}

int store_dir_open(const char *cache_dir, const char *kind, struct err *e)
{
    auto_free char *path = mem_printf("%s/%s", cache_dir, kind);
    if (mkdir(cache_dir, 0700) < 0 && errno != EEXIST)
        return err_sys(e, "cannot make cache directory '%s'", cache_dir);
    auto_close int top = open(cache_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (top < 0)
        return err_sys(e, "cannot open cache directory '%s'", cache_dir);
    if (check_mine(top, cache_dir, e) < 0)
        return -1;
    if (mkdirat(top, kind, 0700) < 0 && errno != EEXIST)
        return err_sys(e, "cannot make cache directory '%s'", path);
    auto_close int fd = openat(top, kind, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "cannot open cache directory '%s'", path);
    return check_mine(fd, path, e) < 0 ? -1 : steal_fd(&fd);
}

static char *object_name(int algo, const char *hex)
{
    char *name = mem_printf("%s-%s", algo_name(algo), hex);
    str_lower(name);
    return name;
}

/* A file of ours under this name alone: through another, what was verified could change, or what is
 * not the cache's be written. */
static bool is_plain_and_mine(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
           st.st_nlink == 1 && !(st.st_mode & 022);
}

int store_take(int dir_fd, int algo, const char *hex)
{
    if (dir_fd < 0)
        return -1;
    auto_free char *name = object_name(algo, hex);
    auto_close int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || !is_plain_and_mine(fd))
        return -1;
    struct store_sum sum = { 0 };
    if (store_sum_start(&sum, algo, NULL) < 0)
        return -1;
    int read_rc = store_sum_fd(&sum, fd, UINT64_MAX);
    if (store_sum_is(&sum, hex) && read_rc == 0)
        return steal_fd(&fd);
    unlinkat(dir_fd, name, 0);
    return -1;
}

static int open_nameless(struct err *e)
{
    int fd = open("/var/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    if (fd < 0)
        fd = memfd_create("download", MFD_CLOEXEC);
    return fd < 0 ? err_sys(e, "cannot make a temporary file in '/var/tmp'") : fd;
}

int store_part_open(int dir_fd, int algo, const char *hex, struct store_part *out, struct err *e)
{
    *out = (struct store_part){ .fd = -1, .dir_fd = -1 };
    struct stat st, named;
    if (dir_fd >= 0) {
        auto_free char *name = object_name(algo, hex);
        auto_free char *part = mem_printf("%s.part", name);
        auto_close int fd =
            openat(dir_fd, part, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
        if (fd < 0)
            return err_sys(e, "cannot write '%s' in the cache", part);
        /* Someone else may be at it: then each fetches for himself, nobody waits. */
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 &&
            fstatat(dir_fd, part, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == st.st_ino &&
            is_plain_and_mine(fd)) {
            *out = (struct store_part){ .fd = steal_fd(&fd),
                                        .dir_fd = dir_fd,
                                        .name = steal_ptr(name),
                                        .bytes = (uint64_t)st.st_size };
            return 0;
        }
    }
    out->fd = open_nameless(e);
    return out->fd < 0 ? -1 : 0;
}

int store_part_publish(struct store_part *p)
{
    if (p->name) {
        auto_free char *part = mem_printf("%s.part", p->name);
        if (renameat(p->dir_fd, part, p->dir_fd, p->name) < 0)
            unlinkat(p->dir_fd, part, 0);
        flock(p->fd, LOCK_UN);
    }
    free(p->name);
    p->name = NULL;
    return steal_fd(&p->fd);
}

void store_part_close(struct store_part *p, bool keep)
{
    if (p->name && !keep) {
        auto_free char *part = mem_printf("%s.part", p->name);
        unlinkat(p->dir_fd, part, 0);
    }
    free(p->name);
    p->name = NULL;
    if (p->fd >= 0)
        close(steal_fd(&p->fd));
}
