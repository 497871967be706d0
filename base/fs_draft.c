/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

enum { TRIES = 8 };

/* The maker holds the lock for as long as it lives, on whatever node: a sweep leaves the draft. */
static void lock_draft(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        log_debug("no lock on a new file: %s", strerror(errno));
}

static int open_named(struct fs_draft *d, struct err *e)
{
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    for (unsigned tries = 0; d->fd < 0; tries++) {
        free(d->temp);
        d->temp = place_temp_name(d->at, PLACE_DRAFT);
        d->fd = openat(d->at->dir_fd, d->temp, flags, 0600);
        if (d->fd < 0 && (errno != EEXIST || tries == TRIES)) {
            free(steal_ptr(d->temp));
            return err_sys(e, "cannot make a new file beside '%s'", d->at->path);
        }
    }
    lock_draft(d->fd);
    return 0;
}

int fs_draft_open(struct place *p, struct fs_draft *out, struct err *e)
{
    cleanup_with(fs_draft_close) struct fs_draft d = { .at = p, .fd = -1 };
    place_sweep(p);
    d.fd = openat(p->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (d.fd < 0) {
        bool unsupported =
            errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL;
        if (!unsupported)
            return err_sys(e, "cannot make a new file beside '%s'", p->path);
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
    return linkat(AT_FDCWD, from, d->at->dir_fd, name, AT_SYMLINK_FOLLOW);
}

static int take_temp_name(struct fs_draft *d)
{
    for (unsigned tries = 0; !d->temp; tries++) {
        auto_free char *temp = place_temp_name(d->at, PLACE_DRAFT);
        lock_draft(d->fd);
        if (link_as(d, temp) == 0)
            d->temp = steal_ptr(temp);
        else if (errno != EEXIST || tries == TRIES)
            return -1;
    }
    return 0;
}

/* Whether NAME in the draft's directory leads to the file ST. */
static bool leads_to(const struct fs_draft *d, const char *name, const struct stat *st)
{
    struct stat now;
    return fstatat(d->at->dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           now.st_dev == st->st_dev && now.st_ino == st->st_ino;
}

static int exchange(const struct fs_draft *d)
{
    return renameat2(d->at->dir_fd, d->temp, d->at->dir_fd, d->at->name, RENAME_EXCHANGE);
}

/* ── where nothing was ── */

static int publish_new(struct fs_draft *d, struct err *e)
{
    const struct place *p = d->at;
    if (!d->temp)
        return link_as(d, p->name) == 0 ? 0 : err_sys(e, "cannot publish '%s'", p->path);
    if (renameat2(p->dir_fd, d->temp, p->dir_fd, p->name, RENAME_NOREPLACE) < 0) {
        /* No RENAME_NOREPLACE here (NFS, Lustre): link, which fails on an existing name. */
        if (errno != EINVAL || linkat(p->dir_fd, d->temp, p->dir_fd, p->name, 0) < 0)
            return err_sys(e, "cannot publish '%s'", p->path);
        unlinkat(p->dir_fd, d->temp, 0);
    }
    free(steal_ptr(d->temp));
    return 0;
}

/* ── in place of what was found ── */

/* What the name leads to by now came back under our hidden name: put it where it was. */
static int put_back(struct fs_draft *d, const struct stat *ours, struct err *e)
{
    const struct place *p = d->at;
    bool back = exchange(d) == 0 && leads_to(d, d->temp, ours);
    err_set(e, ERR_FAILED, "'%s' was just replaced by another process", p->path);
    if (back)
        return err_hint(e, "look at the new one, then try again");
    err_hint(e, "look at it; a file of somebody is kept as '%s' beside it", d->temp);
    free(steal_ptr(d->temp)); /* it is not ours to remove */
    return -1;
}

/* Exchanged first and looked at then, what was there is at no moment without a name, and nobody can
 * slip another file between the look and the deed. */
static int publish_over(struct fs_draft *d, struct err *e)
{
    const struct place *p = d->at;
    struct stat ours;
    if (fstat(d->fd, &ours) < 0 || take_temp_name(d) < 0)
        return err_sys(e, "cannot publish '%s'", p->path);
    if (exchange(d) == 0) {
        if (!leads_to(d, d->temp, &p->st) || !leads_to(d, p->name, &ours))
            return put_back(d, &ours, e);
        unlinkat(p->dir_fd, d->temp, 0);
    } else if (errno == EINVAL || errno == ENOSYS) {
        if (place_check(p, e) < 0)
            return -1;
        if (renameat(p->dir_fd, d->temp, p->dir_fd, p->name) < 0)
            return err_sys(e, "cannot publish '%s'", p->path);
    } else {
        return err_sys(e, "cannot publish '%s'", p->path);
    }
    free(steal_ptr(d->temp));
    return 0;
}

/* What the tests' controls do instead: look the path up again and take whatever is there. */
static int publish_anywhere(struct fs_draft *d, struct err *e)
{
    auto_place struct place now = PLACE_INIT;
    if (place_open(d->at->path, &now, e) < 0)
        return -1;
    if (take_temp_name(d) < 0 || renameat(d->at->dir_fd, d->temp, now.dir_fd, now.name) < 0)
        return err_sys(e, "cannot publish '%s'", d->at->path);
    free(steal_ptr(d->temp));
    return 0;
}

static int give_name(struct fs_draft *d, bool replace, struct err *e)
{
    errno = EEXIST;
    if (!defence("place"))
        return publish_anywhere(d, e);
    if (!d->at->exists)
        return publish_new(d, e);
    return replace ? publish_over(d, e) : err_sys(e, "cannot publish '%s'", d->at->path);
}

/* A directory that we may write but not read cannot be synced alone. */
static int sync_dir(const struct place *p)
{
    auto_close int fd = openat(p->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -1;
    return fsync(fd) < 0 && errno != EINVAL ? -1 : 0; /* EINVAL: no directory fsync here */
}

int fs_draft_publish(struct fs_draft *d, mode_t mode, bool replace, struct err *e)
{
    struct place *p = d->at;
    if (fchmod(d->fd, mode) < 0 || fsync(d->fd) < 0)
        return err_sys(e, "cannot finish '%s'", p->path);
    if (give_name(d, replace, e) < 0)
        return -1;
    if (place_look(p, e) < 0)
        return -1;
    if (sync_dir(p) < 0)
        return err_sys(e, "cannot sync the directory of '%s'", p->path);
    return 0;
}

void fs_draft_close(struct fs_draft *d)
{
    int saved = errno;
    if (d->temp)
        unlinkat(d->at->dir_fd, d->temp, 0);
    if (d->fd >= 0)
        close(d->fd);
    free(d->temp);
    *d = (struct fs_draft)FS_DRAFT_INIT;
    errno = saved;
}
