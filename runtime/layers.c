/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/layers.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/defence.h"
#include "runtime/disk.h"

int layers_start(const struct runtime_plan *p, struct layers *l, struct err *e)
{
    for (size_t i = 0; i < p->n_layers; i++) {
        const struct plan_layer *layer = &p->layers[i];
        if (layer->kind != PLAN_LAYER_FUSE)
            continue;
        const struct runtime_plan alone = {
            .image_path = layer->path,
            .image_fd = layer->fd,
            .image = layer->image,
            .drop_to_owner = layer->drop_to_owner,
            .owner_uid = layer->owner_uid,
            .owner_gid = layer->owner_gid,
            .all_root = p->all_root,
        };
        if (server_start(&alone, &l->servers[i], e) < 0)
            return -1;
    }
    return 0;
}

void layers_close(struct layers *l)
{
    for (size_t i = 0; i < PLAN_MAX_LAYERS; i++)
        server_close(&l->servers[i]);
}

/* What the overlay is made of; the lower directories uppermost first. */
struct stack {
    int lower[PLAN_MAX_LAYERS + 1];
    size_t n_lower;
    int upper, work; /* -1: read-only */
};
#define STACK_INIT                                                                                 \
    {                                                                                              \
        .upper = -1, .work = -1                                                                    \
    }

static void stack_fini(struct stack *s)
{
    while (s->n_lower)
        close(s->lower[--s->n_lower]);
    cleanup_fd(&s->upper);
    cleanup_fd(&s->work);
}

/* ── directories ── */

/* NAME below PARENT, which is DIR. Links are refused:
 * who can write DIR could point them anywhere. */
static int open_below(int parent, const char *dir, const char *name, struct err *e)
{
    int follow = defence("overlay-link") ? O_NOFOLLOW : 0;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow);
    return fd < 0 ? err_sys(e, "--overlay: cannot open '%s/%s' as a directory", dir, name) : fd;
}

static int make_below(int parent, const char *dir, const char *name, struct err *e)
{
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
        return err_sys(e, "--overlay: cannot make '%s/%s'", dir, name);
    return open_below(parent, dir, name, e);
}

/* upper and work below PARENT, as Apptainer names them. */
static int take_upper(struct stack *s, int parent, const char *dir, struct err *e)
{
    s->upper = make_below(parent, dir, "upper", e);
    if (s->upper < 0)
        return -1;
    s->work = make_below(parent, dir, "work", e);
    return s->work < 0 ? -1 : 0;
}

/* The kernel shows the upper directory's own mode, owner and times as those of '/'. They are only
 * taken over by an upper directory that was made for this run. */
static int look_like(int upper, int lower, struct err *e)
{
    struct stat st;
    if (fstat(lower, &st) < 0)
        return err_sys(e, "cannot look at the image's root");
    const struct timespec times[2] = { st.st_atim, st.st_mtim };
    if ((geteuid() == 0 && fchown(upper, st.st_uid, st.st_gid) < 0 && errno != EINVAL) ||
        fchmod(upper, st.st_mode & 07777) < 0 || futimens(upper, times) < 0)
        return err_sys(e, "cannot prepare the overlay");
    return 0;
}

/* ── layers ── */

/* The root of layer N. */
static int mount_layer(struct newroot *r, const struct runtime_plan *p, size_t n,
                       struct server *server, struct err *e)
{
    const struct plan_layer *l = &p->layers[n];
    auto_free char *name = mem_printf("layer%zu", n);
    if (l->kind == PLAN_LAYER_DIR) {
        int fd = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? err_sys(e, "--overlay: cannot open directory '%s'", l->path) : fd;
    }
    const struct disk disk = {
        .path = l->path,
        .fd = l->fd,
        .image = &l->image,
        .writable = l->writable && l->kind == PLAN_LAYER_LOOP,
        .source = "hpcc-layer",
        .dst = name,
    };
    if (mkdirat(r->session_fd, name, 0755) < 0)
        return err_sys(e, "cannot make a mount point for '%s'", l->path);
    int rc = l->kind == PLAN_LAYER_LOOP ? disk_mount_loop(r, &disk, e)
                                        : disk_mount_fuse(r, &disk, p, server, e);
    server_close(server);
    return rc < 0 ? -1 : fs_open_at(r->session_fd, name, O_RDONLY | O_DIRECTORY, 0, e);
}

