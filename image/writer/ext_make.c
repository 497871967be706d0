/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/writer/ext_make.h"

#include <string.h>
#include <sys/random.h>

#include "base/fs.h"
#include "base/mem.h"
#include "image/writer/ext_out.h"
#include "image/image.h"
#include "image/layout.h"

#define MIB (1ull << 20)

void ext_ids_from(const void *key, size_t len, struct ext_ids *out)
{
    uint8_t sum[EXT2FS_SHA512_LENGTH];
    ext2fs_sha512(key, (unsigned long)len, sum);
    memcpy(out->uuid, sum, 16);
    memcpy(out->hash_seed, sum + 16, 16);
    out->uuid[6] = (uint8_t)((out->uuid[6] & 0x0f) | 0x80); /* version 8: made by a rule of ours */
    out->uuid[8] = (uint8_t)((out->uuid[8] & 0x3f) | 0x80);
}

int ext_ids_random(struct ext_ids *out, struct err *e)
{
    if (getrandom(out, sizeof *out, 0) != (ssize_t)sizeof *out)
        return err_sys(e, "cannot get random bytes");
    out->uuid[6] = (uint8_t)((out->uuid[6] & 0x0f) | 0x40);
    out->uuid[8] = (uint8_t)((out->uuid[8] & 0x3f) | 0x80);
    return 0;
}

/* Blocks of the journal. 1024 is the least that the kernel takes; an image is rarely written, so
 * little more helps. Most of it stays a hole. */
static unsigned journal_blocks(uint64_t size_bytes)
{
    if (size_bytes < 8 * MIB)
        return 0;
    if (size_bytes < 512 * MIB)
        return 1024;
    return size_bytes < 8192 * MIB ? 4096 : 16384;
}

static void fill_super(const struct ext_make_spec *spec, struct ext2_super_block *sb)
{
    uint64_t n_inodes = spec->size_bytes / EXT_BYTES_PER_INODE;
    if (n_inodes < spec->n_inodes)
        n_inodes = spec->n_inodes;
    *sb = (struct ext2_super_block){
        .s_rev_level = EXT2_DYNAMIC_REV,
        .s_inode_size = EXT_INODE_BYTES,
        .s_log_block_size = EXT_BLOCK_BITS - EXT2_MIN_BLOCK_LOG_SIZE,
        .s_log_cluster_size = EXT_BLOCK_BITS - EXT2_MIN_BLOCK_LOG_SIZE,
        .s_inodes_count = (__u32)(n_inodes > UINT32_MAX ? UINT32_MAX : n_inodes),
        .s_errors = EXT2_ERRORS_RO,
        .s_feature_compat = EXT2_FEATURE_COMPAT_EXT_ATTR | EXT2_FEATURE_COMPAT_RESIZE_INODE |
                            EXT2_FEATURE_COMPAT_DIR_INDEX,
        .s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE,
        .s_feature_ro_compat =
            EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER | EXT2_FEATURE_RO_COMPAT_LARGE_FILE,
    };
    ext2fs_blocks_count_set(sb, spec->size_bytes >> EXT_BLOCK_BITS);
}

/* What ext2fs_initialize leaves to mke2fs, and all that would differ from one day to the next. */
static void pin(const struct ext_make_spec *spec, ext2_filsys fs)
{
    struct ext2_super_block *sb = fs->super;
    fs->now = (time_t)(spec->now > 0 ? spec->now : 1); /* 0 would mean: ask the clock */
    fs->umask = 022;
    sb->s_mkfs_time = sb->s_lastcheck = sb->s_wtime = (__u32)fs->now;
    sb->s_max_mnt_count = -1;
    sb->s_creator_os = EXT2_OS_LINUX;
    sb->s_default_mount_opts = EXT2_DEFM_XATTR_USER | EXT2_DEFM_ACL;
    /* Signed on every machine: an image is the same wherever it was made. */
    sb->s_def_hash_version = EXT2_HASH_HALF_MD4;
    sb->s_flags = EXT2_FLAGS_SIGNED_HASH;
    memcpy(sb->s_uuid, spec->ids.uuid, sizeof sb->s_uuid);
    memcpy(sb->s_hash_seed, spec->ids.hash_seed, sizeof sb->s_hash_seed);
}

