/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/writer/pack_dir.h"

#include <endian.h>
#include <string.h>

#include "base/mem.h"
#include "image/writer/writer.h"

enum {
    DOTS_BYTES = 24, /* "." and ".." */
    ROOT_HEAD = 32,  /* the dots and struct ext2_dx_root_info */
    NODE_HEAD = 8,   /* an entry without inode that spans the block */
    ROOT_LIMIT = (EXT_BLOCK - ROOT_HEAD) / 8,
    NODE_LIMIT = (EXT_BLOCK - NODE_HEAD) / 8,
    LONGEST_ENTRY = 264,
};

static void put16(uint8_t *at, uint16_t v)
{
    v = htole16(v);
    memcpy(at, &v, 2);
}

static void put32(uint8_t *at, uint32_t v)
{
    v = htole32(v);
    memcpy(at, &v, 4);
}

static void put_entry(uint8_t *at, const struct pack_entry *en, size_t rec_len)
{
    put32(at, en->ino);
    put16(at + 4, (uint16_t)rec_len);
    at[6] = en->len;
    at[7] = en->type;
    memcpy(at + 8, en->name, en->len);
}

uint64_t pack_dir_need(uint64_t bytes)
{
    if (bytes + DOTS_BYTES <= EXT_BLOCK)
        return 1;
    const uint64_t least = EXT_BLOCK - LONGEST_ENTRY; /* a leaf ends where the next does not fit */
    uint64_t leaves = (bytes + least - 1) / least;
    uint64_t nodes = leaves <= ROOT_LIMIT ? 0 : (leaves + NODE_LIMIT - 1) / NODE_LIMIT;
    return 1 + nodes + leaves;
}

static void grow(struct pack_dir_blocks *b, size_t n)
{
    b->data = mem_resize(b->data, b->n + n, EXT_BLOCK);
    memset(b->data + b->n * EXT_BLOCK, 0, n * EXT_BLOCK);
    b->n += n;
}

static uint8_t *block_at(const struct pack_dir_blocks *b, size_t i)
{
    return b->data + i * EXT_BLOCK;
}

/* "." and "..", the second reaching up to END. */
static void put_dots(const struct pack_dir_spec *spec, uint8_t *block, size_t end)
{
    const struct pack_entry self = { .name = ".", .ino = spec->ino, .len = 1, .type = EXT2_FT_DIR };
    const struct pack_entry up = {
        .name = "..", .ino = spec->parent_ino, .len = 2, .type = EXT2_FT_DIR
    };
    put_entry(block, &self, 12);
    put_entry(block + 12, &up, end - 12);
}

/* Entries from FIRST on, as many as fit into BLOCK behind AT; the last one reaches to its end.
 * Returns how many. */
static size_t fill(const struct pack_dir_spec *spec, size_t first, uint8_t *block, size_t at)
{
    size_t i = first;
    uint8_t *last = NULL;
    size_t last_at = 0;
    for (; i < spec->n; i++) {
        size_t len = pack_entry_bytes(spec->entries[i].len);
        if (at + len > EXT_BLOCK)
            break;
        last = block + at;
        last_at = at;
        put_entry(last, &spec->entries[i], len);
        at += len;
    }
    if (last)
        put16(last + 4, (uint16_t)(EXT_BLOCK - last_at));
    return i - first;
}

static void one_block(const struct pack_dir_spec *spec, struct pack_dir_blocks *b)
{
    grow(b, spec->min_blocks ? spec->min_blocks : 1);
    put_dots(spec, b->data, spec->n ? DOTS_BYTES : EXT_BLOCK);
    fill(spec, 0, b->data, DOTS_BYTES);
    for (size_t i = 1; i < b->n; i++) /* empty ones: one entry without inode */
        put16(block_at(b, i) + 4, EXT_BLOCK);
}

