/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/defence.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/config.h"

/* What was opened is judged, not a name: a name that leads elsewhere a moment later has fooled
 * other runtimes, and so has comparing paths as text. The kernel tells in which directory the open
 * file lies; from there we go up by "..", which no link and no rename can turn, and compare inodes
 * with the directories of the policy. */

enum { DEPTH_MAX = 4096 };

/* Where FD lies by the kernel's own account; NULL where it is deleted, or out of reach. */
static char *path_of(int fd)
{
    char link[32], text[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, text, sizeof text);
    return n > 0 && n < (ssize_t)sizeof text && text[0] == '/' ? mem_strndup(text, (size_t)n)
                                                               : NULL;
}

static bool same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The directory in which the file FD lies, FD itself when it is one; -1: it is nowhere, or was
 * moved just now. */
static int directory_of(int fd)
{
    struct stat file, there;
    if (fstat(fd, &file) < 0)
        return -1;
    if (S_ISDIR(file.st_mode))
        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
    auto_free char *path = path_of(fd);
    if (!path)
        return -1;
    auto_free char *dir = path_dir(path), *name = path_base(path);
    auto_close int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0 || fstatat(at, name, &there, AT_SYMLINK_NOFOLLOW) < 0 || !same_inode(&file, &there))
        return -1;
    return steal_fd(&at);
}

/* Whether AT is one of the directories, or lies below one. */
static bool lies_below(int at, const struct stat *dirs, size_t n)
{
    auto_close int here = fcntl(at, F_DUPFD_CLOEXEC, 3);
    struct stat st, above;
    for (unsigned depth = 0; depth < DEPTH_MAX && here >= 0 && fstat(here, &st) == 0; depth++) {
        for (size_t i = 0; i < n; i++)
            if (same_inode(&st, &dirs[i]))
                return true;
        auto_close int up = openat(here, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (up < 0 || fstat(up, &above) < 0 || same_inode(&st, &above))
            return false; /* the root is above itself */
        close(here);
        here = steal_fd(&up);
    }
    return false;
}

int config_allows_image(const struct config *c, int image_fd, const char *name, struct err *e)
{
    size_t n = 0;
    if (c->image_dirs.n == 0 || !defence("image-dirs"))
        return 0;
    auto_free struct stat *dirs = mem_zero(c->image_dirs.n, sizeof *dirs);
    for (size_t i = 0; i < c->image_dirs.n; i++) /* one that is not there allows nothing */
        if (stat(c->image_dirs.v[i], &dirs[n]) == 0 && S_ISDIR(dirs[n].st_mode))
            n++;
    auto_close int at = directory_of(image_fd);
    if (at >= 0 && lies_below(at, dirs, n))
        return 0;
    auto_free char *list = strv_join(&c->image_dirs, ", ");
    err_set(e, ERR_INPUT, "this site does not run images from where '%s' lies", name);
    return err_hint(e, "put it below one of: %s", list);
}
