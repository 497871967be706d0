/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "image/squash/squash.h"

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

/* LEN bytes, from byte SKIP of the unpacked block at POS on; a hole when HEADER is 0. */
struct piece {
    uint64_t pos;
    uint32_t header;
    size_t skip, len;
};

static int find_tail(const struct file *f, struct piece *p)
{
    struct squash *h = f->h;
    struct squashfs_fragment_entry where;
    struct squash_table table = { &h->fs.frag_table, h->fs.sb.fragments };
    int rc = squash_table_get(h, table, f->inode->xtra.reg.frag_idx, &where, sizeof where);
    if (rc < 0)
        return rc;
    p->pos = le64toh(where.start_block);
    p->header = le32toh(where.size);
    p->skip += f->inode->xtra.reg.frag_off;
    return p->header ? 0 : -EUCLEAN;
}

static int find_block(struct file *f, struct piece *p)
{
    if (sqfs_blocklist_next(&f->list) != SQFS_OK)
        return -EIO;
    f->at++;
    p->pos = f->list.block;
    p->header = f->list.input_size ? f->list.header : 0;
    return 0;
}

/* Where LEN bytes from OFFSET on lie; *N pieces. */
static int find_pieces(struct file *f, uint64_t offset, size_t len, struct piece *out, size_t *n)
{
    uint32_t block_bytes = f->h->fs.sb.block_size;
    uint64_t block = offset / block_bytes;
    int rc = go_to(f, block < f->n_blocks ? block : f->n_blocks);
    for (size_t done = 0; rc == 0 && done < len; done += out[(*n)++].len) {
        struct piece *p = &out[*n];
        size_t skip = (offset + done) % block_bytes, rest = block_bytes - skip;
        *p = (struct piece){ .skip = skip, .len = rest < len - done ? rest : len - done };
        rc = f->at < f->n_blocks ? find_block(f, p) : find_tail(f, p);
    }
    return rc;
}

/* A block that is wanted whole goes straight to where it is wanted: the kernel keeps it then. */
static int unpack_whole(const sqfs *fs, const struct piece *p, void *buf)
{
    bool compressed;
    uint32_t size;
    size_t len = p->len;
    sqfs_data_header(p->header, &compressed, &size);
    if (!compressed && size != len)
        return -EUCLEAN;
    auto_free void *packed = compressed ? mem_alloc(size) : NULL;
    void *to = compressed ? packed : buf;
    if (fs_pread_full(fs->fd, to, size, fs->offset + p->pos) != (ssize_t)size)
        return -EIO;
    if (compressed && fs->decompressor(packed, size, buf, &len) != SQFS_OK)
        return -EIO;
    return len == p->len ? 0 : -EUCLEAN;
}

static int unpack(struct squash *h, const struct piece *p, void *buf)
{
    uint32_t packed = p->header & ~(uint32_t)SQUASHFS_COMPRESSED_BIT_BLOCK;
    struct squash_lent lent;
    if (p->header == 0) {
        memset(buf, 0, p->len);
        return 0;
    }
    if (p->pos < sizeof h->fs.sb || p->pos > INT64_MAX || packed == 0 ||
        packed > h->fs.sb.block_size)
        return -EUCLEAN;
    if (p->skip == 0 && p->len == h->fs.sb.block_size)
        return unpack_whole(&h->fs, p, buf);
    int rc = squash_cache_get(h->cache, &h->fs, p->pos, p->header, &lent);
    if (rc < 0)
        return rc;
    if (lent.block->size < p->skip + p->len)
        rc = -EUCLEAN;
    else
        memcpy(buf, (const char *)lent.block->data + p->skip, p->len);
    squash_cache_put(h->cache, lent);
    return rc;
}

/* F's inode is INODE. */
static int open_node(struct squash *h, uint64_t node, struct squash_inode *inode, struct file *f)
{
    *f = (struct file){ .h = h, .node = node, .inode = &inode->raw };
    int rc = squash_inode_get(h, node, inode);
    return rc < 0 ? rc : open_file(f);
}

/* As much of LEN as there is; the pieces, which become the caller's. */
static ssize_t find_data(const struct image_tree *t, uint64_t node, size_t len, uint64_t offset,
                         struct piece **out)
{
    auto_squash struct squash *h = squash_take(t);
    struct squash_inode inode;
    struct file f;
    int rc = open_node(h, node, &inode, &f);
    if (rc < 0)
        return rc;
    if (offset >= f.size)
        return 0;
    if (len > f.size - offset)
        len = f.size - offset;
    size_t n = 0;
    auto_free struct piece *pieces = mem_zero(len / h->fs.sb.block_size + 2, sizeof *pieces);
    rc = find_pieces(&f, offset, len, pieces, &n);
    if (rc < 0)
        return rc;
    *out = steal_ptr(pieces);
    return (ssize_t)len;
}

ssize_t squash_read(const struct image_tree *t, uint64_t node, void *buf, size_t len,
                    uint64_t offset)
{
    struct squash *h = (struct squash *)t;
    auto_free struct piece *pieces = NULL;
    ssize_t n = find_data(t, node, len, offset, &pieces);
    for (ssize_t done = 0, i = 0; done < n; done += (ssize_t)pieces[i++].len) {
        int rc = unpack(h, &pieces[i], (char *)buf + done);
        if (rc < 0)
            return rc;
    }
    return n;
}

int64_t squash_seek(const struct image_tree *t, uint64_t node, uint64_t offset, bool hole)
{
    auto_squash struct squash *h = squash_take(t);
    struct squash_inode inode;
    struct file f;
    int rc = open_node(h, node, &inode, &f);
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
