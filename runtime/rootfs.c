/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/rootfs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/mem.h"
#include "runtime/prefetch.h"

/* ── what begins outside ── */

int rootfs_start(const struct runtime_plan *p, struct rootfs *f, struct err *e)
{
    if (p->image.by == PLAN_BY_FUSE && server_start(&p->image, p->all_root, &f->server, e) < 0)
        return -1;
    for (size_t i = 0; i < p->n_layers; i++)
        if (p->layers[i].by == PLAN_BY_FUSE &&
            server_start(&p->layers[i], p->all_root, &f->layers[i], e) < 0)
            return -1;
    return 0;
}

void rootfs_close(struct rootfs *f)
{
    server_close(&f->server);
    for (size_t i = 0; i < PLAN_MAX_LAYERS; i++)
        server_close(&f->layers[i]);
    cleanup_fd(&f->dir_fd);
    f->dir_fd = -1;
}

/* ── one image ── */

/* Only the kernel's driver and a directory take writes. */
static unsigned attrs_of(const struct plan_image *i)
{
    bool takes_writes = i->writable && i->by != PLAN_BY_FUSE;
    return MOUNT_NOSUID | MOUNT_NODEV | (takes_writes ? 0 : MOUNT_RO);
}

/* DST: a directory of the session; NULL: it becomes the new root. */
static int attach(struct newroot *r, const struct mount_fs *fs, const char *dst, struct err *e)
{
    if (!dst)
        return mounter_root_fs(&r->m, fs, e);
    struct mounter session = { .root_fd = r->session_fd, .base_fd = -1, .old_api = r->m.old_api };
    return mounter_fs(&session, fs, dst, e);
}

/* Our own reader looks first: it tells in words what the kernel would answer with EINVAL, and its
 * whitelist stands before the kernel's driver. */
static int validate(const struct plan_image *i, uint32_t *block_bytes, struct err *e)
{
    auto_image_reader struct image_reader *reader = NULL;
    struct image_fs_stat fs;
    *block_bytes = 0;
    if (i->info.kind != IMAGE_EXT)
        return 0;
    if (image_reader_open(i->fd, i->info.fs_offset, &reader, e) < 0)
        return err_wrap(e, "image '%s'", i->path);
    image_read_fs_stat(reader, &fs);
    *block_bytes = fs.block_bytes <= (uint32_t)sysconf(_SC_PAGESIZE) ? fs.block_bytes : 0;
    return 0;
}

/* errors= is always given: an image's own superblock may say errors=panic. noload: a read-only
 * mount must not replay a journal into the image. The rest shortens a start: noblock_validity does
 * without the map of the whole journal, which would only guard what is written; inodes come in 32
 * KiB at a time instead of 128, since the image file has its own read-ahead. */
#define READ_ONLY_OPTIONS "noload,errors=remount-ro,noblock_validity,inode_readahead_blks=8"

static int by_loop(struct newroot *r, const struct plan_image *i, const char *dst, struct err *e)
{
    char device[32];
    enum image_lock lock = i->writable ? IMAGE_LOCK_WRITE : IMAGE_LOCK_READ;
    struct image_loop_spec spec = {
        .fd = i->fd,
        .offset = i->info.fs_offset,
        .file_bytes = i->info.file_bytes,
        .read_only = !i->writable,
    };
    if (image_lock(i->fd, i->path, lock, e) < 0 || validate(i, &spec.block_bytes, e) < 0)
        return -1;
    auto_close int loop = image_loop_attach(&spec, device, e);
    if (loop < 0)
        return -1;
    bool ext = i->info.kind == IMAGE_EXT;
    struct mount_fs fs = {
        .type = ext ? "ext4" : "squashfs", /* the ext4 driver is the ext3 driver */
        .source = device,
        .options = !ext || !defence("errors") ? NULL
                   : i->writable              ? "errors=remount-ro"
                                              : READ_ONLY_OPTIONS,
        .attrs = attrs_of(i),
    };
    if (attach(r, &fs, dst, e) < 0) {
        err_wrap(e, "image '%s'", i->path);
        return err_hint(e, "'hpcc check' tells whether it is damaged");
    }
    return 0;
}

static int open_fuse(struct err *e)
{
    int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse >= 0)
        return fuse;
    err_sys(e, "cannot open '/dev/fuse'");
    err_code_set(e, ERR_HOST);
    return err_hint(e, "the administrator types: modprobe fuse; chmod 666 /dev/fuse");
}

/* Other runs know the image's mount by its name, see share.h. */
static char *name_of_mount(const struct server *server, const char *dst)
{
    return dst ? mem_strdup("hpcc-layer") : share_source(server->share.key);
}

