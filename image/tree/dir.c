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
#include "base/strv.h"

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
    const struct source_node *dir; /* the directory open as dir_fd */
    int dir_fd;
    const struct source_node *file; /* the file open as file_fd */
    int file_fd;
};

struct walking {
    struct source *s;
    struct inode_map inodes;
    char *buffer;     /* XATTR_BUFFER bytes */
    const char *only; /* the one entry asked for, which may be a mount point itself */
};

enum { XATTR_BUFFER = 1 << 16 };

/* ── contents ────────────────────────────────────────────────────────────────────────────────── */

static int open_dir_of(struct dir_feed *f, const struct source_node *n)
{
    if (f->dir == n->parent && f->dir_fd >= 0)
        return f->dir_fd;
    cleanup_fd(&f->dir_fd);
    auto_free char *path = source_path(n->parent);
    f->dir = n->parent;
    f->dir_fd = fs_open_at(f->root_fd, path, O_PATH | O_DIRECTORY, 0, NULL);
    return f->dir_fd;
}

static int open_file(struct dir_feed *f, const struct source_node *n, struct err *e)
{
    if (f->file == n && f->file_fd >= 0)
        return f->file_fd;
    cleanup_fd(&f->file_fd);
    f->file = n;
    f->file_fd = -1;
    int dir_fd = open_dir_of(f, n);
    /* O_NONBLOCK: it may have become a fifo by now */
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    f->file_fd = dir_fd < 0 ? -1 : openat(dir_fd, n->name, flags);
    auto_free char *path = f->file_fd < 0 ? source_path(n) : NULL;
    if (f->file_fd < 0)
        return err_sys(e, "cannot open '%s'", path);
    struct stat st;
    if (fstat(f->file_fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != n->data) {
        path = source_path(n);
        return err_set(e, ERR_FAILED, "'%s' was replaced while it was read", path);
    }
    return f->file_fd;
}

static ssize_t dir_read(void *ctx, const struct source_node *n, void *buf, size_t len,
                        uint64_t offset, struct err *e)
{
    int fd = open_file(ctx, n, e);
    if (fd < 0)
        return -1;
    if (offset >= n->size)
        return 0;
    if (len > n->size - offset)
        len = (size_t)(n->size - offset);
    ssize_t got = fs_pread_full(fd, buf, len, offset);
    if (got < 0) {
        auto_free char *path = source_path(n);
        return err_sys(e, "cannot read '%s'", path);
    }
    return got;
}

static int64_t dir_seek(void *ctx, const struct source_node *n, uint64_t offset, bool hole,
                        struct err *e)
{
    int fd = open_file(ctx, n, e);
    if (fd < 0)
        return -1;
    off_t at = lseek(fd, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA);
    if (at < 0 && errno == ENXIO)
        return (int64_t)n->size;
    if (at < 0) /* a file system that knows of no holes */
        return hole ? (int64_t)n->size : (int64_t)offset;
    return (uint64_t)at < n->size ? at : (int64_t)n->size;
}

static void dir_close(void *ctx)
{
    struct dir_feed *f = ctx;
    cleanup_fd(&f->dir_fd);
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
static struct source_node *first_name(struct inode_map *m, const struct stat *st,
                                      struct source_node *n)
{
    if (m->used * 2 >= m->size)
        inode_map_grow(m);
    struct inode_slot *slot = inode_slot(m, st->st_dev, st->st_ino);
    if (slot->node)
        return slot->node;
    *slot = (struct inode_slot){ st->st_dev, st->st_ino, n };
    m->used++;
    return NULL;
}

/* ── metadata ────────────────────────────────────────────────────────────────────────────────── */

static bool kept_xattr(const char *name)
{
    if (str_starts(name, "trusted.overlay.")) /* of the mount that the tree lies on */
        return false;
    return str_starts(name, "user.") || str_starts(name, "trusted.") ||
           str_eq(name, "security.capability") || str_starts(name, "system.posix_acl_");
}

static int fail(const struct source_node *n, const char *what, struct err *e)
{
    int sys = errno;
    auto_free char *path = source_path(n);
    errno = sys;
    return err_sys(e, "cannot %s '%s'", what, path);
}

static int take_xattrs(struct walking *w, int dir_fd, const char *name, struct source_node *n,
                       struct err *e)
{
    char path[64 + SOURCE_NAME_MAX];
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir_fd, name);
    ssize_t len = llistxattr(path, w->buffer, XATTR_BUFFER);
    if (len < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
        return 0;
    if (len <= 0)
        return len ? fail(n, "list the extended attributes of", e) : 0;
    auto_free char *names = mem_dup(w->buffer, (size_t)len);
    for (const char *x = names; x < names + len; x += strlen(x) + 1) {
        if (!kept_xattr(x))
            continue;
        ssize_t got = lgetxattr(path, x, w->buffer, XATTR_BUFFER);
        if (got < 0 && (errno == ENODATA || errno == EPERM || errno == EACCES))
            continue;
        if (got < 0)
            return fail(n, "read the extended attributes of", e);
        if (source_xattr_set(n, x, w->buffer, (size_t)got, e) < 0)
            return -1;
    }
    return 0;
}

static void take_stat(struct source_node *n, const struct stat *st)
{
    n->mode = st->st_mode;
    n->uid = st->st_uid;
    n->gid = st->st_gid;
    n->rdev_major = major(st->st_rdev);
    n->rdev_minor = minor(st->st_rdev);
    n->size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0;
    n->atime = st->st_atim.tv_sec;
    n->mtime = st->st_mtim.tv_sec;
    n->ctime = st->st_ctim.tv_sec;
    n->atime_nsec = (uint32_t)st->st_atim.tv_nsec;
    n->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
    n->ctime_nsec = (uint32_t)st->st_ctim.tv_nsec;
    n->data = st->st_ino;
}

static int take_target(int dir_fd, struct source_node *n, struct err *e)
{
    char target[SOURCE_LINK_MAX + 1];
    ssize_t len = readlinkat(dir_fd, n->name, target, sizeof target);
    if (len < 0)
        return fail(n, "read the link", e);
    if (len > SOURCE_LINK_MAX)
        return err_set(e, ERR_INPUT, "the link '%s' has too long a target", n->name);
    n->target = mem_strndup(target, (size_t)len);
    n->size = strlen(n->target);
    return 0;
}

/* Whether NAME is a mount point: the kernel says so since 5.8,
 * before that a change of device does. */
static bool is_mount(int dir_fd, const char *name, const struct stat *st, uint64_t dev)
{
    struct statx sx;
    if (statx(dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &sx) == 0 &&
        (sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT))
        return sx.stx_attributes & STATX_ATTR_MOUNT_ROOT;
    return st->st_dev != dev;
}

/* ── the walk ────────────────────────────────────────────────────────────────────────────────── */

static int walk_dir(struct walking *w, struct source_node *dir, int dir_fd, struct err *e);

static int walk_entry(struct walking *w, struct source_node *dir, int dir_fd, const char *name,
                      struct err *e)
{
    struct stat st, dir_st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || fstat(dir_fd, &dir_st) < 0)
        return errno == ENOENT && name != w->only
                   ? 0
                   : fail(dir, "look at a file in", e); /* gone since readdir */
    struct source_node *n = source_add(w->s, dir, name, strlen(name), st.st_mode, e);
    if (!n)
        return -1;
    bool mounted = name != w->only && is_mount(dir_fd, name, &st, dir_st.st_dev);
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && !mounted) {
        struct source_node *first = first_name(&w->inodes, &st, n);
        if (first)
            return source_link(n, first, e);
    }
    take_stat(n, &st);
    if (mounted) {
        n->size = 0;
        return 0;
    }
    if (S_ISLNK(st.st_mode) && take_target(dir_fd, n, e) < 0)
        return -1;
    if (take_xattrs(w, dir_fd, name, n, e) < 0)
        return -1;
    if (!S_ISDIR(st.st_mode))
        return 0;
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    auto_close int fd = openat(dir_fd, name, flags);
    return fd < 0 ? fail(n, "open", e) : walk_dir(w, n, fd, e);
}

