/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/tar/tar.h"

/* Written by us rather than by libarchive: the bytes must not change with the version of a library,
 * and names must stay the bytes they are in any locale. */

enum {
    BLOCK = 512,
    RECORD = 10240,
    BUFFER = 1 << 18,
    HOLE_UNIT = 4096,
    HOLES_MIN = 1 << 16,
};

struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, linkname[100];
    char magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8], prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a tar header is one block");

struct extent {
    uint64_t offset, len;
};

struct extents {
    struct extent *v;
    size_t n;
    uint64_t data; /* sum of the lengths */
};

struct writing {
    struct source *s;
    int fd;
    uint64_t total;
    size_t used;
    uint64_t n_sockets;
    uint64_t data; /* bytes of contents seen, holes and small files aside */
    char *buffer;  /* BUFFER bytes */
    char *chunk;   /* BUFFER bytes */
};

/* ── output ──────────────────────────────────────────────────────────────────────────────────── */

static int flush(struct writing *w, struct err *e)
{
    size_t len = w->used;
    w->used = 0;
    if (len && fs_write_full(w->fd, w->buffer, len) < 0)
        return err_sys(e, "cannot write the archive");
    return 0;
}

static int put(struct writing *w, const void *data, size_t len, struct err *e)
{
    const char *p = data;
    w->total += len;
    while (len) {
        if (w->used == BUFFER && flush(w, e) < 0)
            return -1;
        size_t n = len < BUFFER - w->used ? len : BUFFER - w->used;
        memcpy(w->buffer + w->used, p, n);
        w->used += n;
        p += n;
        len -= n;
    }
    return 0;
}

static int pad(struct writing *w, size_t unit, struct err *e)
{
    static const char zeros[RECORD];
    size_t over = (size_t)(w->total % unit);
    return over ? put(w, zeros, unit - over, e) : 0;
}

/* ── headers ─────────────────────────────────────────────────────────────────────────────────── */

/* Octal in a field of N bytes with a NUL at its end. 0, or -1 when VALUE does not fit. */
static int octal(char *field, size_t n, uint64_t value)
{
    if (n * 3 - 3 < 64 && value >> (n * 3 - 3))
        return -1;
    field[n - 1] = 0;
    for (size_t i = n - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
    return 0;
}

/* "LEN KEY=VALUE\n", where LEN counts itself. */
static void record(struct str *pax, const char *key, const void *value, size_t len)
{
    size_t rest = strlen(key) + len + 3, total = rest + 1;
    for (;;) {
        char digits[24];
        size_t want = (size_t)snprintf(digits, sizeof digits, "%zu", total) + rest;
        if (want == total)
            break;
        total = want;
    }
    str_addf(pax, "%zu %s=", total, key);
    str_add_n(pax, value, len);
    str_add_c(pax, '\n');
}

static void record_number(struct str *pax, const char *key, int64_t value)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)value);
    record(pax, key, text, (size_t)len);
}

static void number(struct str *pax, char *field, size_t n, const char *key, uint64_t value)
{
    if (octal(field, n, value) == 0)
        return;
    octal(field, n, 0);
    record_number(pax, key, (int64_t)value);
}

static void set_name(struct ustar *h, struct str *pax, const char *path)
{
    size_t len = strlen(path);
    if (len <= sizeof h->name) {
        memcpy(h->name, path, len);
        return;
    }
    /* The split closest to the end that leaves a name of at most 100 bytes. */
    const char *slash = NULL;
    for (const char *p = path; (p = strchr(p, '/')); p++)
        if (p > path && (size_t)(p - path) <= sizeof h->prefix && p[1])
            slash = p;
    if (slash && strlen(slash + 1) <= sizeof h->name) {
        memcpy(h->prefix, path, (size_t)(slash - path));
        memcpy(h->name, slash + 1, strlen(slash + 1));
        return;
    }
    memcpy(h->name, path, sizeof h->name);
    record(pax, "path", path, len);
}

