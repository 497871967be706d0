/* SPDX-License-Identifier: BSD-3-Clause */
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "image/tar/tar.h"
#include "image/tar/acl.h"
#include "image/tar/feed.h"
#include "image/tar/path.h"
#include "image/tar/spill.h"

#define FILE_BYTES_MAX                                                                             \
    (2ull << 40) /* ext3 with 4 KiB blocks: i_blocks counts 512 bytes in 32 bits */
/* Seconds that an ext3 inode of 256 bytes can hold. */
#define TIME_MIN (-(1ll << 31))
#define TIME_MAX ((1ll << 34) - (1ll << 31) - 1)

enum { BLOCK = 512 };

struct reading {
    struct archive *a;
    struct feed *feed;
    struct source *s;
    struct spill *spill;
    const struct tar_input *in;
    uint64_t n_dropped_xattrs;
};

static inline void archive_release(struct archive *a)
{
    archive_read_free(a);
}
CLEANUP_DEFINE(struct archive *, cleanup_archive, archive_release)

static int bad_entry(const char *path, const char *why, struct err *e)
{
    auto_free char *cut = mem_strndup(path, strnlen(path, 400));
    auto_free char *shown = str_printable(cut);
    return err_set(e, ERR_INPUT, "'%.400s' %s", shown, why);
}

static int over_limit(const struct reading *r, struct err *e)
{
    auto_free char *limit = str_human_size(r->in->max_bytes);
    err_set(e, ERR_INPUT, "the archive unpacks to more than the %s allowed", limit);
    return err_hint(e, "if it is right, allow more with '--max-size SIZE'");
}

/* What the feed refused, which the reader of tar takes for a failed read. */
static int feed_failed(const struct reading *r, struct err *e)
{
    if (feed_fault(r->feed) == FEED_OVER)
        return over_limit(r, e);
    return err_set(e, ERR_INPUT,
                   "the archive has a header, a map of holes or an access list that is too long");
}

static int archive_failed(const struct reading *r, struct err *e)
{
    struct archive *a = r->a;
    if (feed_fault(r->feed) != FEED_SOUND)
        return feed_failed(r, e);
    const char *why = archive_error_string(a);
    auto_free char *shown = str_printable(why ? why : "it is truncated or damaged");
    int sys = archive_errno(a);
    /* What libarchive says of a bad archive carries errno 84 (EILSEQ) or a negative number. */
    bool input = sys <= 0 || sys == EILSEQ || sys == EINVAL || sys == ENOMEM;
    err_set(e, input ? ERR_INPUT : ERR_FAILED, "cannot read the archive: %.300s", shown);
    if (e && !input)
        e->sys = sys;
    if (why && strstr(why, "Unrecognized archive format"))
        return err_hint(e, "it must be a tar archive, plain or packed with gzip, bzip2, xz, zstd "
                           "or lz4");
    return -1;
}

/* In the C locale libarchive leaves names as the bytes they are, and says that it could not convert
 * them. (In a UTF-8 locale it would change decomposed names into composed ones.) */
static bool harmless_warning(struct archive *a)
{
    const char *why = archive_error_string(a);
    return why && strstr(why, "can't be converted");
}

static bool is_over(const struct reading *r, uint64_t more)
{
    int64_t seen = archive_filter_bytes(r->a, 0);
    return seen < 0 || (uint64_t)seen > r->in->max_bytes || more > r->in->max_bytes;
}

/* ── one entry's metadata ────────────────────────────────────────────────────────────────────── */

static bool kept_xattr(const char *name)
{
    static const char *const prefixes[] = { "user.", "trusted.", "security." };
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (str_starts(name, prefixes[i]) && name[strlen(prefixes[i])])
            return true;
    return str_eq(name, TAR_ACL_ACCESS) || str_eq(name, TAR_ACL_DEFAULT);
}

static int take_xattrs(struct reading *r, struct archive_entry *entry, struct source_node *n,
                       struct err *e)
{
    const char *name;
    const void *value;
    size_t len;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &len) == ARCHIVE_OK) {
        if (!name || !kept_xattr(name)) {
            r->n_dropped_xattrs++;
            continue;
        }
        if (source_xattr_set(n, name, value, len, e) < 0)
            return -1;
    }
    return tar_acl_take(entry, n, e);
}

/* libarchive takes the fraction of "-1.25" for one that counts forwards. (Of "-0.25" it loses the
 * sign, which nobody can give back.) */
static void take_time(int64_t seconds, long nsec, int64_t *out, uint32_t *out_nsec)
{
    bool back = seconds < 0 && nsec > 0;
    *out = back ? seconds - 1 : seconds;
    *out_nsec = (uint32_t)(back ? 1000000000 - nsec : nsec);
}

