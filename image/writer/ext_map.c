/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include "base/mem.h"
#include "image/writer/ext_out.h"

void ext_map_init(struct ext_map *m, struct ext_out *o)
{
    *m = (struct ext_map){ .out = o };
}

void ext_map_fini(struct ext_map *m)
{
    for (size_t i = 0; i < ARRAY_LEN(m->tables); i++)
        free(m->tables[i].ptrs);
    *m = (struct ext_map){ 0 };
}

static void put_table(struct ext_map *m, struct ext_map_table *t)
{
    if (t->block)
        ext_out_rewrite(m->out, t->block, t->ptrs);
    t->block = 0;
}

void ext_map_finish(struct ext_map *m)
{
    for (size_t i = 0; i < ARRAY_LEN(m->tables); i++)
        put_table(m, &m->tables[i]);
}

/* Make T an empty table in a new block. Its place in the stream of data is kept with zeros, so that
 * a file of some hundred blocks still goes out in one write. */
static bool new_table(struct ext_map *m, struct ext_map_table *t, uint64_t key)
{
    put_table(m, t);
    uint64_t block = ext_out_alloc(m->out);
    if (block == 0)
        return false;
    if (!t->ptrs)
        t->ptrs = mem_alloc(EXT_BLOCK);
    memset(t->ptrs, 0, EXT_BLOCK);
    memset(ext_out_room(m->out, block), 0, EXT_BLOCK);
    t->block = block;
    t->key = key;
    m->n_blocks++;
    return true;
}

/* How many tables lie between the inode and block *LBLK, which becomes relative to their part. */
static unsigned depth_of(uint64_t *lblk)
{
    if (*lblk < EXT2_NDIR_BLOCKS)
        return 0;
    *lblk -= EXT2_NDIR_BLOCKS;
    uint64_t reach = EXT_PTRS;
    unsigned depth = 1;
    while (*lblk >= reach && depth < 3) {
        *lblk -= reach;
        reach *= EXT_PTRS;
        depth++;
    }
    return depth;
}

uint64_t ext_map_add(struct ext_map *m, uint64_t lblk)
{
    uint64_t rel = lblk;
    unsigned depth = depth_of(&rel);
    /* i_block is in the machine's order, as libext2fs keeps inodes; tables are in the disk's. */
    uint32_t *slot = depth ? &m->i_block[EXT2_NDIR_BLOCKS + depth - 1] : &m->i_block[lblk];
    bool in_inode = true;
    for (unsigned k = 0; k < depth; k++) {
        struct ext_map_table *t = &m->tables[k];
        uint64_t key = (uint64_t)depth << 60 | rel >> (10 * (depth - k));
        if (t->block == 0 || t->key != key) {
            for (unsigned below = k; below < ARRAY_LEN(m->tables); below++)
                put_table(m, &m->tables[below]);
            if (!new_table(m, t, key))
                return 0;
            *slot = in_inode ? (uint32_t)t->block : htole32((uint32_t)t->block);
        }
        slot = &t->ptrs[rel >> (10 * (depth - k - 1)) & (EXT_PTRS - 1)];
        in_inode = false;
    }
    uint64_t block = ext_out_alloc(m->out);
    if (block == 0)
        return 0;
    *slot = in_inode ? (uint32_t)block : htole32((uint32_t)block);
    m->n_blocks++;
    return block;
}

uint64_t ext_map_overhead(uint64_t n)
{
    if (n <= EXT2_NDIR_BLOCKS)
        return 0;
    n -= EXT2_NDIR_BLOCKS;
    uint64_t tables = (n + EXT_PTRS - 1) / EXT_PTRS; /* lowest level, in every part */
    if (n > EXT_PTRS) {
        n -= EXT_PTRS;
        uint64_t in_double = n < EXT_PTRS * EXT_PTRS ? n : EXT_PTRS * EXT_PTRS;
        uint64_t in_triple = n - in_double;
        tables += 1;
        if (in_triple)
            tables += 1 + (in_triple + EXT_PTRS * EXT_PTRS - 1) / (EXT_PTRS * EXT_PTRS);
    }
    return tables;
}