/* SERVER, started for this image, answers. */
static int by_fuse(struct newroot *r, const struct runtime_plan *p, const struct plan_image *i,
                   struct server *server, const char *dst, struct err *e)
{
    if (server_ready(server, e) < 0)
        return -1;
    auto_spent int fuse = open_fuse(e);
    if (fuse < 0)
        return -1;
    bool as_root = (p->flags & RUNTIME_FAKEROOT) || p->two_userns;
    auto_free char *name = name_of_mount(server, dst);
    auto_free char *options =
        mem_printf("fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions,allow_other",
                   fuse, as_root ? 0 : p->uid, as_root ? 0 : p->gid);
    struct mount_fs fs = {
        .type = "fuse", .source = name, .options = options, .attrs = attrs_of(i)
    };
    if (attach(r, &fs, dst, e) < 0)
        return err_wrap(e, "image '%s'", i->path);
    return server_give(server, fuse, e);
}

/* ── the image at the bottom ── */

/* A descriptor from before the mount namespace cannot be bound: go there again by name, and see
 * that it is the same directory. */
int rootfs_clone(const struct newroot *r, const struct runtime_plan *p, struct rootfs *f,
                 struct err *e)
{
    const struct plan_image *i = &p->image;
    struct stat st;
    if (i->by != PLAN_BY_BIND)
        return 0;
    f->dir_fd = mounter_clone(&r->m, i->path, attrs_of(i));
    if (f->dir_fd < 0 || fstat(f->dir_fd, &st) < 0)
        return err_sys(e, "cannot open root '%s'", i->path);
    if (st.st_dev != i->stat.st_dev || st.st_ino != i->stat.st_ino)
        return err_set(e, ERR_FAILED, "root '%s' was replaced just now", i->path);
    return 0;
}

static int mount_image(struct newroot *r, const struct runtime_plan *p, struct rootfs *f,
                       struct err *e)
{
    switch (p->image.by) {
    case PLAN_BY_BIND:
        return mounter_root_attach(&r->m, steal_fd(&f->dir_fd), attrs_of(&p->image), e);
    case PLAN_BY_LOOP:
        if (by_loop(r, &p->image, NULL, e) < 0)
            return -1;
        prefetch_aside(r->m.root_fd, p);
        return 0;
    case PLAN_BY_FUSE:
        break;
    }
    if (by_fuse(r, p, &p->image, &f->server, NULL, e) < 0)
        return -1;
    prefetch_names(r->m.root_fd);
    return 0;
}

/* ── what the overlay is made of ── */

/* The lower directories uppermost first. */
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

/* ── the layers over it ── */

/* The root of layer N. */
static int mount_layer(struct newroot *r, const struct runtime_plan *p, size_t n,
                       struct server *server, struct err *e)
{
    const struct plan_image *l = &p->layers[n];
    auto_free char *name = mem_printf("layer%zu", n);
    if (l->by == PLAN_BY_BIND) {
        int fd = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? err_sys(e, "--overlay: cannot open directory '%s'", l->path) : fd;
    }
    if (mkdirat(r->session_fd, name, 0755) < 0)
        return err_sys(e, "cannot make a mount point for '%s'", l->path);
    int rc = l->by == PLAN_BY_LOOP ? by_loop(r, l, name, e) : by_fuse(r, p, l, server, name, e);
    server_close(server);
    return rc < 0 ? -1 : fs_open_at(r->session_fd, name, O_RDONLY | O_DIRECTORY, 0, e);
}

/* Put layer N over what is there. */
static int take_layer(struct newroot *r, const struct runtime_plan *p, size_t n, struct stack *s,
                      struct server *server, struct err *e)
{
    const struct plan_image *l = &p->layers[n];
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

/* make_namespaces (perform.c) left us standing in the stage: so it came along into this mount namespace, where
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

/* ── the mounts ── */

/* Root looks through a layer that somebody else has written: what it says of itself in trusted.*
 * is not to be trusted. */
static bool others_layer(const struct runtime_plan *p)
{
    for (size_t i = 0; i < p->n_layers; i++)
        if (p->layers[i].by == PLAN_BY_FUSE)
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

static int mount_overlay(struct newroot *r, const struct runtime_plan *p, struct server *servers,
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

int rootfs_mount(struct newroot *r, const struct runtime_plan *p, struct rootfs *f, struct err *e)
{
    if (mount_image(r, p, f, e) < 0)
        return -1;
    return p->n_layers || plan_has_upper(p) ? mount_overlay(r, p, f->layers, e) : 0;
}
