/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_WRITER_EXT_OUT_H
#define IMAGE_WRITER_EXT_OUT_H

/* Fill a fresh file system from front to back: blocks are handed out in rising order, each file's
 * in one piece, and go to disk in large writes that bypass libext2fs. Inodes are written in rising
 * order too. Errors are errnos, kept in `failed`, which answers every later call: check it once. */

#include <stdbool.h>
#include <stdint.h>

#include "image/writer/writer.h"

enum {
    EXT_OUT_BLOCKS = 256,      /* data gathered before it is written: 1 MiB */
    EXT_OUT_INODE_BLOCKS = 64, /* inode table held at once: 256 KiB */
    EXT_PTRS = EXT_BLOCK / 4,  /* pointers in an indirect block */
};

struct ext_out {
    ext2_filsys fs; /* lent */
    int fd;         /* lent */
    int failed;     /* errno of the first failure */

    uint64_t next, run_start, run_end; /* free blocks in hand: next … run_end; from run_start on
                                          not yet marked as used */
    uint8_t *data;                     /* gathered blocks */
    uint64_t data_block;               /* where the first of them goes */
    size_t data_n;
    uint8_t *inodes; /* a window of an inode table */
    uint64_t inodes_block;
    size_t inodes_n; /* its blocks; 0: none in hand */
};

void ext_out_init(struct ext_out *o, ext2_filsys fs, int fd);

/* Write what is gathered and mark the blocks as used. Returns `failed`. */
MUST_CHECK int ext_out_flush(struct ext_out *o);
void ext_out_fini(struct ext_out *o);
#define auto_ext_out cleanup_with(ext_out_fini)

/* The next free block, 0 when there is none (ENOSPC). */
uint64_t ext_out_alloc(struct ext_out *o);

/* Room for one block's content at BLOCK; valid until the next call. To be filled at once. */
uint8_t *ext_out_room(struct ext_out *o, uint64_t block);

/* Write a block that may have been handed to ext_out_room before. */
void ext_out_rewrite(struct ext_out *o, uint64_t block, const void *data);

/* Write inode INO: all 256 bytes, in the disk's byte order. */
void ext_out_inode(struct ext_out *o, uint32_t ino, const void *raw);

/* The block map of one file, built in rising order. */
struct ext_map {
    struct ext_out *out;
    uint32_t i_block[EXT2_N_BLOCKS];
    uint64_t n_blocks; /* data and indirect */
    struct ext_map_table {
        uint32_t *ptrs; /* in the disk's byte order */
        uint64_t block; /* 0: no table in hand */
        uint64_t key;   /* which part of the file it maps */
    } tables[3];
};

void ext_map_init(struct ext_map *m, struct ext_out *o);

/* Allocate the block that holds LBLK of the file, and indirect blocks before it as needed. Returns
 * 0 when there is no room. */
uint64_t ext_map_add(struct ext_map *m, uint64_t lblk);

/* Write the indirect blocks that are still in hand. */
void ext_map_finish(struct ext_map *m);
void ext_map_fini(struct ext_map *m);
#define auto_ext_map cleanup_with(ext_map_fini)

/* Blocks of indirect pointers that a file of N blocks without holes needs. */
uint64_t ext_map_overhead(uint64_t n);

#endif
