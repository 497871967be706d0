/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/rootfs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "runtime/disk.h"
#include "runtime/prefetch.h"

static unsigned dir_attrs(const struct runtime_plan *p)
{
    return MOUNT_NOSUID | MOUNT_NODEV | (p->flags & RUNTIME_WRITABLE ? 0 : MOUNT_RO);
}

/* A descriptor from before the mount namespace cannot be bound: go there again by name, and see
 * that it is the same directory. */
int rootfs_clone(const struct newroot *r, const struct runtime_plan *p, struct rootfs *f,
                 struct err *e)
{
    struct stat st;
    if (p->root != PLAN_ROOT_DIR)
        return 0;
    f->dir_fd = mounter_clone(&r->m, p->image_path, dir_attrs(p));
    if (f->dir_fd < 0 || fstat(f->dir_fd, &st) < 0)
        return err_sys(e, "cannot open root '%s'", p->image_path);
    if (st.st_dev != p->image_stat.st_dev || st.st_ino != p->image_stat.st_ino)
        return err_set(e, ERR_FAILED, "root '%s' was replaced just now", p->image_path);
    return 0;
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
    if (p->root == PLAN_ROOT_FUSE && server_start(p, &f->server, e) < 0)
        return -1;
    return layers_start(p, &f->layers, e);
}

void rootfs_close(struct rootfs *f)
{
    server_close(&f->server);
    layers_close(&f->layers);
    cleanup_fd(&f->dir_fd);
    f->dir_fd = -1;
}

static int mount_loop(struct newroot *r, const struct runtime_plan *p, struct err *e)
{
    const struct disk disk = disk_of(p);
    if (disk_mount_loop(r, &disk, e) < 0)
        return -1;
    prefetch_aside(r->m.root_fd, p);
    return 0;
}

static int mount_fuse(struct newroot *r, const struct runtime_plan *p, struct server *server,
                      struct err *e)
{
    auto_free char *source = share_source(server->share.key);
    struct disk disk = disk_of(p);
    disk.source = source;
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
        return mount_loop(r, p, e);
    case PLAN_ROOT_FUSE:
        return mount_fuse(r, p, &f->server, e);
    case PLAN_ROOT_DIR:
        break;
    }
    return mounter_root_attach(&r->m, steal_fd(&f->dir_fd), dir_attrs(p), e);
}

int rootfs_mount(struct newroot *r, const struct runtime_plan *p, struct rootfs *f, struct err *e)
{
    if (mount_image(r, p, f, e) < 0)
        return -1;
    return p->n_layers || plan_has_upper(p) ? layers_mount(r, p, f->layers.servers, e) : 0;
}
