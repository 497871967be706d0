/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "image/edit.h"
#include "image/ext_io.h"
#include "image/pack.h"
#include "image/source_image.h"

/* resize2fs was measured: as quick (0.14 s), but it writes a gigabyte of empty inode tables for
 * 32 GiB more, wants e2fsck before it (0.6 s), is not everywhere, and reads the image's bytes with
 * libext2fs. The copy costs the same either way. */

/* Byte offsets in the superblock, which lies at 1024 of the file system. */
enum {
    SUPER = 1024,
    SUPER_UUID = 0x68,
    SUPER_LABEL = 0x78,
    SUPER_HASH_SEED = 0xec,
};

/* An open image and its tree. */
struct resize {
    struct edit edit;
    struct source_image tree;
    struct pack_keep keep;
};

static void resize_fini(struct resize *r)
{
    source_image_close(&r->tree);
    edit_close(&r->edit);
}

static int read_keep(const struct resize *r, struct pack_keep *keep, struct err *e)
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

static int open_tree(const char *path, struct resize *r, struct err *e)
{
    if (edit_open(path, &r->edit, e) < 0)
        return -1;
    const struct source_image_spec spec = { .fd = r->edit.fd, .info = &r->edit.info };
    if (source_image_open(&spec, &r->tree, e) < 0 || read_keep(r, &r->keep, e) < 0)
        return err_wrap(e, "image '%s'", path);
    return 0;
}

/* Write the tree into a new image of SIZE_BYTES (0: the least), with the old one's mode and owner.
 */
static int rewrite(const char *path, struct resize *r, uint64_t size_bytes, struct err *e)
{
    const struct stat *st = &r->edit.st;
    bool other = st->st_uid != geteuid() || st->st_gid != getegid();
    const struct image_pack_spec spec = {
        .path = path,
        .rootfs_fd = -1,
        .size_bytes = size_bytes,
        .replace = true,
        .mode = st->st_mode & 07777,
        .owner_uid = other ? (int)st->st_uid : -1,
        .owner_gid = other ? (int)st->st_gid : -1,
    };
    const struct pack_from from = { .source = r->tree.source, .keep = &r->keep, .tight = true };
    return pack_source(&spec, &from, NULL, e);
}

static uint64_t round_up(uint64_t size_bytes)
{
    return (size_bytes + EXT_BLOCK - 1) & ~(uint64_t)(EXT_BLOCK - 1);
}

static int bad_size(const char *path, const char *what, uint64_t now, struct err *e)
{
    auto_free char *size = str_human_size(now);
    return err_set(e, ERR_INPUT, "cannot %s '%s': it has %s (%llu bytes) already", what, path, size,
                   (unsigned long long)now);
}

int image_expand(const char *path, uint64_t size_bytes, struct err *e)
{
    cleanup_with(resize_fini) struct resize r = { .edit = EDIT_INIT };
    if (size_bytes > IMAGE_MAX_BYTES) {
        err_set(e, ERR_INPUT, "an image cannot be that large");
        return err_hint(e, "the limit of ext3 is just below 16T: give at most 16777215M");
    }
    if (open_tree(path, &r, e) < 0)
        return -1;
    if (round_up(size_bytes) <= r.edit.info.fs_bytes) {
        bad_size(path, "expand", r.edit.info.fs_bytes, e);
        return err_hint(e, "give a larger size, or '+1G' to add a GiB");
    }
    return rewrite(path, &r, size_bytes, e);
}

int image_expand_auto(const char *path, uint64_t *size_bytes, struct err *e)
{
    cleanup_with(resize_fini) struct resize r = { .edit = EDIT_INIT };
    uint64_t size;
    if (open_tree(path, &r, e) < 0 || pack_source_size(r.tree.source, &size, e) < 0)
        return -1;
    *size_bytes = size > r.edit.info.fs_bytes ? size : r.edit.info.fs_bytes;
    return 0;
}

int image_shrink(const char *path, uint64_t size_bytes, struct err *e)
{
    cleanup_with(resize_fini) struct resize r = { .edit = EDIT_INIT };
    if (size_bytes != 0 && size_bytes < IMAGE_MIN_BYTES) {
        err_set(e, ERR_INPUT, "an image has at least 4 MiB");
        return err_hint(e, "'--minimum' shrinks it as far as its content allows");
    }
    if (open_tree(path, &r, e) < 0)
        return -1;
    if (round_up(size_bytes) >= r.edit.info.fs_bytes) {
        bad_size(path, "shrink", r.edit.info.fs_bytes, e);
        return err_hint(e, "give a smaller size, or '--minimum'");
    }
    return rewrite(path, &r, size_bytes, e);
}
