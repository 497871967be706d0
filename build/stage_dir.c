/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "build/parts.h"

/* Who still works holds a lock on its stage, through every process that could write there; when
 * all are dead the lock is gone, whatever killed them. Normally the worker's monitor removes the
 * stage, also after a SIGKILL of hpcc; the sweep is for the day when the power went. */

static char *stage_prefix(const char *image_path)
{
    auto_free char *base = path_base(image_path);
    return mem_printf(".%.180s.hpcc-stage-", base);
}

void stage_dir_plan(struct stage_dir *s, const struct build_spec *spec)
{
    auto_free char *prefix = stage_prefix(spec->image_path);
    s->parent = spec->tmp_dir ? mem_strdup(spec->tmp_dir) : path_dir(spec->image_path);
    s->name = mem_printf("%s%ld", prefix, (long)getpid());
}

/* Another build into the same image, or what a dead one left. */
static int meet_other(int parent_fd, const char *name, const char *image_path, struct err *e)
{
    auto_close int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        auto_err struct err why = { 0 };
        if (fs_remove_tree(parent_fd, name, &why) < 0)
            log_verbose("what a dead build left stays: %s", why.msg);
        return 0;
    }
    if (errno != EWOULDBLOCK)
        return 0; /* no locks here: it cannot be judged */
    err_set(e, ERR_FAILED, "another hpcc builds '%s' at this moment", image_path);
    return err_hint(e, "wait for it; it works in '%s'", name);
}

static int sweep(int parent_fd, const struct stage_dir *s, const char *image_path, struct err *e)
{
    auto_free char *prefix = stage_prefix(image_path);
    int dup_fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_dir DIR *d = dup_fd < 0 ? NULL : fdopendir(dup_fd);
    struct dirent *de;
    while (d && (de = readdir(d)))
        if (str_starts(de->d_name, prefix) && !str_eq(de->d_name, s->name) &&
            meet_other(parent_fd, de->d_name, image_path, e) < 0)
            return -1;
    return 0;
}

int stage_dir_make(struct stage_dir *s, const char *image_path, struct err *e)
{
    auto_close int parent_fd = open(s->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent_fd < 0)
        return err_sys(e, "cannot open the directory '%s'", s->parent);
    for (unsigned tries = 0; tries < 3; tries++) {
        if (mkdirat(parent_fd, s->name, 0700) < 0 && errno != EEXIST) {
            err_sys(e, "cannot make the stage in '%s'", s->parent);
            return err_hint(e, "--tmpdir DIR makes it elsewhere");
        }
        auto_close int fd =
            openat(parent_fd, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) ||
            fstat(fd, &st) < 0 || st.st_nlink == 0)
            continue; /* another build swept it before it was locked */
        s->fd = steal_fd(&fd);
        return sweep(parent_fd, s, image_path, e);
    }
    return err_set(e, ERR_FAILED, "cannot make the stage in '%s'", s->parent);
}

void stage_dir_remove(struct stage_dir *s, const char *image_path)
{
    auto_close int parent_fd = open(s->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_err struct err why = { 0 };
    if (parent_fd >= 0 && fs_remove_tree(parent_fd, s->name, &why) < 0)
        log_warn("the stage '%s/%s' stays: %s", s->parent, s->name, why.msg);
    auto_place struct place image = PLACE_INIT;
    if (place_open(image_path, &image, NULL) == 0)
        place_sweep(&image, "new"); /* the hidden name that a killed draft may have left */
}

void stage_dir_free(struct stage_dir *s)
{
    cleanup_fd(&s->fd);
    free(s->parent);
    free(s->name);
    *s = (struct stage_dir)STAGE_DIR_INIT;
}
