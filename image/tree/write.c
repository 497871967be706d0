/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tree/tree.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

enum { CHUNK = 1 << 18 };

struct writing {
    struct source *s;
    int root_fd;
    bool owners;
    bool harmless;                 /* see SOURCE_TO_HARMLESS */
    const struct source_node *dir; /* open as dir_fd */
    int dir_fd;                    /* -1, or ours */
    char *chunk;
    uint64_t data; /* bytes written */
    uint64_t n_devices, n_xattrs, n_owners;
    uint64_t n_dangers; /* left out because they are */
};

static int fail(const struct source_node *n, const char *what, struct err *e)
{
    int sys = errno;
    auto_free char *path = source_path(n);
    auto_free char *shown = str_printable(path);
    errno = sys;
    return err_sys(e, "cannot %s '%.400s'", what, shown);
}

/* The directory N->parent, which we made, or the root. Resolved by path each time the walk comes
 * back to it: a descriptor for every level would run out of them. */
static int dir_of(struct writing *w, const struct source_node *n, struct err *e)
{
    if (!n->parent->parent)
        return w->root_fd;
    if (w->dir == n->parent)
        return w->dir_fd;
    cleanup_fd(&w->dir_fd);
    auto_free char *path = source_path(n->parent);
    w->dir = n->parent;
    w->dir_fd = fs_open_at(w->root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, e);
    return w->dir_fd;
}

/* ── metadata ────────────────────────────────────────────────────────────────────────────────── */

/* Errors that say "not here, not for you" rather than "broken". */
static bool is_refusal(int error)
{
    return error == EPERM || error == EACCES || error == EOPNOTSUPP || error == EINVAL ||
           error == EOVERFLOW;
}

/* Whether setuid bits may stay: only where the file got the owner they speak of. 1, 0, or -1. */
static int set_owner(struct writing *w, const struct source_node *n, int dir_fd, const char *name)
{
    if (!w->owners)
        return 0;
    if (fchownat(dir_fd, name, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) == 0)
        return 1;
    if (!is_refusal(errno))
        return -1;
    w->n_owners++;
    return 0;
}

static int set_xattrs(struct writing *w, const struct source_node *n, int dir_fd, const char *name)
{
    char path[64 + SOURCE_NAME_MAX];
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", dir_fd, name);
    for (size_t i = 0; i < n->n_xattrs; i++) {
        const struct source_xattr *x = &n->xattrs[i];
        if (w->harmless && (str_starts(x->name, "security.") || str_starts(x->name, "trusted."))) {
            w->n_dangers++;
            continue;
        }
        if (lsetxattr(path, x->name, x->value, x->len, 0) == 0)
            continue;
        if (!is_refusal(errno))
            return -1;
        w->n_xattrs++;
    }
    return 0;
}

/* Owner, mode, xattrs and times of what is NAME in DIR_FD: in this order, as a change of owner
 * drops setuid bits and capabilities, and ACLs come after the mode. */