/* Put layer N over what is there. */
static int take_layer(struct newroot *r, const struct runtime_plan *p, size_t n, struct stack *s,
                      struct server *server, struct err *e)
{
    const struct plan_layer *l = &p->layers[n];
    struct stat st;
    auto_close int root = mount_layer(r, p, n, server, e);
    if (root < 0)
        return -1;
    if (l->writable && !p->merge)
        return take_upper(s, root, l->path, e);
    if (fstatat(root, "upper", &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
        if (l->writable)
            return 0; /* an empty image, which the merge makes a layer */
        err_set(e, ERR_INPUT, "--overlay: '%s' holds no directory 'upper'", l->path);
        return err_hint(e, "a layer is made by a run that writes to it, without ':ro'");
    }
    int upper = open_below(root, l->path, "upper", e);
    if (upper < 0)
        return -1;
    memmove(s->lower + 1, s->lower, s->n_lower * sizeof s->lower[0]);
    s->lower[0] = upper;
    s->n_lower++;
    return 0;
}

/* enter_namespaces left us standing in the stage: so it came along into this mount namespace, where
 * the keeper's descriptor of it cannot be mounted. */
static int take_stage(struct stack *s, const struct runtime_plan *p, struct err *e)
{
    struct stat a, b;
    auto_close int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &a) < 0 || fstat(p->stage_fd, &b) < 0)
        return err_sys(e, "cannot open the stage in '%s'", p->stage_parent);
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return err_set(e, ERR_BUG, "the stage is not the working directory");
    return take_upper(s, fd, p->stage_parent, e);
}

static int take_own_upper(struct newroot *r, const struct runtime_plan *p, struct stack *s,
                          struct err *e)
{
    if (!p->merge && !(p->flags & RUNTIME_WRITABLE_TMPFS))
        return 0;
    int rc = p->merge ? take_stage(s, p, e) : take_upper(s, r->session_fd, "session", e);
    return rc < 0 ? -1 : look_like(s->upper, s->lower[0], e);
}

/* ── the mount ── */

/* Root looks through a layer that somebody else has written: what it says of itself in trusted.*
 * is not to be trusted. */
static bool others_layer(const struct runtime_plan *p)
{
    for (size_t i = 0; i < p->n_layers; i++)
        if (p->layers[i].kind == PLAN_LAYER_FUSE)
            return true;
    return false;
}

static int mount_stack(struct newroot *r, const struct runtime_plan *p, const struct stack *s,
                       struct err *e)
{
    auto_str struct str options = { 0 };
    for (size_t i = 0; i < s->n_lower; i++)
        str_addf(&options, "%s/proc/self/fd/%d", i ? ":" : "lowerdir=", s->lower[i]);
    if (s->upper >= 0)
        str_addf(&options, ",upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d", s->upper,
                 s->work);
    /* For a merge also as root: the upper directory is to hold no redirections. */
    if (p->userns || p->merge)
        str_add(&options, ",userxattr");
    else if (others_layer(p))
        str_add(&options, ",redirect_dir=nofollow,metacopy=off");
    struct mount_fs fs = { .type = "overlay",
                           .source = "hpcc-overlay",
                           .options = str_text(&options),
                           .attrs = MOUNT_NOSUID | MOUNT_NODEV | (s->upper < 0 ? MOUNT_RO : 0) };
    if (mounter_root_fs(&r->m, &fs, e) == 0)
        return 0;
    err_wrap(e, "overlay");
    return err_hint(e, "the directory must lie on a local file system (ext4, xfs, tmpfs …), and "
                       "an ordinary user needs Linux 5.11");
}

int layers_mount(struct newroot *r, const struct runtime_plan *p, struct server *servers,
                 struct err *e)
{
    cleanup_with(stack_fini) struct stack s = STACK_INIT;
    s.lower[s.n_lower++] = steal_fd(&r->m.root_fd);
    for (size_t i = 0; i < p->n_layers; i++)
        if (take_layer(r, p, i, &s, &servers[i], e) < 0)
            return -1;
    if (take_own_upper(r, p, &s, e) < 0)
        return -1;
    return mount_stack(r, p, &s, e);
}