static int put_header(struct writing *w, struct ustar *h, struct err *e)
{
    memcpy(h->magic, "ustar", 6);
    memcpy(h->version, "00", 2);
    memset(h->sum, ' ', sizeof h->sum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof *h; i++)
        sum += ((const unsigned char *)h)[i];
    octal(h->sum, 7, sum);
    return put(w, h, sizeof *h, e);
}

static int put_pax(struct writing *w, const struct str *pax, const char *path, struct err *e)
{
    if (!pax->len)
        return 0;
    struct ustar h = { .type = 'x' };
    snprintf(h.name, sizeof h.name, "PaxHeaders/%.80s", path);
    octal(h.mode, sizeof h.mode, 0644);
    octal(h.uid, sizeof h.uid, 0);
    octal(h.gid, sizeof h.gid, 0);
    octal(h.size, sizeof h.size, pax->len);
    octal(h.mtime, sizeof h.mtime, 0);
    if (put_header(w, &h, e) < 0 || put(w, pax->data, pax->len, e) < 0)
        return -1;
    return pad(w, BLOCK, e);
}

/* A fraction counts forwards from the second before it, in pax from zero: -1 s + 0.75 is -0.25. */
static void set_time(struct ustar *h, struct str *pax, const struct source_node *n)
{
    octal(h->mtime, sizeof h->mtime, 0);
    if (n->mtime >= 0 && octal(h->mtime, sizeof h->mtime, (uint64_t)n->mtime) == 0 &&
        !n->mtime_nsec)
        return;
    bool back = n->mtime < 0 && n->mtime_nsec;
    int64_t seconds = back ? n->mtime + 1 : n->mtime;
    uint32_t nsec = back ? 1000000000u - n->mtime_nsec : n->mtime_nsec;
    char text[48];
    int len =
        snprintf(text, sizeof text, "%s%lld", back && !seconds ? "-" : "", (long long)seconds);
    if (nsec)
        len += snprintf(text + len, sizeof text - (size_t)len, ".%09u", nsec);
    record(pax, "mtime", text, (size_t)len);
}

static void set_metadata(struct ustar *h, struct str *pax, const struct source_node *n)
{
    octal(h->mode, sizeof h->mode, n->mode & 07777);
    number(pax, h->uid, sizeof h->uid, "uid", n->uid);
    number(pax, h->gid, sizeof h->gid, "gid", n->gid);
    set_time(h, pax, n);
    for (size_t i = 0; i < n->n_xattrs; i++) {
        auto_free char *key = mem_printf("SCHILY.xattr.%s", n->xattrs[i].name);
        record(pax, key, n->xattrs[i].value, n->xattrs[i].len);
    }
}

static void set_link(struct ustar *h, struct str *pax, const char *target)
{
    size_t len = strlen(target);
    memcpy(h->linkname, target, len < sizeof h->linkname ? len : sizeof h->linkname);
    if (len > sizeof h->linkname)
        record(pax, "linkpath", target, len);
}

/* ── contents ────────────────────────────────────────────────────────────────────────────────── */

static void extents_fini(struct extents *x)
{
    free(x->v);
}

static void extents_add(struct extents *x, uint64_t offset, uint64_t len)
{
    x->v = mem_grow(x->v, x->n, sizeof *x->v);
    x->v[x->n++] = (struct extent){ offset, len };
    x->data += len;
}

static bool is_zero(const char *data, size_t len)
{
    return data[0] == 0 && memcmp(data, data + 1, len - 1) == 0;
}

/* Add what of LEN bytes at OFFSET is not a block of zeros. */
static void scan(struct extents *x, const char *data, size_t len, uint64_t offset)
{
    for (size_t at = 0; at < len; at += HOLE_UNIT) {
        size_t part = len - at < HOLE_UNIT ? len - at : HOLE_UNIT;
        struct extent *last = x->n ? &x->v[x->n - 1] : NULL;
        if (is_zero(data + at, part))
            continue;
        if (last && last->offset + last->len == offset + at) {
            last->len += part;
            x->data += part;
        } else {
            extents_add(x, offset + at, part);
        }
    }
}

