/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/rewrite.h"

#include <string.h>

#include "base/fs.h"

/* Byte offsets in the superblock, which lies at 1024 of the file system. */
enum {
    SUPER = 1024,
    SUPER_UUID = 0x68,
    SUPER_LABEL = 0x78,
    SUPER_HASH_SEED = 0xec,
};

void rewrite_close(struct rewrite *r)
{
    source_image_close(&r->tree);
    edit_close(&r->edit);
}

static int read_keep(const struct rewrite *r, struct pack_keep *keep, struct err *e)
{
    uint8_t super[1024];
    uint64_t at = r->edit.info.fs_offset;
    if (fs_pread_full(r->edit.fd, super, sizeof super, at + SUPER) != (ssize_t)sizeof super ||
        fs_pread_full(r->edit.fd, keep->head, sizeof keep->head, at) != (ssize_t)sizeof keep->head)
        return err_sys(e, "cannot read the superblock");
    memcpy(keep->ids.uuid, super + SUPER_UUID, sizeof keep->ids.uuid);
    memcpy(keep->ids.hash_seed, super + SUPER_HASH_SEED, sizeof keep->ids.hash_seed);
    memcpy(keep->label, super + SUPER_LABEL, sizeof keep->label);
    return 0;
}

int rewrite_read(const struct place *p, struct rewrite *r, struct err *e)
{
    const struct source_image_spec spec = { .fd = r->edit.fd, .info = &r->edit.info };
    if (source_image_open(&spec, &r->tree, e) < 0 || read_keep(r, &r->keep, e) < 0)
        return err_wrap(e, "image '%s'", p->path);
    return 0;
}

int rewrite_open(const struct place *p, enum image_lock lock, struct rewrite *r, struct err *e)
{
    return edit_open(p, lock, &r->edit, e) < 0 ? -1 : rewrite_read(p, r, e);
}

int rewrite_publish(struct place *p, struct rewrite *r, uint64_t size_bytes, struct err *e)
{
    const struct stat *st = &r->edit.st;
    bool other = st->st_uid != geteuid() || st->st_gid != getegid();
    const struct image_pack_spec spec = {
        .place = p,
        .path = p->path,
        .rootfs_fd = -1,
        .size_bytes = size_bytes,
        .grow = r->grow,
        .replace = true,
        .mode = st->st_mode & 0777,
        .owner_uid = other ? (int)st->st_uid : -1,
        .owner_gid = other ? (int)st->st_gid : -1,
    };
    const struct pack_from from = { .source = r->tree.source, .keep = &r->keep, .tight = true };
    return pack_source(&spec, &from, NULL, e);
}
