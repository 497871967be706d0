/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/rootfs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "runtime/disk.h"
#include "runtime/layers.h"
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

int rootfs_mount(struct newroot *r, const struct runtime_plan *p, struct server *server,
                 struct err *e)
{
    struct share_source source;
    if (share_source(p, &source, e) < 0)
        return -1;
    const struct disk image = {
        .source = source.text,
        .path = p->image_path,
        .fd = p->image_fd,
        .image = &p->image,
        .writable = p->root == PLAN_ROOT_LOOP && (p->flags & RUNTIME_WRITABLE),
    };
    int rc = -1;
    switch (p->root) {
    case PLAN_ROOT_LOOP:
        rc = disk_mount_loop(r, &image, e);
        break;
    case PLAN_ROOT_FUSE:
        rc = disk_mount_fuse(r, &image, p, server, e);
        break;
    case PLAN_ROOT_DIR:
        rc = mount_dir(r, p, e);
        break;
    }
    if (rc < 0)
        return -1;
    if (p->root == PLAN_ROOT_FUSE)
        prefetch_names(r->m.root_fd);
    return p->n_layers || plan_has_upper(p) ? layers_mount(r, p, server->layers, e) : 0;
}
