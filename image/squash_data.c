/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include "image/squash.h"

/* A file is a list of packed blocks, of which empty ones are holes, and a tail that shares a
 * fragment with others. Only sizes are listed: where a block lies is the sum of those before it. */

struct file {
    struct squash *h;
    uint64_t node;
    const sqfs_inode *inode;
    uint64_t size;
    uint64_t n_blocks;   /* without the tail in a fragment */
    sqfs_blocklist list; /* its next entry is AT's */
    uint64_t at;
};

static struct squash_mark *mark_of(const struct file *f, uint64_t block)
{
    return &f->h->marks[(f->node * 31 + block / SQUASH_MARK_EVERY) % SQUASH_MARKS];
}

/* Go to BLOCK from the nearest mark before it, leaving marks on the way. */
static int go_to(struct file *f, uint64_t block)
{
    uint64_t from = block - block % SQUASH_MARK_EVERY;
    for (unsigned i = 0; i < SQUASH_MARKS && from > 0; i++, from -= SQUASH_MARK_EVERY) {
        const struct squash_mark *m = mark_of(f, from);
        if (m->node == f->node && m->block == from) {
            f->list = m->list;
            break;
        }
    }
    f->at = from;
    if (from == 0 || mark_of(f, from)->node != f->node || mark_of(f, from)->block != from) {
        sqfs_blocklist_init(&f->h->fs, (sqfs_inode *)f->inode, &f->list);
        f->at = 0;
    }
    for (; f->at < block; f->at++) {
        if (f->at > 0 && f->at % SQUASH_MARK_EVERY == 0)
            *mark_of(f, f->at) =
                (struct squash_mark){ .node = f->node, .block = f->at, .list = f->list };
        if (sqfs_blocklist_next(&f->list) != SQFS_OK)
            return -EIO;
    }
    return 0;
}

static int open_file(struct file *f)
{
    if (S_ISDIR(f->inode->base.mode))
        return -EISDIR;
    if (!S_ISREG(f->inode->base.mode))
        return -EINVAL;
    f->size = f->inode->xtra.reg.file_size;
    if (f->size > INT64_MAX)
        return -EUCLEAN;
    f->n_blocks = sqfs_blocklist_count(&f->h->fs, (sqfs_inode *)f->inode);
    return f->n_blocks > SQUASH_MAX_BLOCKS ? -EFBIG : 0;
}

/* The unpacked block at POS, of at least NEED bytes; it stays until the next call. */
static int unpack(struct squash *h, sqfs_cache *cache, struct squashfs_fragment_entry where,
                  size_t need, sqfs_block **out)
{
    uint32_t packed = where.size & ~(uint32_t)SQUASHFS_COMPRESSED_BIT_BLOCK;
    if (where.start_block < sizeof h->fs.sb || where.start_block > INT64_MAX || packed == 0 ||
        packed > h->fs.sb.block_size)
        return -EUCLEAN;
    if (sqfs_data_cache(&h->fs, cache, (sqfs_off_t)where.start_block, where.size, out) != SQFS_OK)
        return -EIO;
    return (*out)->size < need ? -EUCLEAN : 0;
}

/* LEN bytes from byte SKIP of the tail. */
static int read_tail(const struct file *f, void *buf, size_t skip, size_t len)
{
    struct squash *h = f->h;
    struct squashfs_fragment_entry where;
    uint32_t idx = f->inode->xtra.reg.frag_idx;
    int rc = squash_table_get(h, (struct squash_table){ &h->fs.frag_table, h->fs.sb.fragments },
                              idx, &where, sizeof where);
    if (rc < 0)
        return rc;
    where.start_block = le64toh(where.start_block);
    where.size = le32toh(where.size);
    size_t from = (size_t)f->inode->xtra.reg.frag_off + skip;
    sqfs_block *block;
    rc = unpack(h, &h->fs.frag_cache, where, from + len, &block);
    if (rc == 0)
        memcpy(buf, (const char *)block->data + from, len);
    return rc;
}

/* The same of the next block in the list. */
static int read_block(struct file *f, void *buf, size_t skip, size_t len)
{
    sqfs_block *block;
    if (sqfs_blocklist_next(&f->list) != SQFS_OK)
        return -EIO;
    f->at++;
    if (f->list.input_size == 0) {
        memset(buf, 0, len);
        return 0;
    }
    struct squashfs_fragment_entry where = { .start_block = f->list.block, .size = f->list.header };
    int rc = unpack(f->h, &f->h->fs.data_cache, where, skip + len, &block);
    if (rc == 0)
        memcpy(buf, (const char *)block->data + skip, len);
    return rc;
}

ssize_t squash_read(const struct image_tree *t, uint64_t node, void *buf, size_t len,
                    uint64_t offset)
{
    auto_squash struct squash *h = squash_take(t);
    struct squash_inode inode;
    struct file f = { .h = h, .node = node, .inode = &inode.raw };
    int rc = h ? squash_inode_get(h, node, &inode) : -ENOMEM;
    if (rc == 0)
        rc = open_file(&f);
    if (rc < 0)
        return rc;
    if (offset >= f.size)
        return 0;
    if (len > f.size - offset)
        len = f.size - offset;
    uint32_t block_bytes = h->fs.sb.block_size;
    uint64_t block = offset / block_bytes;
    rc = go_to(&f, block < f.n_blocks ? block : f.n_blocks);
    for (size_t done = 0; rc == 0 && done < len;) {
        size_t skip = (offset + done) % block_bytes;
        size_t take = block_bytes - skip < len - done ? block_bytes - skip : len - done;
        void *to = (char *)buf + done;
        rc = f.at < f.n_blocks ? read_block(&f, to, skip, take) : read_tail(&f, to, skip, take);
        done += take;
    }
    return rc < 0 ? rc : (ssize_t)len;
}

int64_t squash_seek(const struct image_tree *t, uint64_t node, uint64_t offset, bool hole)
{
    auto_squash struct squash *h = squash_take(t);
    struct squash_inode inode;
    struct file f = { .h = h, .node = node, .inode = &inode.raw };
    int rc = h ? squash_inode_get(h, node, &inode) : -ENOMEM;
    if (rc == 0)
        rc = open_file(&f);
    if (rc < 0)
        return rc;
    if (offset >= f.size)
        return -ENXIO;
    uint32_t block_bytes = h->fs.sb.block_size;
    uint64_t block = offset / block_bytes;
    rc = go_to(&f, block < f.n_blocks ? block : f.n_blocks);
    if (rc < 0)
        return rc;
    for (uint64_t at = offset; at < f.size; at = f.at * block_bytes) {
        bool tail = f.at >= f.n_blocks;
        if (!tail && sqfs_blocklist_next(&f.list) != SQFS_OK)
            return -EIO;
        if (hole == (!tail && f.list.input_size == 0))
            return (int64_t)at;
        f.at++;
    }
    return hole ? (int64_t)f.size : -ENXIO;
}
