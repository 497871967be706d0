/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fs_walk.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/defence.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_LINKS = 40, PROC_MAGIC = 0x9fa0 };

int fs_open_plain_at(int rootfs_fd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
    };
    return (int)syscall(SYS_openat2, rootfs_fd, path, &how, sizeof how);
}

int fs_walk_open(int rootfs_fd, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)flags,
        .mode = flags & (O_CREAT | __O_TMPFILE) ? mode & 07777 : 0,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd;
    if (!defence("in-root"))
        return openat(rootfs_fd, path[strspn(path, "/")] ? path + strspn(path, "/") : ".", flags,
                      mode);
    do /* EAGAIN: a rename raced with ".."; the kernel asks for another try (openat2(2)) */
        fd = (int)syscall(SYS_openat2, rootfs_fd, *path ? path : ".", &how, sizeof how);
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL))
        return fs_walk_open_slow(rootfs_fd, path, flags, mode);
    return fd;
}

/* The walk's state: directories from the root down to where it stands, and the text still to go. */
struct walk {
    int stack[512];
    size_t depth; /* stack[depth - 1] is the current directory; stack[0] is the root */
    char *rest;
    unsigned links;
};

static void walk_fini(struct walk *w)
{
    int saved = errno;
    while (w->depth > 1)
        close(w->stack[--w->depth]);
    free(w->rest);
    errno = saved;
}

static int here(const struct walk *w)
{
    return w->stack[w->depth - 1];
}

static void to_root(struct walk *w)
{
    while (w->depth > 1)
        close(w->stack[--w->depth]);
}

/* Replace the component NAME, a symlink, by its target. */
static int follow(struct walk *w, const char *name)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(here(w), name, target, sizeof target - 1);
    if (n < 0)
        return -1;
    struct statfs sfs;
    if (++w->links > MAX_LINKS || (fstatfs(here(w), &sfs) == 0 && sfs.f_type == PROC_MAGIC)) {
        errno = ELOOP; /* links in procfs may be magic: refuse them all */
        return -1;
    }
    target[n] = 0;
    char *rest = mem_printf("%s%s%s", target, *w->rest ? "/" : "", w->rest);
    free(w->rest);
    w->rest = rest;
    if (target[0] == '/')
        to_root(w);
    return 0;
}

static int descend(struct walk *w, const char *name)
{
    if (w->depth == ARRAY_LEN(w->stack)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = openat(here(w), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    w->stack[w->depth++] = fd;
    return 0;
}

/* Cut the next component off w->rest. */
static char *next_component(struct walk *w)
{
    char *p = w->rest + strspn(w->rest, "/");
    size_t n = strcspn(p, "/");
    char *name = mem_strndup(p, n);
    char *rest = mem_strdup(p + n);
    free(w->rest);
    w->rest = rest;
    return name;
}

static int open_here(const struct walk *w, int flags)
{
    if (flags & O_CREAT && flags & O_EXCL) {
        errno = EEXIST;
        return -1;
    }
    return openat(here(w), ".", flags & ~(O_CREAT | O_NOFOLLOW));
}

int fs_walk_open_slow(int rootfs_fd, const char *path, int flags, mode_t mode)
{
    cleanup_with(
        walk_fini) struct walk w = { .stack = { rootfs_fd }, .depth = 1, .rest = mem_strdup(path) };
    for (;;) {
        auto_free char *name = next_component(&w);
        bool last = w.rest[strspn(w.rest, "/")] == 0;
        bool wants_dir = last && *w.rest;
        if (!*name || str_eq(name, ".")) {
            if (last)
                return open_here(&w, flags);
            continue;
        }
        if (str_eq(name, "..")) {
            if (w.depth > 1)
                close(w.stack[--w.depth]);
            if (last)
                return open_here(&w, flags);
            continue;
        }
        struct stat st;
        bool exists = fstatat(here(&w), name, &st, AT_SYMLINK_NOFOLLOW) == 0;
        bool keep_link = last && !wants_dir && (flags & (O_NOFOLLOW | O_EXCL));
        if (exists && S_ISLNK(st.st_mode) && !keep_link) {
            if (follow(&w, name) < 0)
                return -1;
            continue;
        }
        if (last)
            return openat(here(&w), name, flags | O_NOFOLLOW | (wants_dir ? O_DIRECTORY : 0), mode);
        if (descend(&w, name) < 0)
            return -1;
    }
}
