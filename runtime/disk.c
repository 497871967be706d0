/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/disk.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/defence.h"
#include "base/mem.h"
#include "jail/jail.h"

static unsigned attrs_of(const struct disk *d)
{
    unsigned attrs = MOUNT_NOSUID | MOUNT_NODEV;
    return d->writable ? attrs : attrs | MOUNT_RO;
}

static int attach(struct newroot *r, const struct disk *d, const struct mount_fs *fs, struct err *e)
{
    if (!d->dst)
        return mounter_root_fs(&r->m, fs, e);
    struct mounter session = { .root_fd = r->session_fd, .base_fd = -1, .old_api = r->m.old_api };
    return mounter_fs(&session, fs, d->dst, e);
}

/* Our own reader looks first: it tells in words what the kernel would answer with EINVAL, and its
 * whitelist stands before the kernel's driver. */
static int validate(const struct disk *d, uint32_t *block_bytes, struct err *e)
{
    auto_image_reader struct image_reader *reader = NULL;
    struct image_fs_stat fs;
    *block_bytes = 0;
    if (d->image->kind != IMAGE_EXT)
        return 0;
    if (image_reader_open(d->fd, d->image->fs_offset, &reader, e) < 0)
        return err_wrap(e, "image '%s'", d->path);
    image_read_fs_stat(reader, &fs);
    *block_bytes = fs.block_bytes <= (uint32_t)sysconf(_SC_PAGESIZE) ? fs.block_bytes : 0;
    return 0;
}

/* errors= is always given: an image's own superblock may say errors=panic. noload: a read-only
 * mount must not replay a journal into the image. The rest shortens a start: noblock_validity does
 * without the map of the whole journal, which would only guard what is written; inodes come in 32
 * KiB at a time instead of 128, since the image file has its own read-ahead. */
#define READ_ONLY_OPTIONS "noload,errors=remount-ro,noblock_validity,inode_readahead_blks=8"

int disk_mount_loop(struct newroot *r, const struct disk *d, struct err *e)
{
    char device[32];
    enum image_lock lock = d->writable ? IMAGE_LOCK_WRITE : IMAGE_LOCK_READ;
    struct image_loop_spec spec = {
        .fd = d->fd,
        .offset = d->image->fs_offset,
        .file_bytes = d->image->file_bytes,
        .read_only = !d->writable,
    };
    if (image_lock(d->fd, d->path, lock, e) < 0 || validate(d, &spec.block_bytes, e) < 0)
        return -1;
    auto_close int loop = image_loop_attach(&spec, device, e);
    if (loop < 0)
        return -1;
    bool ext = d->image->kind == IMAGE_EXT;
    struct mount_fs fs = {
        .type = ext ? "ext4" : "squashfs", /* the ext4 driver is the ext3 driver */
        .source = device,
        .options = !ext || !defence("errors") ? NULL
                   : d->writable              ? "errors=remount-ro"
                                              : READ_ONLY_OPTIONS,
        .attrs = attrs_of(d),
    };
    if (attach(r, d, &fs, e) < 0) {
        err_wrap(e, "image '%s'", d->path);
        return err_hint(e, "'hpcc check' tells whether it is damaged");
    }
    return 0;
}

int disk_mount_fuse(struct newroot *r, const struct disk *d, const struct runtime_plan *p,
                    struct server *server, struct err *e)
{
    if (server_ready(server, e) < 0)
        return -1;
    auto_spent int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0) {
        err_sys(e, "cannot open '/dev/fuse'");
        err_code_set(e, ERR_HOST);
        return err_hint(e, "the administrator types: modprobe fuse; chmod 666 /dev/fuse");
    }
    bool as_root = (p->flags & RUNTIME_FAKEROOT) || p->two_userns;
    auto_free char *options =
        mem_printf("fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions,allow_other",
                   fuse, as_root ? 0 : p->uid, as_root ? 0 : p->gid);
    struct mount_fs fs = {
        .type = "fuse", .source = d->source, .options = options, .attrs = attrs_of(d)
    };
    if (attach(r, d, &fs, e) < 0)
        return err_wrap(e, "image '%s'", d->path);
    return server_give(server, fuse, e);
}
