/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <limits.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"

/* Hidden names are ".NAME.hpcc-new-PID": swept when the process that made them is gone. */
static char *temp_prefix(const char *name)
{
    return mem_printf(".%.180s.hpcc-new-", name);
}

/* Remove hidden drafts of the same file whose maker no longer lives (killed on a file system
 * without O_TMPFILE, or between link and rename). */
static void sweep(int dir_fd, const char *name)
{
    auto_free char *prefix = temp_prefix(name);
    int dup_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_dir DIR *d = dup_fd < 0 ? NULL : fdopendir(dup_fd);
    struct dirent *de;
    while (d && (de = readdir(d))) {
        if (!str_starts(de->d_name, prefix))
            continue;
        /* The maker holds a lock on its draft for as long as it lives, on whatever node. */
        auto_close int fd = openat(dir_fd, de->d_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        struct flock lk = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &lk) == 0)
            unlinkat(dir_fd, de->d_name, 0);
    }
}

static void lock_draft(int fd)
{
    struct flock lk = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    if (fcntl(fd, F_OFD_SETLK, &lk) < 0)
        return; /* no locks here: the draft may be swept by a second writer, which then loses to
                   rename */
}

static int open_named(struct fs_draft *d, struct err *e)
{
    auto_free char *prefix = temp_prefix(d->name);
    d->temp = mem_printf("%s%ld", prefix, (long)getpid());
    d->fd = openat(d->dir_fd, d->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->fd < 0) {
        err_sys(e, "cannot make a new file beside '%s'", d->path);
        free(steal_ptr(d->temp));
        return -1;
    }
    lock_draft(d->fd);
    return 0;
}

int fs_draft_open(const char *path, struct fs_draft *out, struct err *e)
{
    cleanup_with(fs_draft_close) struct fs_draft d = FS_DRAFT_INIT;
    char real[PATH_MAX];
    bool link = realpath(path, real) != NULL;
    d.path = mem_strdup(path);
    d.name = path_base(link ? real : path);
    auto_free char *dir = path_dir(link ? real : path);
    d.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d.dir_fd < 0)
        return err_sys(e, "cannot open directory '%s'", dir);
    sweep(d.dir_fd, d.name);
    d.fd = openat(d.dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (d.fd < 0) {
        bool unsupported =
            errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL;
        if (!unsupported)
            return err_sys(e, "cannot make a new file beside '%s'", path);
        if (open_named(&d, e) < 0)
            return -1;
    }
    *out = d;
    d = (struct fs_draft)FS_DRAFT_INIT;
    return 0;
}

/* Give an anonymous draft the name NAME; fails with EEXIST when it is taken. */
static int link_as(const struct fs_draft *d, const char *name)
{
    char from[64];
    snprintf(from, sizeof from, "/proc/self/fd/%d", d->fd);
    return linkat(AT_FDCWD, from, d->dir_fd, name, AT_SYMLINK_FOLLOW);
}

static int give_name(struct fs_draft *d, bool replace)
{
    if (!d->temp) {
        if (link_as(d, d->name) == 0)
            return 0;
        if (errno != EEXIST || !replace)
            return -1;
        auto_free char *prefix = temp_prefix(d->name);
        d->temp = mem_printf("%s%ld", prefix, (long)getpid());
        lock_draft(d->fd);
        if (link_as(d, d->temp) < 0) {
            free(steal_ptr(d->temp));
            return -1;
        }
    }
    unsigned flags = replace ? 0 : RENAME_NOREPLACE;
    if (renameat2(d->dir_fd, d->temp, d->dir_fd, d->name, flags) < 0) {
        if (flags == 0 || errno != EINVAL)
            return -1;
        /* No RENAME_NOREPLACE here (NFS, Lustre): link, which fails on an existing name, then
         * unlink. */
        if (linkat(d->dir_fd, d->temp, d->dir_fd, d->name, 0) < 0)
            return -1;
        unlinkat(d->dir_fd, d->temp, 0);
    }
    free(steal_ptr(d->temp));
    return 0;
}

int fs_draft_publish(struct fs_draft *d, mode_t mode, bool replace, struct err *e)
{
    if (fchmod(d->fd, mode) < 0 || fsync(d->fd) < 0)
        return err_sys(e, "cannot finish '%s'", d->path);
    if (give_name(d, replace) < 0)
        return err_sys(e, "cannot publish '%s'", d->path);
    if (fsync(d->dir_fd) < 0 && errno != EINVAL) /* EINVAL: a file system without directory fsync */
        return err_sys(e, "cannot sync the directory of '%s'", d->path);
    return 0;
}

void fs_draft_close(struct fs_draft *d)
{
    int saved = errno;
    if (d->temp)
        unlinkat(d->dir_fd, d->temp, 0);
    if (d->fd >= 0)
        close(d->fd);
    if (d->dir_fd >= 0)
        close(d->dir_fd);
    free(d->temp);
    free(d->name);
    free(d->path);
    *d = (struct fs_draft)FS_DRAFT_INIT;
    errno = saved;
}
