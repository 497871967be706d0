/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/rootfs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/defence.h"
#include "runtime/share.h"

static unsigned root_attrs(const struct runtime_plan *p)
{
    unsigned attrs = MOUNT_NOSUID | MOUNT_NODEV;
    return p->flags & RUNTIME_WRITABLE ? attrs : attrs | MOUNT_RO;
}

/* Our own reader looks first: it tells in words what the kernel would answer with EINVAL, and its
 * whitelist stands before the kernel's driver. */
static int validate(const struct runtime_plan *p, struct err *e)
{
    auto_image_reader struct image_reader *reader = NULL;
    if (p->image.kind != IMAGE_EXT)
        return 0;
    if (image_reader_open(p->image_fd, p->image.fs_offset, &reader, e) < 0)
        return err_wrap(e, "image '%s'", p->image_path);
    return 0;
}

/* errors= is always given: an image's own superblock may say errors=panic. noload: a read-only
 * mount must not replay a journal into the image. */
static int mount_loop(struct newroot *r, const struct runtime_plan *p, struct err *e)
{
    char device[32];
    bool writable = p->flags & RUNTIME_WRITABLE;
    enum image_lock lock = writable ? IMAGE_LOCK_WRITE : IMAGE_LOCK_READ;
    if (image_lock(p->image_fd, p->image_path, lock, e) < 0 || validate(p, e) < 0)
        return -1;
    auto_close int loop = image_loop_attach(p->image_fd, p->image.fs_offset, !writable, device, e);
    if (loop < 0)
        return -1;
    bool ext = p->image.kind == IMAGE_EXT;
    struct mount_fs fs = {
        .type = ext ? "ext4" : "squashfs", /* the ext4 driver is the ext3 driver */
        .source = device,
        .options = !ext       ? NULL
                   : writable ? "errors=remount-ro"
                              : "noload,errors=remount-ro",
        .attrs = root_attrs(p),
    };
    if (mounter_root_fs(&r->m, &fs, e) < 0) {
        err_wrap(e, "image '%s'", p->image_path);
        return err_hint(e, "'hpcc check' tells whether it is damaged");
    }
    return 0;
}

static int mount_fuse(struct newroot *r, const struct runtime_plan *p, struct server *server,
                      struct err *e)
{
    if (server_ready(server, e) < 0)
        return -1;
    auto_close int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0) {
        err_sys(e, "cannot open '/dev/fuse'");
        err_code_set(e, ERR_HOST);
        return err_hint(e, "the administrator types: modprobe fuse; chmod 666 /dev/fuse");
    }
    struct share_source source;
    if (share_source(p, &source, e) < 0)
        return -1;
    bool as_root = (p->flags & RUNTIME_FAKEROOT) || p->two_userns;
    auto_free char *options =
        mem_printf("fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions,allow_other",
                   fuse, as_root ? 0 : p->uid, as_root ? 0 : p->gid);
    struct mount_fs fs = {
        .type = "fuse", .source = source.text, .options = options, .attrs = root_attrs(p)
    };
    if (mounter_root_fs(&r->m, &fs, e) < 0)
        return err_wrap(e, "image '%s'", p->image_path);
    return server_give(server, fuse, e);
}

/* A descriptor from before the mount namespace cannot be bound: open again by name, and see that it
 * is the same directory. */
static int mount_dir(struct newroot *r, const struct runtime_plan *p, struct err *e)
{
    struct stat a, b;
    auto_close int fd = open(p->image_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &a) < 0 || fstat(p->image_fd, &b) < 0)
        return err_sys(e, "cannot open root '%s'", p->image_path);
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return err_set(e, ERR_FAILED, "root '%s' was replaced just now", p->image_path);
    return mounter_root_bind(&r->m, fd, root_attrs(p), e);
}

/* ── overlay ── */

static int session_dir(const struct newroot *r, const char *name, struct err *e)
{
    if (mkdirat(r->session_fd, name, 0755) < 0)
        return err_sys(e, "cannot make the overlay's '%s'", name);
    int fd = openat(r->session_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? err_sys(e, "cannot open the overlay's '%s'", name) : fd;
}

/* DIR/upper and DIR/work, as Apptainer names them. Links are refused: who can write DIR's parent
 * could point them anywhere. */
static int overlay_dir(const char *dir, const char *name, struct err *e)
{
    auto_close int parent = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0) {
        err_sys(e, "--overlay: cannot open directory '%s'", dir);
        return err_hint(e, "make it first: 'mkdir -p %s'", dir);
    }
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
        return err_sys(e, "--overlay: cannot make '%s/%s'", dir, name);
    int follow = defence("overlay-link") ? O_NOFOLLOW : 0;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | follow);
    return fd < 0 ? err_sys(e, "--overlay: cannot open '%s/%s' as a directory", dir, name) : fd;
}

static int put_overlay(struct newroot *r, const struct runtime_plan *p, struct err *e)
{
    auto_close int lower = steal_fd(&r->m.root_fd);
    auto_close int upper =
        p->overlay ? overlay_dir(p->overlay, "upper", e) : session_dir(r, "upper", e);
    if (upper < 0)
        return -1;
    auto_close int work =
        p->overlay ? overlay_dir(p->overlay, "work", e) : session_dir(r, "work", e);
    if (work < 0)
        return -1;
    auto_free char *options =
        mem_printf("lowerdir=/proc/self/fd/%d,upperdir=/proc/self/fd/%d,workdir=/proc/self/fd/%d%s",
                   lower, upper, work, p->userns ? ",userxattr" : "");
    struct mount_fs fs = { .type = "overlay",
                           .source = "hpcc-overlay",
                           .options = options,
                           .attrs = MOUNT_NOSUID | MOUNT_NODEV };
    if (mounter_root_fs(&r->m, &fs, e) < 0) {
        err_wrap(e, "overlay");
        return err_hint(e,
                        "the directory must lie on a local file system (ext4, xfs, tmpfs …), and "
                        "an ordinary user needs Linux 5.11");
    }
    return 0;
}

int rootfs_mount(struct newroot *r, const struct runtime_plan *p, struct server *server,
                 struct err *e)
{
    int rc = -1;
    switch (p->root) {
    case PLAN_ROOT_LOOP:
        rc = mount_loop(r, p, e);
        break;
    case PLAN_ROOT_FUSE:
        rc = mount_fuse(r, p, server, e);
        break;
    case PLAN_ROOT_DIR:
        rc = mount_dir(r, p, e);
        break;
    }
    if (rc < 0)
        return -1;
    return p->overlay || (p->flags & RUNTIME_WRITABLE_TMPFS) ? put_overlay(r, p, e) : 0;
}
