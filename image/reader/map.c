/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

enum {
    N_DIRECT = 12,
    EXTENT_MAGIC = 0xf30a,
    EXTENT_BYTES = 12, /* of a node's header and of each entry */
    EXTENT_MAX_DEPTH = 5,
    EXTENT_MAX_LEN = 32768, /* above: allocated, never written, reads as zeros */
};

uint64_t reader_max_bytes(const struct image_reader *r, bool extents)
{
    uint64_t p = r->block_bytes / 4;
    uint64_t blocks = extents ? UINT64_C(1) << 32 : N_DIRECT + p + p * p + p * p * p;
    return blocks << r->block_bits;
}

/* The run that starts at entry INDEX of the N block numbers in MAP, each standing for SPAN file
 * blocks (1 at the leaves). A zero is a hole as wide as its span. */
static int run_at(const struct image_reader *r, const uint8_t *map, size_t n, uint64_t max,
                  struct reader_run *out)
{
    uint64_t first = le32_at(map, 0);
    if (first != 0 && !reader_block_ok(r, first))
        return -EUCLEAN;
    out->phys = first;
    out->n_blocks = 1;
    while (out->n_blocks < n && out->n_blocks < max) {
        uint64_t next = le32_at(map, out->n_blocks * 4);
        if (next != (first ? first + out->n_blocks : 0) || (first && next >= r->n_blocks))
            break;
        out->n_blocks++;
    }
    return 0;
}

static int find_indirect(const struct image_reader *r, const struct reader_inode *inode,
                         uint64_t logical, uint64_t max, struct reader_run *out)
{
    unsigned bits = r->block_bits - 2; /* of an index into an indirect block */
    uint32_t per_block = 1u << bits;

    if (logical < N_DIRECT)
        return run_at(r, inode->block + logical * 4, N_DIRECT - logical, max, out);
    logical -= N_DIRECT;
    unsigned depth = 1;
    uint64_t span = per_block; /* file blocks below the root of this depth */
    while (depth <= 3 && logical >= span) {
        logical -= span;
        span <<= bits;
        depth++;
    }
    if (depth > 3)
        return -EUCLEAN;

    uint64_t node = le32_at(inode->block, (size_t)(N_DIRECT + depth - 1) * 4);
    for (;; depth--) {
        if (node == 0) { /* nothing below: a hole to the end of the span */
            uint64_t left = span - (logical & (span - 1));
            *out = (struct reader_run){ .phys = 0, .n_blocks = left < max ? left : max };
            return 0;
        }
        if (!reader_block_ok(r, node))
            return -EUCLEAN;
        span >>= bits;
        uint32_t index = (uint32_t)(logical >> ((depth - 1) * bits)) & (per_block - 1);
        uint64_t at = (node << r->block_bits) + (uint64_t)index * 4;
        uint8_t map[4 * 256];
        size_t n = depth > 1 ? 1 : per_block - index;
        if (n > sizeof map / 4)
            n = sizeof map / 4;
        if (n > max)
            n = max;
        int rc = reader_meta(r, at, map, n * 4);
        if (rc < 0)
            return rc;
        if (depth == 1)
            return run_at(r, map, n, max, out);
        node = le32_at(map, 0);
    }
}

/* Entries of an extent node in BUF of LEN bytes at DEPTH; -EUCLEAN when its header lies. */
static int node_entries(const uint8_t *buf, size_t len, unsigned depth)
{
    unsigned n = le16_at(buf, 2), n_max = le16_at(buf, 4);
    if (le16_at(buf, 0) != EXTENT_MAGIC || le16_at(buf, 6) != depth || n > n_max ||
        n_max > len / EXTENT_BYTES - 1)
        return -EUCLEAN;
    return (int)n;
}

/* Index of the last of N entries whose first file block is not above LOGICAL; -1: none. */
static int last_not_above(const uint8_t *entries, int n, uint64_t logical)
{
    int lo = 0, hi = n;
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        if (le32_at(entries, (size_t)mid * EXTENT_BYTES) <= logical)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo - 1;
}

static int find_in_leaf(const struct image_reader *r, const uint8_t *x, uint64_t logical,
                        uint64_t end, struct reader_run *out)
{
    uint64_t start = le32_at(x, 0), len = le16_at(x, 4);
    bool unwritten = len > EXTENT_MAX_LEN;
    if (unwritten)
        len -= EXTENT_MAX_LEN;
    uint64_t phys = le32_at(x, 8) | (uint64_t)le16_at(x, 6) << 32;
    if (logical >= start + len) { /* the hole after it */
        *out = (struct reader_run){ .phys = 0, .n_blocks = end - logical };
        return 0;
    }
    if (!reader_block_ok(r, phys) || len > r->n_blocks - phys)
        return -EUCLEAN;
    out->phys = unwritten ? 0 : phys + (logical - start);
    out->n_blocks = start + len - logical;
    return 0;
}

static int find_extent(const struct image_reader *r, const struct reader_inode *inode,
                       uint64_t logical, uint64_t max, struct reader_run *out)
{
    uint8_t buf[READER_MAX_BLOCK];
    size_t len = sizeof inode->block;
    unsigned depth = le16_at(inode->block, 6);
    uint64_t end = UINT64_C(1) << 32; /* first file block that this node does not cover */

    if (depth > EXTENT_MAX_DEPTH)
        return -EUCLEAN;
    memcpy(buf, inode->block, len);
    for (;; depth--) {
        int n = node_entries(buf, len, depth);
        if (n < 0)
            return n;
        const uint8_t *entries = buf + EXTENT_BYTES;
        int i = last_not_above(entries, n, logical);
        uint64_t next = i + 1 < n ? le32_at(entries, (size_t)(i + 1) * EXTENT_BYTES) : end;
        if (next < end && next > logical)
            end = next;
        if (i < 0) {
            *out = (struct reader_run){ .phys = 0, .n_blocks = end - logical };
            break;
        }
        const uint8_t *x = entries + (size_t)i * EXTENT_BYTES;
        if (depth == 0) {
            int rc = find_in_leaf(r, x, logical, end, out);
            if (rc < 0)
                return rc;
            break;
        }
        uint64_t child = le32_at(x, 4) | (uint64_t)le16_at(x, 8) << 32;
        if (!reader_block_ok(r, child))
            return -EUCLEAN;
        len = r->block_bytes;
        int rc = reader_meta(r, child << r->block_bits, buf, len);
        if (rc < 0)
            return rc;
    }
    if (out->n_blocks > max)
        out->n_blocks = max;
    return 0;
}

int reader_map(const struct image_reader *r, const struct reader_inode *inode, uint64_t logical,
               uint64_t max, struct reader_run *out)
{
    if (max == 0 || logical >> 32)
        return -EUCLEAN;
    if (inode->flags & FLAG_EXTENTS)
        return find_extent(r, inode, logical, max, out);
    return find_indirect(r, inode, logical, max, out);
}