static int by_hash(const void *va, const void *vb)
{
    const struct pack_entry *a = va, *b = vb;
    if (a->hash != b->hash)
        return a->hash < b->hash ? -1 : 1;
    if (a->minor != b->minor)
        return a->minor < b->minor ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* The index at AT of a root or node: COUNT references. The first one's hash gives way to the
 * counters, since it is where the block's range begins anyway. */
static void put_index(uint8_t *at, size_t limit, size_t count, const uint32_t *hashes,
                      uint32_t first_block)
{
    put16(at, (uint16_t)limit);
    put16(at + 2, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            put32(at + 8 * i, hashes[i]);
        put32(at + 8 * i + 4, first_block + (uint32_t)i);
    }
}

/* Index nodes between root and leaves; the root's own references go into HASHES. Returns their
 * number. LEAVES is where the leaves will begin. */
static size_t put_nodes(struct pack_dir_blocks *b, uint32_t *hashes, size_t n_leaves,
                        uint32_t leaves)
{
    size_t n_nodes = 0;
    for (size_t i = 0; i < n_leaves; i += NODE_LIMIT) {
        size_t count = n_leaves - i < NODE_LIMIT ? n_leaves - i : NODE_LIMIT;
        uint8_t *block = block_at(b, 1 + n_nodes);
        put16(block + 4, EXT_BLOCK);
        put_index(block + NODE_HEAD, NODE_LIMIT, count, hashes + i, leaves + (uint32_t)i);
        hashes[n_nodes++] = hashes[i];
    }
    return n_nodes;
}

/* How many leaves the sorted entries fill, and the hash each begins with; its lowest bit says that
 * the hash began in the leaf before. */
static size_t plan_leaves(const struct pack_dir_spec *spec, uint32_t *hashes)
{
    size_t n = 0, used = EXT_BLOCK;
    for (size_t i = 0; i < spec->n; i++) {
        size_t len = pack_entry_bytes(spec->entries[i].len);
        if (used + len > EXT_BLOCK) {
            bool same = i > 0 && spec->entries[i].hash == spec->entries[i - 1].hash;
            hashes[n++] = spec->entries[i].hash | same;
            used = 0;
        }
        used += len;
    }
    return n;
}

static void indexed(const struct pack_dir_spec *spec, struct pack_dir_blocks *b)
{
    for (size_t i = 0; i < spec->n; i++) {
        struct pack_entry *en = &spec->entries[i];
        ext2fs_dirhash2(EXT2_HASH_HALF_MD4, en->name, en->len, NULL, 0, spec->seed, &en->hash,
                        &en->minor);
    }
    qsort(spec->entries, spec->n, sizeof *spec->entries, by_hash);
    auto_free uint32_t *hashes = mem_zero(spec->n, sizeof *hashes);
    size_t n_leaves = plan_leaves(spec, hashes);
    size_t n_nodes = n_leaves <= ROOT_LIMIT ? 0 : (n_leaves + NODE_LIMIT - 1) / NODE_LIMIT;
    grow(b, 1 + n_nodes + n_leaves);
    b->indexed = true;

    put_dots(spec, b->data, EXT_BLOCK); /* to a reader without indices the index is a long ".." */
    const struct ext2_dx_root_info info = { .hash_version = EXT2_HASH_HALF_MD4,
                                            .info_length = 8,
                                            .indirect_levels = n_nodes > 0 };
    memcpy(b->data + DOTS_BYTES, &info, sizeof info);
    uint32_t leaves = (uint32_t)(1 + n_nodes);
    size_t count = n_leaves;
    if (n_nodes)
        count = put_nodes(b, hashes, n_leaves, leaves);
    put_index(b->data + ROOT_HEAD, ROOT_LIMIT, count, hashes, 1);
    size_t done = 0;
    for (size_t i = 0; i < n_leaves; i++)
        done += fill(spec, done, block_at(b, leaves + i), 0);
}

void pack_dir_blocks(const struct pack_dir_spec *spec, struct pack_dir_blocks *out)
{
    *out = (struct pack_dir_blocks){ 0 };
    uint64_t bytes = 0;
    for (size_t i = 0; i < spec->n; i++)
        bytes += pack_entry_bytes(spec->entries[i].len);
    if (bytes + DOTS_BYTES <= EXT_BLOCK)
        one_block(spec, out);
    else
        indexed(spec, out);
}