/* The parts of a file that are data. What is a hole depends on its bytes alone, not on whether the
 * source keeps it as one: a copy without holes has to give the same archive. Few holes are none, as
 * not every tar can read them. */
static int find_extents(struct writing *w, const struct source_node *n, struct extents *x,
                        struct err *e)
{
    const struct source_ops *ops = w->s->ops;
    for (uint64_t at = 0; n->size >= HOLES_MIN && at < n->size;) {
        if (ops->seek) {
            int64_t data = ops->seek(w->s->ctx, n, at, false, e);
            if (data < 0)
                return -1;
            if ((uint64_t)data > at)
                at = (uint64_t)data & ~(uint64_t)(HOLE_UNIT - 1);
        }
        size_t done = 0, want = n->size - at < BUFFER ? (size_t)(n->size - at) : BUFFER;
        while (at < n->size && done < want) {
            ssize_t got = ops->read(w->s->ctx, n, w->chunk + done, want - done, at + done, e);
            if (got < 0)
                return -1;
            if (got == 0) /* told when it is read for writing */
                break;
            done += (size_t)got;
        }
        if (done == 0)
            break;
        scan(x, w->chunk, done, at);
        at += done;
        if (source_data_check(w->s, w->data + x->data, e) < 0)
            return -1;
    }
    w->data += x->data;
    if (n->size - x->data >= HOLES_MIN)
        return 0;
    x->n = 0;
    x->data = 0;
    extents_add(x, 0, n->size);
    return 0;
}

static int put_extent(struct writing *w, const struct source_node *n, struct extent x,
                      struct err *e)
{
    while (x.len) {
        size_t want = x.len < BUFFER ? (size_t)x.len : BUFFER;
        ssize_t got = w->s->ops->read(w->s->ctx, n, w->chunk, want, x.offset, e);
        if (got <= 0) {
            auto_free char *path = source_path(n);
            if (got == 0)
                err_set(e, ERR_FAILED, "shorter than it was a moment ago");
            return err_wrap(e, "cannot read '%s'", path);
        }
        if (put(w, w->chunk, (size_t)got, e) < 0)
            return -1;
        x.offset += (uint64_t)got;
        x.len -= (uint64_t)got;
    }
    return 0;
}

/* GNU.sparse 1.0: the map of what is data comes before it, in blocks of its own. */
static void sparse_map(const struct extents *x, uint64_t size, struct str *map)
{
    bool open_end = !x->n || x->v[x->n - 1].offset + x->v[x->n - 1].len < size;
    str_addf(map, "%zu\n", x->n + open_end);
    for (size_t i = 0; i < x->n; i++)
        str_addf(map, "%llu\n%llu\n", (unsigned long long)x->v[i].offset,
                 (unsigned long long)x->v[i].len);
    if (open_end)
        str_addf(map, "%llu\n0\n", (unsigned long long)size);
    while (map->len % BLOCK)
        str_add_c(map, 0);
}

static int put_content(struct writing *w, const struct source_node *n, const struct extents *x,
                       const struct str *map, struct err *e)
{
    if (map->len && put(w, map->data, map->len, e) < 0)
        return -1;
    for (size_t i = 0; i < x->n; i++)
        if (put_extent(w, n, x->v[i], e) < 0)
            return -1;
    return pad(w, BLOCK, e);
}

static int put_regular(struct writing *w, const struct source_node *n, const char *path,
                       struct err *e)
{
    struct ustar h = { .type = '0' };
    auto_str struct str pax = { 0 }, map = { 0 };
    cleanup_with(extents_fini) struct extents x = { 0 };
    if (n->size && find_extents(w, n, &x, e) < 0)
        return err_wrap(e, "'%s'", path);
    if (x.data < n->size) {
        sparse_map(&x, n->size, &map);
        record_number(&pax, "GNU.sparse.major", 1);
        record_number(&pax, "GNU.sparse.minor", 0);
        record(&pax, "GNU.sparse.name", path, strlen(path));
        record_number(&pax, "GNU.sparse.realsize", (int64_t)n->size);
        snprintf(h.name, sizeof h.name, "GNUSparseFile.0/%.80s", path);
    } else {
        set_name(&h, &pax, path);
    }
    number(&pax, h.size, sizeof h.size, "size", map.len + x.data);
    set_metadata(&h, &pax, n);
    if (put_pax(w, &pax, path, e) < 0 || put_header(w, &h, e) < 0)
        return -1;
    return put_content(w, n, &x, &map, e);
}

