/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/stage.h"

#include <fcntl.h>
#include <sys/file.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"

enum { TRIES = 3 };

int stage_plan(const struct stage_spec *spec, struct stage *out, struct err *e)
{
    int dir_fd = fcntl(spec->dir_fd, F_DUPFD_CLOEXEC, 3);
    if (dir_fd < 0)
        return err_sys(e, "cannot open the directory '%s'", spec->dir);
    *out = (struct stage)STAGE_INIT;
    out->at.path = mem_strdup(spec->dir);
    out->at.name = mem_strdup(spec->name);
    out->at.dir_fd = dir_fd;
    out->name = place_temp_name(&out->at, spec->word);
    return 0;
}

/* The directory of our name, when it is ours; -1 with errno. */
static int open_ours(const struct stage *s)
{
    auto_close int fd =
        openat(s->at.dir_fd, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || (defence("stage") && !place_is_ours(fd)))
        return -1;
    return steal_fd(&fd);
}

static int make_dir(const struct stage *s)
{
    if (mkdirat(s->at.dir_fd, s->name, 0700) == 0)
        return 0;
    return errno == EEXIST && !defence("stage") ? 0 : -1;
}

/* Another process may sweep it before it is locked. */
static bool is_swept(int fd)
{
    struct stat st;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return true;
        log_debug("no lock on a stage: %s", strerror(errno)); /* none here: it is not swept */
    }
    return fstat(fd, &st) < 0 || st.st_nlink == 0;
}

int stage_make(struct stage *s, struct err *e)
{
    for (unsigned tries = 0; tries < TRIES; tries++) {
        if (make_dir(s) < 0)
            break;
        auto_close int fd = open_ours(s);
        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0)
            break;
        if (is_swept(fd))
            continue;
        s->fd = steal_fd(&fd);
        return 0;
    }
    return err_sys(e, "cannot make a directory of our own in '%s'", s->at.path);
}

/* It is locked as long as a process lives that can write there: that is waited for. */
static int find(struct stage *s)
{
    s->fd = open_ours(s);
    if (s->fd < 0)
        return -1;
    while (flock(s->fd, LOCK_EX) < 0 && errno == EINTR)
        ;
    return 0;
}

int stage_remove(struct stage *s, struct err *e)
{
    if (!s->name)
        return 0;
    if (s->fd < 0 && find(s) < 0)
        return errno == ENOENT ? 0 : err_sys(e, "'%s/%s'", s->at.path, s->name);
    if (fs_remove_opened(s->at.dir_fd, s->name, s->fd, e) < 0)
        return err_wrap(e, "'%s/%s'", s->at.path, s->name);
    return 0;
}

void stage_fini(struct stage *s)
{
    cleanup_fd(&s->fd);
    place_close(&s->at);
    free(s->name);
    *s = (struct stage)STAGE_INIT;
}