static int take_times(struct archive_entry *entry, struct source_node *n, const char *path,
                      struct err *e)
{
    int64_t mtime = archive_entry_mtime(entry), atime = archive_entry_atime(entry);
    if (!archive_entry_atime_is_set(entry))
        atime = mtime;
    if (mtime < TIME_MIN || mtime > TIME_MAX || atime < TIME_MIN || atime > TIME_MAX)
        return bad_entry(path, "has a time that no image can hold", e);
    take_time(mtime, archive_entry_mtime_nsec(entry) % 1000000000, &n->mtime, &n->mtime_nsec);
    n->atime = n->mtime;
    n->atime_nsec = n->mtime_nsec;
    if (archive_entry_atime_is_set(entry))
        take_time(atime, archive_entry_atime_nsec(entry) % 1000000000, &n->atime, &n->atime_nsec);
    if (n->mtime < TIME_MIN || n->atime < TIME_MIN)
        return bad_entry(path, "has a time that no image can hold", e);
    return 0;
}

static int take_metadata(struct reading *r, struct archive_entry *entry, struct source_node *n,
                         struct err *e)
{
    const char *path = archive_entry_pathname(entry);
    int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
    if (uid < 0 || uid > UINT32_MAX - 1 || gid < 0 || gid > UINT32_MAX - 1)
        return bad_entry(path, "has an owner that is no user or group id", e);
    n->uid = (uint32_t)uid;
    n->gid = (uint32_t)gid;
    n->mode = (n->mode & S_IFMT) | (archive_entry_perm(entry) & 07777);
    if (S_ISBLK(n->mode) || S_ISCHR(n->mode)) {
        n->rdev_major = (uint32_t)archive_entry_rdevmajor(entry);
        n->rdev_minor = (uint32_t)archive_entry_rdevminor(entry);
        if (n->rdev_major > 0xfff || n->rdev_minor > 0xfffff)
            return bad_entry(path, "is a device with a number that Linux does not have", e);
    }
    if (take_times(entry, n, path, e) < 0)
        return -1;
    return take_xattrs(r, entry, n, e);
}

/* ── one entry ───────────────────────────────────────────────────────────────────────────────── */

static int take_data(struct reading *r, struct source_node *n, struct err *e)
{
    const void *data;
    size_t len;
    la_int64_t offset;
    uint64_t end = 0;
    spill_begin(r->spill, n);
    for (;;) {
        int rc = archive_read_data_block(r->a, &data, &len, &offset);
        if (rc == ARCHIVE_EOF)
            return 0;
        if (rc != ARCHIVE_OK)
            return archive_failed(r, e);
        if (is_over(r, len))
            return over_limit(r, e);
        if (len == 0)
            continue;
        if (offset < 0 || (uint64_t)offset < end || (uint64_t)offset > n->size ||
            len > n->size - (uint64_t)offset) {
            auto_free char *path = source_path(n);
            return bad_entry(path, "has a map of its holes that does not fit its size", e);
        }
        if (spill_add(r->spill, data, len, (uint64_t)offset, e) < 0)
            return -1;
        end = (uint64_t)offset + len;
    }
}

static int take_link(struct reading *r, struct source_node *n, const char *target, struct err *e)
{
    struct tar_place to;
    if (tar_place_find(r->s, target, &to, e) < 0)
        return err_wrap(e, "hard link");
    struct source_node *file = to.dir ? source_find(r->s, to.dir, to.name, to.len) : NULL;
    if (!file || file == n) {
        auto_free char *path = source_path(n);
        auto_free char *shown = str_printable(path), *shown_to = str_printable(target);
        return err_set(e, ERR_INPUT,
                       "'%.200s' is a hard link to '%.200s', which is not there before", shown,
                       shown_to);
    }
    return source_link(n, file, e);
}

/* The root's own entry ("./"): only a directory will do, or a later entry would go where a planted
 * link leads (CVE-2021-29136). */
static int take_root(struct reading *r, struct archive_entry *entry, uint32_t type, struct err *e)
{
    if (type != S_IFDIR || archive_entry_hardlink(entry))
        return bad_entry(archive_entry_pathname(entry),
                         "would replace the root by something that is not a directory", e);
    return take_metadata(r, entry, r->s->root, e);
}

/* The node for an entry of TYPE at PLACE: new, or the directory that is there. */
static struct source_node *make_node(struct reading *r, const struct tar_place *place,
                                     uint32_t type, const char *path, struct err *e)
{
    struct source_node *old = source_find(r->s, place->dir, place->name, place->len);
    if (old && S_ISDIR(old->mode)) {
        if (type == S_IFDIR)
            return old;
        bad_entry(path, "is in the archive as a directory and as a file", e);
        return NULL;
    }
    if (old)
        source_remove(r->s, old);
    if (tar_nodes_left(r->s, e) < 0)
        return NULL;
    return source_add(r->s, place->dir, place->name, place->len, type, e);
}