/* ── the tree ────────────────────────────────────────────────────────────────────────────────── */

static int put_other(struct writing *w, const struct source_node *n, const char *path,
                     struct err *e)
{
    struct ustar h = { 0 };
    auto_str struct str pax = { 0 };
    switch (n->mode & S_IFMT) {
    case S_IFDIR:
        h.type = '5';
        break;
    case S_IFLNK:
        h.type = '2';
        set_link(&h, &pax, n->target);
        break;
    case S_IFIFO:
        h.type = '6';
        break;
    default:
        h.type = S_ISCHR(n->mode) ? '3' : '4';
        octal(h.devmajor, sizeof h.devmajor, n->rdev_major);
        octal(h.devminor, sizeof h.devminor, n->rdev_minor);
    }
    set_name(&h, &pax, path);
    octal(h.size, sizeof h.size, 0);
    set_metadata(&h, &pax, n);
    return put_pax(w, &pax, path, e) < 0 ? -1 : put_header(w, &h, e);
}

static int put_hard_link(struct writing *w, const struct source_node *file, const char *path,
                         const char *first, struct err *e)
{
    struct ustar h = { .type = '1' };
    auto_str struct str pax = { 0 };
    set_name(&h, &pax, path);
    set_link(&h, &pax, first);
    octal(h.size, sizeof h.size, 0);
    octal(h.mode, sizeof h.mode, file->mode & 07777);
    number(&pax, h.uid, sizeof h.uid, "uid", file->uid);
    number(&pax, h.gid, sizeof h.gid, "gid", file->gid);
    octal(h.mtime, sizeof h.mtime, file->mtime >= 0 ? (uint64_t)file->mtime : 0);
    return put_pax(w, &pax, path, e) < 0 ? -1 : put_header(w, &h, e);
}

static int put_node(struct writing *w, struct source_node *n, struct err *e)
{
    struct source_node *file = source_file(n);
    auto_free char *full = source_path(n);
    auto_free char *path = !n->parent         ? mem_strdup("./")
                           : S_ISDIR(n->mode) ? mem_printf("%s/", full + 1)
                                              : mem_strdup(full + 1);
    if (S_ISSOCK(file->mode)) {
        w->n_sockets++;
        return 0;
    }
    if (file->mark) {
        auto_free char *first = source_path((const struct source_node *)(uintptr_t)file->mark);
        return put_hard_link(w, file, path, first + 1, e);
    }
    if (!S_ISDIR(n->mode))
        file->mark = (uint64_t)(uintptr_t)n;
    return S_ISREG(file->mode) ? put_regular(w, file, path, e) : put_other(w, file, path, e);
}

int tar_write(struct source *s, int out_fd, struct err *e)
{
    static const char end[2 * BLOCK];
    auto_free char *buffer = mem_alloc(BUFFER), *chunk = mem_alloc(BUFFER);
    struct writing w = { .s = s, .fd = out_fd, .buffer = buffer, .chunk = chunk };
    source_sort(s);
    for (struct source_node *n = s->root; n; n = source_next(n, false))
        n->mark = 0;
    for (struct source_node *n = s->root; n; n = source_next(n, false))
        if (put_node(&w, n, e) < 0)
            return -1;
    if (put(&w, end, sizeof end, e) < 0 || pad(&w, RECORD, e) < 0 || flush(&w, e) < 0)
        return -1;
    if (w.n_sockets)
        log_info("%llu sockets were left out: tar has no form for them",
                 (unsigned long long)w.n_sockets);
    return 0;
}
