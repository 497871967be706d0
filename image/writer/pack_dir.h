/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_WRITER_PACK_DIR_H
#define IMAGE_WRITER_PACK_DIR_H

/* The blocks of a directory: one block of entries, or a hash index (htree) over blocks of entries
 * sorted by hash, as the kernel's ext3 driver reads and extends it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

struct pack_entry {
    const char *name;
    uint32_t ino;
    uint32_t hash, minor; /* filled in by pack_dir_blocks */
    uint8_t len;
    uint8_t type; /* EXT2_FT_… */
};

struct pack_dir_blocks {
    uint8_t *data;
    size_t n;
    bool indexed;
};

/* Lay out the N ENTRIES (reordered) of directory INO below PARENT. SEED is the file system's. Lost
 * and found directories pass N = 0 and MIN_BLOCKS = 4. */
struct pack_dir_spec {
    uint32_t ino, parent_ino;
    struct pack_entry *entries;
    size_t n;
    const uint32_t *seed; /* s_hash_seed, four words */
    size_t min_blocks;
};
void pack_dir_blocks(const struct pack_dir_spec *spec, struct pack_dir_blocks *out);

/* Bytes of an entry whose name has LEN bytes. */
static inline size_t pack_entry_bytes(size_t len)
{
    return (8 + len + 3) & ~(size_t)3;
}

/* Blocks for entries of BYTES in all ("." and ".." left out): exact for one, at most for more. */
uint64_t pack_dir_need(uint64_t bytes);

#endif
