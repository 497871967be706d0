/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/writer/ext_out.h"

#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "image/writer/ext_make.h"

void ext_out_init(struct ext_out *o, ext2_filsys fs, int fd)
{
    *o = (struct ext_out){ .fs = fs, .fd = fd };
    o->data = mem_alloc((size_t)EXT_OUT_BLOCKS * EXT_BLOCK);
    o->inodes = mem_alloc((size_t)EXT_OUT_INODE_BLOCKS * EXT_BLOCK);
}

void ext_out_fini(struct ext_out *o)
{
    free(o->data);
    free(o->inodes);
    *o = (struct ext_out){ 0 };
}

static void put(struct ext_out *o, const void *data, size_t n_blocks, uint64_t block)
{
    if (o->failed || n_blocks == 0)
        return;
    if (fs_pwrite_full(o->fd, data, n_blocks * EXT_BLOCK, block * EXT_BLOCK) < 0)
        o->failed = errno ? errno : EIO;
}

static void flush_data(struct ext_out *o)
{
    put(o, o->data, o->data_n, o->data_block);
    o->data_n = 0;
}

static void flush_inodes(struct ext_out *o)
{
    put(o, o->inodes, o->inodes_n, o->inodes_block);
    o->inodes_n = 0;
}

static void mark_run(struct ext_out *o)
{
    if (o->next > o->run_start)
        ext2fs_block_alloc_stats_range(o->fs, o->run_start, (blk_t)(o->next - o->run_start), +1);
    o->run_start = o->next;
}

int ext_out_flush(struct ext_out *o)
{
    flush_data(o);
    flush_inodes(o);
    mark_run(o);
    return o->failed;
}

static bool next_run(struct ext_out *o)
{
    mark_run(o);
    uint64_t last = ext2fs_blocks_count(o->fs->super) - 1;
    blk64_t start, end;
    if (o->next > last ||
        ext2fs_find_first_zero_block_bitmap2(o->fs->block_map, o->next, last, &start))
        return false;
    if (ext2fs_find_first_set_block_bitmap2(o->fs->block_map, start, last, &end))
        end = last + 1;
    o->next = o->run_start = start;
    o->run_end = end;
    return true;
}

uint64_t ext_out_alloc(struct ext_out *o)
{
    if (o->next == o->run_end && !next_run(o)) {
        if (!o->failed)
            o->failed = ENOSPC;
        return 0;
    }
    return o->next++;
}

uint8_t *ext_out_room(struct ext_out *o, uint64_t block)
{
    if (o->data_n == EXT_OUT_BLOCKS || (o->data_n && o->data_block + o->data_n != block))
        flush_data(o);
    if (o->data_n == 0)
        o->data_block = block;
    return o->data + EXT_BLOCK * o->data_n++;
}

void ext_out_rewrite(struct ext_out *o, uint64_t block, const void *data)
{
    if (block >= o->data_block && block < o->data_block + o->data_n)
        memcpy(o->data + EXT_BLOCK * (block - o->data_block), data, EXT_BLOCK);
    else
        put(o, data, 1, block);
}

/* Take the part of the inode table that holds block INDEX of GROUP's table in hand. */
static void load_inodes(struct ext_out *o, uint32_t group, uint64_t index)
{
    flush_inodes(o);
    uint64_t first = index - index % EXT_OUT_INODE_BLOCKS;
    uint64_t n = o->fs->inode_blocks_per_group - first;
    o->inodes_n = n < EXT_OUT_INODE_BLOCKS ? n : EXT_OUT_INODE_BLOCKS;
    o->inodes_block = ext2fs_inode_table_loc(o->fs, group) + first;
    size_t len = o->inodes_n * EXT_BLOCK;
    ssize_t got = fs_pread_full(o->fd, o->inodes, len, o->inodes_block * EXT_BLOCK);
    if (got != (ssize_t)len && !o->failed)
        o->failed = got < 0 ? errno : EIO;
}

void ext_out_inode(struct ext_out *o, uint32_t ino, const void *raw)
{
    uint32_t per_group = o->fs->super->s_inodes_per_group;
    uint32_t group = (ino - 1) / per_group;
    uint64_t offset = (uint64_t)((ino - 1) % per_group) * EXT_INODE_BYTES;
    uint64_t block = ext2fs_inode_table_loc(o->fs, group) + offset / EXT_BLOCK;
    if (o->inodes_n == 0 || block < o->inodes_block || block >= o->inodes_block + o->inodes_n)
        load_inodes(o, group, offset / EXT_BLOCK);
    uint8_t *at = o->inodes + (block - o->inodes_block) * EXT_BLOCK + offset % EXT_BLOCK;
    memcpy(at, raw, EXT_INODE_BYTES);
}