/* The journal's inode and its copy in the superblock. N is its number of blocks. */
static errcode_t put_journal_inode(ext2_filsys fs, const struct ext_map *map, unsigned n)
{
    struct ext2_inode_large inode = {
        .i_mode = LINUX_S_IFREG | 0600,
        .i_links_count = 1,
        .i_size = n * EXT_BLOCK,
        .i_blocks = (__u32)(map->n_blocks * (EXT_BLOCK / 512)),
        .i_atime = (__u32)fs->now,
        .i_ctime = (__u32)fs->now,
        .i_mtime = (__u32)fs->now,
        .i_extra_isize = sizeof inode - EXT2_GOOD_OLD_INODE_SIZE,
    };
    memcpy(inode.i_block, map->i_block, sizeof inode.i_block);
    struct ext2_super_block *sb = fs->super;
    memcpy(sb->s_jnl_blocks, map->i_block, sizeof map->i_block);
    sb->s_jnl_blocks[15] = 0;
    sb->s_jnl_blocks[16] = inode.i_size;
    sb->s_jnl_backup_type = EXT3_JNL_BACKUP_BLOCKS;
    sb->s_journal_inum = EXT2_JOURNAL_INO;
    ext2fs_set_feature_journal(sb);
    return ext2fs_write_inode_full(fs, EXT2_JOURNAL_INO, (struct ext2_inode *)&inode, sizeof inode);
}

/* Our own, not ext2fs_add_journal_inode: that writes 64 MiB of zeros and puts the journal into the
 * middle, so that an image could not shrink to its content. All but the first block and the
 * indirect ones stay holes, which read as the zeros that belong there. */
static errcode_t add_journal(ext2_filsys fs, const struct ext_make_spec *spec)
{
    unsigned n = journal_blocks(spec->size_bytes);
    if (n == 0)
        return 0;
    auto_ext_out struct ext_out out;
    auto_ext_map struct ext_map map;
    ext_out_init(&out, fs, spec->fd);
    ext_map_init(&map, &out);
    uint64_t first = ext_map_add(&map, 0);
    for (unsigned i = 1; i < n; i++)
        if (ext_map_add(&map, i) == 0)
            return EXT2_ET_BLOCK_ALLOC_FAIL;
    struct ext2fs_journal_params params = { .num_journal_blocks = n };
    char *head = NULL;
    errcode_t rc = ext2fs_create_journal_superblock2(fs, &params, 0, &head);
    if (rc)
        return rc;
    memcpy(ext_out_room(&out, first), head, EXT_BLOCK);
    ext2fs_free_mem(&head);
    ext_map_finish(&map);
    rc = ext_out_flush(&out);
    return rc ? rc : put_journal_inode(fs, &map, n);
}

static errcode_t set_up(const struct ext_make_spec *spec, ext2_filsys fs)
{
    pin(spec, fs);
    errcode_t rc = ext2fs_allocate_tables(fs);
    if (rc)
        return rc;
    for (ext2_ino_t ino = 1; ino < EXT2_FIRST_INODE(fs->super); ino++)
        if (ino != EXT2_ROOT_INO) /* counted by whoever makes it */
            ext2fs_inode_alloc_stats2(fs, ino, +1, 0);
    rc = ext2fs_create_resize_inode(fs);
    return rc ? rc : add_journal(fs, spec);
}

int ext_make(const struct ext_make_spec *spec, ext2_filsys *out, struct err *e)
{
    struct ext2_super_block sb;
    fill_super(spec, &sb);
    if (ftruncate(spec->fd, (off_t)spec->size_bytes) < 0 ||
        fs_pwrite_full(spec->fd, LAYOUT_HASHBANG, strlen(LAYOUT_HASHBANG), 0) < 0)
        return err_sys(e, "cannot write '%s'", spec->path);
    struct ext_io_name name = ext_io_name(spec->fd);
    auto_ext_fs ext2_filsys fs = NULL;
    errcode_t rc = ext2fs_initialize(name.text, EXT2_FLAG_64BITS, &sb, ext_io_manager, &fs);
    if (!rc)
        rc = set_up(spec, fs);
    if (rc && fs && ext_io_failed(fs))
        rc = ext_io_failed(fs);
    if (rc == EXT2_ET_TOOSMALL || rc == EXT2_ET_BLOCK_ALLOC_FAIL || rc == EXT2_ET_TOO_MANY_INODES) {
        auto_free char *size = str_human_size(spec->size_bytes);
        return err_set(e, ERR_INPUT, "%s is too small for a file system of %llu files", size,
                       (unsigned long long)sb.s_inodes_count);
    }
    if (rc)
        return ext_err(e, rc, "cannot lay out '%s'", spec->path);
    *out = steal_ptr(fs);
    return 0;
}
