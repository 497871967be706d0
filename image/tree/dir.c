/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tree/tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

/* Names of one file, by device and inode: open addressing over nodes with nlink > 1. */
struct inode_map {
    struct inode_slot {
        uint64_t dev, ino;
        struct source_node *node;
    } * slots;
    size_t size, used;
};

struct dir_feed {
    int root_fd;
    struct open_dir { /* the last few directories, each below the one before it */
        const struct source_node *dir;
        int fd;
    } open[32];
    unsigned n_open;
    const struct source_node *file; /* the file open as file_fd */
    int file_fd;
    bool holes; /* it has some */
};

struct walking {
    struct source *s;
    struct dir_feed *feed;
    struct inode_map inodes;
    struct source_node *dir; /* being read, as dir_fd */
    int dir_fd;
    uint64_t dev;     /* of the directory that the walk began with */
    const char *only; /* the one entry asked for, which may be a mount point itself */
    bool proc;        /* /proc is there */
    char *buffer;     /* XATTR_BUFFER bytes */
    struct err *e;
};

enum { XATTR_BUFFER = 1 << 16 };

static int fail(const struct source_node *n, const char *what, struct err *e)
{
    int sys = errno;
    auto_free char *path = source_path(n);
    auto_free char *shown = str_printable(path);
    errno = sys;
    return err_sys(e, "cannot %s '%s'", what, shown);
}

/* ── open directories ───────────────────────────────────────────────────────────────────────────
 */

static void close_beyond(struct dir_feed *f, unsigned keep)
{
    while (f->n_open > keep)
        close(f->open[--f->n_open].fd);
}

/* Take FD in; when there is no place left the oldest goes, and is opened again when needed. */
static void keep_open(struct dir_feed *f, const struct source_node *dir, int fd)
{
    if (f->n_open == ARRAY_LEN(f->open)) {
        close(f->open[0].fd);
        f->n_open--;
        memmove(f->open, f->open + 1, f->n_open * sizeof f->open[0]);
    }
    f->open[f->n_open++] = (struct open_dir){ .dir = dir, .fd = fd };
}

/* The nearest open ancestor of DIR (or DIR): its descriptor; *AT says which it is. */
static int nearest(struct dir_feed *f, const struct source_node *dir, const struct source_node **at)
{
    for (*at = dir; (*at)->parent; *at = (*at)->parent)
        for (unsigned i = f->n_open; i-- > 0;)
            if (f->open[i].dir == *at) {
                close_beyond(f, i + 1);
                return f->open[i].fd;
            }
    close_beyond(f, 0);
    return f->root_fd;
}

/* Descriptor of the directory DIR, lent until the next call; -1 with errno. Component by component,
 * so that a link that takes a directory's place meanwhile is not followed, and never more than a
 * few at a time, however deep the tree. */