/* Recursion is bounded by SOURCE_DEPTH_MAX, which source_add enforces; descriptors are the tighter
 * limit, so the directory is read to its end before any below it is opened. */
static int walk_dir(struct walking *w, struct source_node *dir, int dir_fd, struct err *e)
{
    auto_strv struct strv names = { 0 };
    {
        int own = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        auto_dir DIR *d = own < 0 ? NULL : fdopendir(own);
        if (!d)
            return fail(dir, "open", e);
        struct dirent *de;
        while ((errno = 0, de = readdir(d)))
            if (!str_eq(de->d_name, ".") && !str_eq(de->d_name, ".."))
                strv_add(&names, de->d_name);
        if (errno)
            return fail(dir, "read", e);
    }
    for (size_t i = 0; i < names.n; i++)
        if (walk_entry(w, dir, dir_fd, names.v[i], e) < 0)
            return -1;
    return 0;
}

struct source *source_from_dir(int root_fd, const char *only, struct err *e)
{
    struct stat st;
    if (fstat(root_fd, &st) < 0) {
        err_sys(e, "cannot read the directory");
        return NULL;
    }
    struct dir_feed *feed = mem_zero(1, sizeof *feed);
    *feed = (struct dir_feed){ .root_fd = root_fd, .dir_fd = -1, .file_fd = -1 };
    auto_source struct source *s = source_new(&dir_ops, feed);
    auto_free char *buffer = mem_alloc(XATTR_BUFFER);
    struct walking w = { .s = s, .buffer = buffer, .only = only };
    take_stat(s->root, &st);
    int rc = take_xattrs(&w, root_fd, ".", s->root, e);
    if (rc == 0)
        rc = only ? walk_entry(&w, s->root, root_fd, only, e) : walk_dir(&w, s->root, root_fd, e);
    free(w.inodes.slots);
    return rc < 0 ? NULL : steal_ptr(s);
}
