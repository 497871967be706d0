/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/rootfs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "runtime/disk.h"
#include "runtime/prefetch.h"
#include "runtime/share.h"

/* A descriptor from before the mount namespace cannot be bound: open again by name, and see that it
 * is the same directory. */
static int mount_dir(struct newroot *r, const struct runtime_plan *p, struct err *e)
{
    struct stat a, b;
    unsigned attrs = MOUNT_NOSUID | MOUNT_NODEV | (p->flags & RUNTIME_WRITABLE ? 0 : MOUNT_RO);
    auto_close int fd = open(p->image_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &a) < 0 || fstat(p->image_fd, &b) < 0)
        return err_sys(e, "cannot open root '%s'", p->image_path);
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return err_set(e, ERR_FAILED, "root '%s' was replaced just now", p->image_path);
    return mounter_root_bind(&r->m, fd, attrs, e);
}

static struct disk disk_of(const struct runtime_plan *p)
{
    return (struct disk){
        .path = p->image_path,
        .fd = p->image_fd,
        .image = &p->image,
        .writable = p->root == PLAN_ROOT_LOOP && (p->flags & RUNTIME_WRITABLE),
    };
}

int rootfs_start(const struct runtime_plan *p, struct rootfs *f, struct err *e)
{
    const struct disk disk = disk_of(p);
    if (p->root == PLAN_ROOT_FUSE && server_start(p, &f->server, e) < 0)
        return -1;
    if (layers_start(p, &f->layers, e) < 0)
        return -1;
    if (early_possible(p))
        f->early = early_start(p, &disk);
    return 0;
}

void rootfs_close(struct rootfs *f)
{
    server_close(&f->server);
    layers_close(&f->layers);
    early_free(f->early);
    f->early = NULL;
}

static int mount_loop(struct newroot *r, const struct runtime_plan *p, struct early *early,
                      struct err *e)
{
    const struct disk disk = disk_of(p);
    if (!early)
        return disk_mount_loop(r, &disk, e);
    int tree = early_take(early, e);
    return tree < 0 ? -1 : mounter_root_tree(&r->m, tree, e);
}

static int mount_fuse(struct newroot *r, const struct runtime_plan *p, struct server *server,
                      struct err *e)
{
    struct share_source source;
    struct disk disk = disk_of(p);
    share_source(p, &source);
    disk.source = source.text;
    if (disk_mount_fuse(r, &disk, p, server, e) < 0)
        return -1;
    prefetch_names(r->m.root_fd);
    return 0;
}

static int mount_image(struct newroot *r, const struct runtime_plan *p, struct rootfs *f,
                       struct err *e)
{
    switch (p->root) {
    case PLAN_ROOT_LOOP:
        return mount_loop(r, p, f->early, e);
    case PLAN_ROOT_FUSE:
        return mount_fuse(r, p, &f->server, e);
    case PLAN_ROOT_DIR:
        break;
    }
    return mount_dir(r, p, e);
}

int rootfs_mount(struct newroot *r, const struct runtime_plan *p, struct rootfs *f, struct err *e)
{
    if (mount_image(r, p, f, e) < 0)
        return -1;
    return p->n_layers || plan_has_upper(p) ? layers_mount(r, p, f->layers.servers, e) : 0;
}
