/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/defence.h"
#include "runtime/plan/plan.h"

/* The impure part of planning: the image. */

/* Whoever opened the file for writing before it became root's still writes. The kernel grants a read
 * lease only where nobody has it open so, a mapping or a descriptor in flight included. The lease
 * need not be kept: from here on only root can open the file for writing, and would wait for it for
 * 45 seconds. A file system without leases (NFS, some FUSE) leaves it unknown. SIGURG, which nobody
 * minds, tells of an opener in between; SIGIO would end us. */
static bool has_no_writer(int fd)
{
    return fcntl(fd, F_SETSIG, SIGURG) == 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0 &&
           fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

/* The descriptor is what gets mounted, so the names that lead to it do not matter. */
bool plan_only_root_writes(int fd, const struct stat *st)
{
    struct statfs fs;
    if (!defence("trust"))
        return true;
    return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH)) && fstatfs(fd, &fs) == 0 &&
           fs.f_type != FUSE_SUPER_MAGIC && (!defence("open-writer") || has_no_writer(fd));
}

void plan_read_as_nobody(uid_t *uid, gid_t *gid)
{
    enum { NOBODY = 65534 };
    if (*uid == 0)
        *uid = *gid = NOBODY;
}

static int no_squashfs(const struct runtime_plan *p, struct err *e)
{
    err_set(e, ERR_HOST, "cannot run '%s': this hpcc was built without libsquashfuse",
            p->image_path);
    return err_hint(e,
                    "install libsquashfuse-dev and build hpcc again, or unpack the image: "
                    "'unsquashfs -o %llu -d DIR IMAGE' and 'hpcc run DIR'",
                    (unsigned long long)p->image.fs_offset);
}

/* It must still be the file that was checked. */
int plan_reopen_writable(const char *path, int *fd, struct err *e)
{
    struct stat a, b;
    auto_close int new_fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (new_fd < 0)
        return err_sys(e, "cannot open image '%s' for writing", path);
    if (fstat(new_fd, &a) < 0 || fstat(*fd, &b) < 0 || a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return err_set(e, ERR_FAILED, "image '%s' was replaced just now", path);
    close(*fd);
    *fd = steal_fd(&new_fd);
    return 0;
}

/* --writable on an image file. */
static int choose_writer(struct runtime_plan *p, struct err *e)
{
    if (p->image.kind != IMAGE_EXT) {
        err_set(e, ERR_INPUT, "cannot write to '%s': it is a squashfs image, which never changes",
                p->image_path);
        return err_hint(e, "'--overlay DIR' keeps changes beside it, '--writable-tmpfs' in memory");
    }
    if (p->root == PLAN_ROOT_LOOP)
        return plan_reopen_writable(p->image_path, &p->image_fd, e);
    p->merge = PLAN_MERGE_IMAGE;
    return 0;
}

static int choose_root(struct runtime_plan *p, const struct runtime_spec *spec, struct err *e)
{
    if (fstat(p->image_fd, &p->image_stat) < 0)
        return err_sys(e, "cannot look at image '%s'", p->image_path);
    p->owner_uid = p->image_stat.st_uid;
    p->owner_gid = p->image_stat.st_gid;
    bool trusted = p->uid == 0 && plan_only_root_writes(p->image_fd, &p->image_stat);
    bool by_kernel = trusted && !p->userns;
    if (p->uid == 0 && !trusted)
        plan_read_as_nobody(&p->owner_uid, &p->owner_gid);
    switch (p->image.kind) {
    case IMAGE_DIR:
        p->root = PLAN_ROOT_DIR;
        return 0;
    case IMAGE_EXT:
    case IMAGE_SQUASHFS:
    case IMAGE_SIF:
        p->root = by_kernel ? PLAN_ROOT_LOOP : PLAN_ROOT_FUSE;
        p->drop_to_owner = p->uid == 0;
        break;
    }
    if (p->image.kind != IMAGE_EXT && p->root == PLAN_ROOT_FUSE) {
        p->squashfs_server = spec->squashfs_server ? spec->squashfs_server() : NULL;
        if (!p->squashfs_server)
            return no_squashfs(p, e);
    }
    return p->flags & RUNTIME_WRITABLE ? choose_writer(p, e) : 0;
}

/* Where FD lies by the kernel's own account; NULL where it is deleted, or out of reach. */
static char *path_of(int fd)
{
    char link[32], text[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, text, sizeof text);
    if (n <= 0 || n == sizeof text || text[0] != '/')
        return NULL;
    auto_free char *path = mem_strndup(text, (size_t)n);
    return str_ends(path, " (deleted)") ? NULL : steal_ptr(path);
}

static int open_image(struct runtime_plan *p, const char *path, struct err *e)
{
    p->image_fd = image_open(path, &p->image, e);
    if (p->image_fd < 0)
        return -1;
    p->image_path = path_of(p->image_fd);
    if (!p->image_path)
        p->image_path = realpath(path, NULL);
    if (!p->image_path)
        p->image_path = mem_strdup(path);
    return 0;
}

/* Only its owner may put a new file in the image's place as its own. */
static int check_owner(const struct runtime_plan *p, struct err *e)
{
    if (p->merge != PLAN_MERGE_IMAGE || p->uid == 0 || p->owner_uid == p->uid)
        return 0;
    err_set(e, ERR_FAILED, "cannot write to the image '%s' itself: it is another user's",
            p->image_path);
    return err_hint(e, "'--overlay DIR' keeps changes beside it, '--writable-tmpfs' in memory");
}

int runtime_plan_make(const struct runtime_spec *spec, struct runtime_plan **out, struct err *e)
{
    auto_runtime_plan struct runtime_plan *p = mem_zero(1, sizeof *p);
    p->image_fd = -1;
    p->stage_parent_fd = p->stage_fd = -1;
    p->flags = spec->flags;
    p->uid = geteuid();
    p->gid = getegid();
    p->userns = p->uid != 0 || (p->flags & (RUNTIME_USERNS | RUNTIME_FAKEROOT));
    if (open_image(p, spec->image_path, e) < 0 || choose_root(p, spec, e) < 0 ||
        plan_layers(p, spec, e) < 0 || plan_for_host(p, spec, e) < 0 || check_owner(p, e) < 0)
        return -1;
    *out = steal_ptr(p);
    return 0;
}

void runtime_plan_free(struct runtime_plan *p)
{
    cleanup_fd(&p->image_fd);
    for (size_t i = 0; i < p->n_ops; i++) {
        free(p->ops[i].src);
        free(p->ops[i].dst);
    }
    free(p->ops);
    char *const texts[] = { p->image_path,   p->user,  p->home,     p->shell,
                            p->gecos,        p->group, p->hostname, p->cwd,
                            p->shell_inside, p->app,   p->job,      p->squashfs_server,
                            p->runtime_dir };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < p->n_seen; i++)
        free(p->seen[i].path);
    free(p->seen);
    plan_layers_free(p);
    strv_free(&p->env);
    strv_free(&p->env_after);
    strv_free(&p->argv);
    strv_free(&p->keep_fds);
    free(p);
}

int runtime_plan_image(const struct runtime_plan *p)
{
    return p->image_fd;
}