static int open_dir(struct dir_feed *f, const struct source_node *dir)
{
    const struct source_node *at;
    int fd = nearest(f, dir, &at);
    size_t n = 0;
    for (const struct source_node *d = dir; d != at; d = d->parent)
        n++;
    auto_free const struct source_node **missing = mem_zero(n, sizeof *missing);
    for (const struct source_node *d = dir; d != at; d = d->parent)
        missing[--n] = d;
    for (; at != dir; at = missing[n++]) {
        fd = openat(fd, missing[n]->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return -1;
        keep_open(f, missing[n], fd);
    }
    return fd;
}

/* ── contents ───────────────────────────────────────────────────────────────────────────────────
 */

static int open_file(struct dir_feed *f, const struct source_node *n, struct err *e)
{
    if (f->file == n && f->file_fd >= 0)
        return f->file_fd;
    cleanup_fd(&f->file_fd);
    f->file = n;
    f->file_fd = -1;
    int dir_fd = open_dir(f, n->parent);
    /* O_NONBLOCK: it may have become a fifo by now */
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    auto_close int fd = dir_fd < 0 ? -1 : openat(dir_fd, n->name, flags);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(n, "read", e);
    if (!S_ISREG(st.st_mode) || st.st_ino != n->data || (uint64_t)st.st_size != n->size) {
        auto_free char *path = source_path(n);
        auto_free char *shown = str_printable(path);
        return err_set(e, ERR_FAILED, "'%s' changed while it was read", shown);
    }
    f->holes = (uint64_t)st.st_blocks * 512 < n->size;
    return f->file_fd = steal_fd(&fd);
}

static ssize_t dir_read(void *ctx, const struct source_node *n, void *buf, size_t len,
                        uint64_t offset, struct err *e)
{
    if (offset >= n->size)
        return 0;
    int fd = open_file(ctx, n, e);
    if (fd < 0)
        return -1;
    if (len > n->size - offset)
        len = (size_t)(n->size - offset);
    ssize_t got = fs_pread_full(fd, buf, len, offset);
    return got < 0 ? fail(n, "read", e) : got;
}

static int64_t dir_seek(void *ctx, const struct source_node *n, uint64_t offset, bool hole,
                        struct err *e)
{
    struct dir_feed *f = ctx;
    int fd = open_file(f, n, e);
    if (fd < 0)
        return -1;
    /* Asking costs a call: only where the file has fewer blocks than its size needs. */
    off_t at = f->holes ? lseek(fd, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA) : -1;
    if (at < 0 && f->holes && errno == ENXIO)
        return (int64_t)n->size;
    if (at < 0) /* no holes, or a file system that knows of none */
        return hole ? (int64_t)n->size : (int64_t)offset;
    return (uint64_t)at < n->size ? at : (int64_t)n->size;
}

static void dir_close(void *ctx)
{
    struct dir_feed *f = ctx;
    close_beyond(f, 0);
    cleanup_fd(&f->file_fd);
    free(f);
}

static const struct source_ops dir_ops = { .read = dir_read, .seek = dir_seek, .close = dir_close };

/* ── hard links ──────────────────────────────────────────────────────────────────────────────── */

static struct inode_slot *inode_slot(const struct inode_map *m, uint64_t dev, uint64_t ino)
{
    size_t i = (size_t)((ino ^ dev << 32) * 0x9e3779b97f4a7c15u >> 20) & (m->size - 1);
    while (m->slots[i].node && (m->slots[i].dev != dev || m->slots[i].ino != ino))
        i = (i + 1) & (m->size - 1);
    return &m->slots[i];
}

static void inode_map_grow(struct inode_map *m)
{
    struct inode_map bigger = { .size = m->size ? m->size * 2 : 256, .used = m->used };
    bigger.slots = mem_zero(bigger.size, sizeof *bigger.slots);
    for (size_t i = 0; i < m->size; i++)
        if (m->slots[i].node)
            *inode_slot(&bigger, m->slots[i].dev, m->slots[i].ino) = m->slots[i];
    free(m->slots);
    *m = bigger;
}

/* The node that was the first name of the file ST, or NULL: N is. */
static struct source_node *first_name(struct inode_map *m, const struct statx *st,
                                      struct source_node *n)
{
    if (m->used * 2 >= m->size)
        inode_map_grow(m);
    uint64_t dev = makedev(st->stx_dev_major, st->stx_dev_minor);
    struct inode_slot *slot = inode_slot(m, dev, st->stx_ino);
    if (slot->node)
        return slot->node;
    *slot = (struct inode_slot){ dev, st->stx_ino, n };
    m->used++;
    return NULL;
}

/* ── metadata ───────────────────────────────────────────────────────────────────────────────────
 */

/* security.selinux and the like describe this host, trusted.overlay.* the mount that the tree lies
 * on: neither belongs into an image. */
static bool kept_xattr(const char *name)
{
    if (str_starts(name, "trusted.overlay."))
        return false;
    return str_starts(name, "user.") || str_starts(name, "trusted.") ||
           str_eq(name, "security.capability") || str_starts(name, "system.posix_acl_");
}

/* Where the attributes of one file are read: through /proc, which serves every type of file, or
 * through a descriptor of the file where there is no /proc. */
struct reach {
    char path[64 + SOURCE_NAME_MAX];
    int fd; /* -1: by path */
};

static ssize_t list_xattrs(const struct reach *at, char *buf)
{
    return at->fd < 0 ? llistxattr(at->path, buf, XATTR_BUFFER)
                      : flistxattr(at->fd, buf, XATTR_BUFFER);
}

static ssize_t get_xattr(const struct reach *at, const char *name, char *buf)
{
    return at->fd < 0 ? lgetxattr(at->path, name, buf, XATTR_BUFFER)
                      : fgetxattr(at->fd, name, buf, XATTR_BUFFER);
}

static int copy_xattrs(const struct walking *w, const struct reach *at, struct source_node *n)
{
    ssize_t len = list_xattrs(at, w->buffer);
    if (len < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
        return 0;
    if (len <= 0)
        return len ? fail(n, "list the extended attributes of", w->e) : 0;
    auto_free char *names = mem_dup(w->buffer, (size_t)len);
    for (const char *x = names; x < names + len; x += strlen(x) + 1) {
        if (!kept_xattr(x))
            continue;
        ssize_t got = get_xattr(at, x, w->buffer);
        if (got < 0 && errno == ENODATA) /* gone since it was listed */
            continue;
        if (got < 0)
            return fail(n, "read the extended attributes of", w->e);
        if (source_xattr_set(n, x, w->buffer, (size_t)got, w->e) < 0)
            return -1;
    }
    return 0;
}

static int take_xattrs(const struct walking *w, int dir_fd, const char *name, struct source_node *n)
{
    struct reach at = { .fd = -1 };
    if (w->proc) {
        snprintf(at.path, sizeof at.path, "/proc/self/fd/%d/%s", dir_fd, name);
        return copy_xattrs(w, &at, n);
    }
    /* Opening a device or a FIFO is not harmless; what they could have is rare. */
    if (!S_ISREG(n->mode) && !S_ISDIR(n->mode))
        return 0;
    auto_close int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    at.fd = fd;
    return fd < 0 ? fail(n, "read the extended attributes of", w->e) : copy_xattrs(w, &at, n);
}

static void take_stat(struct source_node *n, const struct statx *st)
{
    n->mode = st->stx_mode;
    n->uid = st->stx_uid;
    n->gid = st->stx_gid;
    n->rdev_major = st->stx_rdev_major;
    n->rdev_minor = st->stx_rdev_minor;
    n->size = S_ISREG(st->stx_mode) ? st->stx_size : 0;
    n->atime = st->stx_atime.tv_sec;
    n->mtime = st->stx_mtime.tv_sec;
    n->atime_nsec = st->stx_atime.tv_nsec;
    n->mtime_nsec = st->stx_mtime.tv_nsec;
    n->data = st->stx_ino;
}

static int take_target(const struct walking *w, struct source_node *n)
{
    char target[SOURCE_LINK_MAX + 1];
    ssize_t len = readlinkat(w->dir_fd, n->name, target, sizeof target);
    if (len < 0)
        return fail(n, "read the link", w->e);
    if (len == 0 || len > SOURCE_LINK_MAX) {
        auto_free char *path = source_path(n);
        auto_free char *shown = str_printable(path);
        return err_set(w->e, ERR_INPUT, "the symlink '%s' is longer than an ext3 can hold", shown);
    }
    n->target = mem_strndup(target, (size_t)len);
    n->size = (uint64_t)len;
    return 0;
}

/* Whether a mount lies there: the kernel says so since 5.8. Before that a change of device does, of
 * directories: overlayfs gives its files the numbers of its layers. */
static bool is_mount(const struct walking *w, const struct statx *st)
{
    if (st->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
        return st->stx_attributes & STATX_ATTR_MOUNT_ROOT;
    return S_ISDIR(st->stx_mode) && makedev(st->stx_dev_major, st->stx_dev_minor) != w->dev;
}

/* ── the walk ───────────────────────────────────────────────────────────────────────────────────
 */

static int look(int dir_fd, const char *name, int flags, struct statx *st)
{
    return statx(dir_fd, name, flags | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_BASIC_STATS,
                 st);
}

/* Add NAME of the directory in hand; as fs_each_name wants it, 1 for an error that is told. */
static int take_entry(void *ctx, const char *name)
{
    struct walking *w = ctx;
    struct statx st;
    if (look(w->dir_fd, name, 0, &st) < 0) {
        if (errno == ENOENT && name != w->only) /* gone since it was listed */
            return 0;
        fail(w->dir, "look at a file in", w->e);
        return 1;
    }
    struct source_node *n = source_append(w->s, w->dir, name, strlen(name), st.stx_mode, w->e);
    if (!n)
        return 1;
    bool mounted = name != w->only && is_mount(w, &st);
    if (!S_ISDIR(st.stx_mode) && st.stx_nlink > 1 && !mounted) {
        struct source_node *first = first_name(&w->inodes, &st, n);
        if (first)
            return source_link(n, first, w->e) < 0;
    }
    take_stat(n, &st);
    if (name == w->only)
        w->dev = makedev(st.stx_dev_major, st.stx_dev_minor);
    if (mounted) {
        n->size = n->data = 0;
        return 0;
    }
    return (S_ISLNK(st.stx_mode) && take_target(w, n) < 0) ||
           take_xattrs(w, w->dir_fd, name, n) < 0;
}

static int read_dir(struct walking *w, struct source_node *dir)
{
    w->dir = dir;
    w->dir_fd = open_dir(w->feed, dir);
    auto_close int own = -1;
    int fd = w->dir_fd;
    if (!dir->parent) /* lent, and perhaps read before: not from where it stands */
        fd = own = openat(w->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fs_each_name(fd, take_entry, w);
    if (rc < 0)
        return fail(dir, "read", w->e);
    return rc ? -1 : source_sort_dir(dir, w->e); /* a file system may tell anything */
}

/* Each directory when the walk comes to it, so that none is open longer than it takes to read it.
 * What a mount hides has no data. */
static int walk(struct walking *w)
{
    struct source_node *root = w->s->root;
    w->dir = root;
    w->dir_fd = w->feed->root_fd;
    if (w->only && take_entry(w, w->only) != 0)
        return -1;
    for (struct source_node *n = w->only ? source_next(root, false) : root; n;
         n = source_next(n, false))
        if (S_ISDIR(n->mode) && n->data && read_dir(w, n) < 0)
            return -1;
    return 0;
}

struct source *source_from_dir(int root_fd, const char *only, struct err *e)
{
    struct statx st;
    if (look(root_fd, "", AT_EMPTY_PATH, &st) < 0) {
        err_sys(e, "cannot read the directory");
        return NULL;
    }
    if (!S_ISDIR(st.stx_mode)) {
        err_set(e, ERR_INPUT, "what is to be read is not a directory");
        return NULL;
    }
    struct dir_feed *feed = mem_zero(1, sizeof *feed);
    feed->root_fd = root_fd;
    feed->file_fd = -1;
    auto_source struct source *s = source_new(&dir_ops, feed);
    auto_free char *buffer = mem_alloc(XATTR_BUFFER);
    struct walking w = { .s = s, .feed = feed, .only = only, .buffer = buffer, .e = e };
    w.dev = makedev(st.stx_dev_major, st.stx_dev_minor);
    w.proc = access("/proc/self/fd", X_OK) == 0;
    take_stat(s->root, &st);
    int rc = take_xattrs(&w, root_fd, ".", s->root);
    if (rc == 0)
        rc = walk(&w);
    free(w.inodes.slots);
    return rc < 0 ? NULL : steal_ptr(s);
}