static int set_metadata(struct writing *w, const struct source_node *n, int dir_fd,
                        const char *name, struct err *e)
{
    int owned = set_owner(w, n, dir_fd, name);
    if (owned < 0)
        return fail(n, "set the owner of", e);
    bool special = S_ISREG(n->mode) && (n->mode & (S_ISUID | S_ISGID));
    w->n_dangers += special && w->harmless;
    mode_t mode = n->mode & (owned && !w->harmless ? 07777 : 01777);
    if (!S_ISLNK(n->mode) && fchmodat(dir_fd, name, mode, 0) < 0)
        return fail(n, "set the mode of", e);
    if (set_xattrs(w, n, dir_fd, name) < 0)
        return fail(n, "set the extended attributes of", e);
    struct timespec times[2] = {
        { .tv_sec = n->atime, .tv_nsec = n->atime_nsec },
        { .tv_sec = n->mtime, .tv_nsec = n->mtime_nsec },
    };
    if (utimensat(dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(n, "set the times of", e);
    return 0;
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */

static int write_run(struct writing *w, const struct source_node *n, int fd, uint64_t at,
                     uint64_t end, struct err *e)
{
    while (at < end) {
        size_t want = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
        ssize_t got = w->s->ops->read(w->s->ctx, n, w->chunk, want, at, e);
        if (got < 0)
            return -1;
        if (got == 0) {
            auto_free char *path = source_path(n);
            return err_set(e, ERR_FAILED, "'%s' is shorter than it was a moment ago", path);
        }
        if (fs_pwrite_full(fd, w->chunk, (size_t)got, at) < 0)
            return fail(n, "write", e);
        at += (uint64_t)got;
        w->data += (uint64_t)got;
        if (source_data_check(w->s, w->data, e) < 0)
            return -1;
    }
    return 0;
}

static int write_content(struct writing *w, const struct source_node *n, int fd, struct err *e)
{
    const struct source_ops *ops = w->s->ops;
    if (ftruncate(fd, (off_t)n->size) < 0)
        return fail(n, "write", e);
    for (uint64_t at = 0; at < n->size;) {
        int64_t data = (int64_t)at, end = (int64_t)n->size;
        if (ops->seek) {
            data = ops->seek(w->s->ctx, n, at, false, e);
            if (data >= 0 && (uint64_t)data < n->size)
                end = ops->seek(w->s->ctx, n, (uint64_t)data, true, e);
            if (data < 0 || end < 0)
                return -1;
            if (end <= data)
                end = (int64_t)n->size;
        }
        if (write_run(w, n, fd, (uint64_t)data, (uint64_t)end, e) < 0)
            return -1;
        at = (uint64_t)end;
    }
    return 0;
}

/* Make the name of N; 1 when it was left out. */
static int make(struct writing *w, const struct source_node *n, const char *name, int dir_fd,
                struct err *e)
{
    switch (n->mode & S_IFMT) {
    case S_IFDIR:
        return mkdirat(dir_fd, name, 0700) < 0 ? fail(n, "make directory", e) : 0;
    case S_IFLNK:
        return symlinkat(n->target, dir_fd, name) < 0 ? fail(n, "make link", e) : 0;
    case S_IFREG: {
        auto_close int fd =
            openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? fail(n, "make", e) : write_content(w, n, fd, e);
    }
    default:
        if (w->harmless && (S_ISCHR(n->mode) || S_ISBLK(n->mode))) {
            w->n_dangers++;
            return 1;
        }
        if (mknodat(dir_fd, name, (n->mode & S_IFMT) | 0600,
                    makedev(n->rdev_major, n->rdev_minor)) == 0)
            return 0;
        if (errno != EPERM || !(S_ISCHR(n->mode) || S_ISBLK(n->mode)))
            return fail(n, "make device", e);
        w->n_devices++;
        return 1;
    }
}

/* One more name of a file that has one: MARK points to the node that it was written as. */
static int make_link(struct writing *w, const struct source_node *n, const struct source_node *file,
                     int dir_fd, struct err *e)
{
    const struct source_node *first = (const struct source_node *)(uintptr_t)file->mark;
    if (first == file->parent) /* the device that it names was left out */
        return 0;
    auto_free char *path = source_path(first);
    auto_free char *base = NULL;
    auto_close int from_fd = fs_open_parent_at(w->root_fd, path, &base, e);
    if (from_fd < 0)
        return -1;
    if (linkat(from_fd, base, dir_fd, n->name, 0) < 0)
        return fail(n, "make hard link", e);
    return 0;
}

static int write_node(struct writing *w, struct source_node *n, struct err *e)
{
    struct source_node *file = source_file(n);
    int dir_fd = dir_of(w, n, e);
    if (dir_fd < 0)
        return -1;
    if (file->mark)
        return make_link(w, n, file, dir_fd, e);
    int rc = make(w, file, n->name, dir_fd, e);
    if (rc < 0 || S_ISDIR(n->mode))
        return rc;
    file->mark = (uint64_t)(uintptr_t)(rc ? file->parent : n);
    return rc ? 0 : set_metadata(w, file, dir_fd, n->name, e);
}

/* Children before their parents: a directory without write permission, or its time, must not be set
 * while something is still to be written into it. */
static int finish_dirs(struct writing *w, bool root_too, struct err *e)
{
    struct source_node *n = w->s->root;
    while (n->n_children)
        n = n->children[n->n_children - 1];
    while (n->parent) {
        struct source_node *parent = n->parent;
        if (S_ISDIR(n->mode)) {
            int dir_fd = dir_of(w, n, e);
            if (dir_fd < 0 || set_metadata(w, n, dir_fd, n->name, e) < 0)
                return -1;
        }
        if (n->index == 0) {
            n = parent;
            continue;
        }
        n = parent->children[n->index - 1];
        while (n->n_children)
            n = n->children[n->n_children - 1];
    }
    return root_too ? set_metadata(w, n, w->root_fd, ".", e) : 0;
}

static void tell(const struct writing *w)
{
    if (w->n_dangers)
        log_warn("%llu setuid or setgid bits, devices and capabilities were left out; root copies "
                 "them with '--archive'",
                 (unsigned long long)w->n_dangers);
    if (w->n_owners)
        log_warn("%llu files belong to users that this user namespace does not have: their owner "
                 "is now the caller",
                 (unsigned long long)w->n_owners);
    if (w->n_devices)
        log_verbose("%llu device nodes were left out: this user may not make them",
                    (unsigned long long)w->n_devices);
    if (w->n_xattrs)
        log_verbose("%llu extended attributes were left out: this user or file system cannot have "
                    "them",
                    (unsigned long long)w->n_xattrs);
}

int source_to_dir(struct source *s, int dir_fd, unsigned flags, struct err *e)
{
    auto_free char *chunk = mem_alloc(CHUNK);
    struct writing w = {
        .s = s, .root_fd = dir_fd, .owners = geteuid() == 0, .dir_fd = -1, .chunk = chunk
    };
    w.harmless = flags & SOURCE_TO_HARMLESS;
    source_sort(s);
    for (struct source_node *n = s->root; n; n = source_next(n, false))
        n->mark = 0;
    int rc = 0;
    for (struct source_node *n = source_next(s->root, false); n && rc == 0;
         n = source_next(n, false))
        rc = write_node(&w, n, e);
    if (rc == 0)
        rc = finish_dirs(&w, flags & SOURCE_TO_ROOT, e);
    cleanup_fd(&w.dir_fd);
    if (rc == 0)
        tell(&w);
    return rc;
}