static int take_symlink(struct archive_entry *entry, struct source_node *n, const char *path,
                        struct err *e)
{
    const char *target = archive_entry_symlink(entry);
    if (!target || !*target || strlen(target) > SOURCE_LINK_MAX)
        return bad_entry(path, "is a symlink without a usable target", e);
    n->target = mem_strdup(target);
    n->size = strlen(target);
    return 0;
}

static int take_entry(struct reading *r, struct archive_entry *entry, struct err *e)
{
    const char *path = archive_entry_pathname(entry);
    const char *hard = archive_entry_hardlink(entry);
    if (!path || !*path)
        return err_set(e, ERR_INPUT, "the archive has an entry without a name");
    uint32_t type = hard ? S_IFREG : archive_entry_filetype(entry);
    if (type == 0 || type == S_IFSOCK)
        return bad_entry(path, "is of a type that is not known here", e);
    struct tar_place place;
    if (tar_place_find(r->s, path, &place, e) < 0)
        return -1;
    if (!place.dir)
        return take_root(r, entry, type, e);
    struct source_node *n = make_node(r, &place, type, path, e);
    if (!n)
        return -1;
    if (hard)
        return take_link(r, n, hard, e);
    if (type == S_IFLNK && take_symlink(entry, n, path, e) < 0)
        return -1;
    if (take_metadata(r, entry, n, e) < 0)
        return -1;
    if (type != S_IFREG)
        return 0;
    int64_t size = archive_entry_size(entry);
    if (size < 0 || (uint64_t)size > FILE_BYTES_MAX)
        return bad_entry(path, "is larger than the 2 TiB that a file in an image may have", e);
    n->size = (uint64_t)size;
    return take_data(r, n, e);
}

/* ── the archive ─────────────────────────────────────────────────────────────────────────────── */

static int open_archive(struct reading *r, struct err *e)
{
    archive_read_support_format_tar(r->a);
    feed_header(r->feed, true); /* what it looks at to know what it is */
    return feed_open(r->feed, r->in, r->a) == ARCHIVE_OK ? 0 : archive_failed(r, e);
}

/* The end of an archive is marked by a block of zeros. Without one the sender died between two
 * files, which libarchive takes for an end like any other. */
static int check_end(struct archive *a, int64_t before, struct err *e)
{
    if (archive_filter_bytes(a, 0) - before >= BLOCK)
        return 0;
    return err_set(e, ERR_INPUT, "the archive is truncated: it has no end mark");
}

/* Take what the sender pads the archive with, or it dies of a broken pipe. */
static void drain(int fd)
{
    char buf[65536];
    for (int i = 0; i < 1024; i++) {
        ssize_t got = read(fd, buf, sizeof buf);
        if (got == 0 || (got < 0 && errno != EINTR))
            return;
    }
}

static int read_entries(struct reading *r, struct err *e)
{
    for (bool first = true;; first = false) {
        struct archive_entry *entry = NULL;
        feed_header(r->feed, false);
        if (!first && archive_read_data_skip(r->a) < ARCHIVE_OK)
            return archive_failed(r, e);
        feed_header(r->feed, true);
        int64_t before = archive_filter_bytes(r->a, 0);
        int rc = archive_read_next_header(r->a, &entry);
        if (rc == ARCHIVE_EOF)
            return check_end(r->a, before, e);
        if (rc == ARCHIVE_WARN && !harmless_warning(r->a))
            return archive_failed(r, e);
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return archive_failed(r, e);
        if (is_over(r, 0))
            return over_limit(r, e);
        feed_header(r->feed, false);
        if (take_entry(r, entry, e) < 0)
            return -1;
    }
}

static struct source *read_archive(const struct tar_input *in, struct err *e)
{
    cleanup_with(cleanup_feed) struct feed *feed = feed_new(in);
    cleanup_with(cleanup_archive) struct archive *a = archive_read_new();
    struct spill *spill = spill_new(in->spill_fd);
    auto_source struct source *s = source_new(&spill_ops, spill);
    s->max_nodes = in->max_nodes;
    struct reading r = { .a = a, .feed = feed, .s = s, .spill = spill, .in = in };
    if (open_archive(&r, e) < 0 || read_entries(&r, e) < 0 || spill_finish(spill, e) < 0)
        return NULL;
    if (in->fd >= 0)
        drain(in->fd);
    if (s->n_nodes == 1) {
        err_set(e, ERR_INPUT, "the archive is empty");
        return NULL;
    }
    if (r.n_dropped_xattrs)
        log_verbose("%llu extended attributes of kinds that images do not hold were left out",
                    (unsigned long long)r.n_dropped_xattrs);
    return steal_ptr(s);
}

struct source *source_from_tar(const struct tar_input *in, struct err *e)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (c == (locale_t)0) {
        err_sys(e, "cannot set the locale");
        return NULL;
    }
    locale_t before = uselocale(c);
    struct source *s = read_archive(in, e);
    uselocale(before);
    freelocale(c);
    return s;
}
