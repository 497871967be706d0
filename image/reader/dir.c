/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

#include <dirent.h>

/* Directories are read linearly: the nodes of a hashed directory look like unused entries. */

enum { ENTRY_HEAD = 8, ENTRY_MIN = 12, NAME_MAX_BYTES = 255 };

static const uint8_t types[] = { DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
                                 DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK };

static int open_dir(const struct image_reader *r, uint32_t dir, struct reader_inode *inode)
{
    int rc = reader_inode_load(r, dir, inode);
    if (rc < 0)
        return rc;
    return S_ISDIR(inode->st.mode) ? reader_dir_check(r, inode) : -ENOTDIR;
}

static int read_block(const struct image_reader *r, const struct reader_inode *inode,
                      uint64_t logical, uint8_t *block)
{
    struct reader_run run;
    int rc = reader_map(r, inode, logical, 1, &run);
    if (rc < 0)
        return rc;
    if (run.phys == 0)
        return -EUCLEAN; /* directories have no holes */
    return reader_meta(r, run.phys << r->block_bits, block, r->block_bytes);
}

/* Decode the entry at OFFSET of BLOCK. D's inode is 0 for one that is unused or whose name no path
 * can hold. Returns its length, or -EUCLEAN. */
static int decode(const struct image_reader *r, const uint8_t *block, size_t offset,
                  struct image_dirent *d)
{
    const uint8_t *x = block + offset;
    size_t left = r->block_bytes - offset;
    if (left < ENTRY_HEAD)
        return -EUCLEAN;
    size_t rec_len = le16_at(x, 4);
    size_t name_len = r->has_filetype ? x[6] : le16_at(x, 6);
    if (rec_len < ENTRY_MIN || rec_len % 4 != 0 || rec_len > left)
        return -EUCLEAN;

    d->ino = le32_at(x, 0);
    d->name = (const char *)x + ENTRY_HEAD;
    d->name_len = name_len;
    d->type = r->has_filetype && x[7] < sizeof types ? types[x[7]] : DT_UNKNOWN;
    if (d->ino == 0)
        return (int)rec_len;
    if (name_len > NAME_MAX_BYTES || name_len + ENTRY_HEAD > rec_len)
        return -EUCLEAN;
    if (name_len == 0 || memchr(d->name, '/', name_len) || memchr(d->name, '\0', name_len))
        d->ino = 0;
    return (int)rec_len;
}

int image_read_lookup(const struct image_reader *r, uint32_t dir, const char *name, size_t len,
                      uint32_t *ino)
{
    struct reader_inode inode;
    uint8_t block[READER_MAX_BLOCK];
    int rc = open_dir(r, dir, &inode);
    if (rc < 0)
        return rc;
    if (len > NAME_MAX_BYTES)
        return -ENAMETOOLONG;

    for (uint64_t b = 0; b < inode.st.size >> r->block_bits; b++) {
        rc = read_block(r, &inode, b, block);
        for (size_t at = 0; rc >= 0 && at < r->block_bytes; at += (size_t)rc) {
            struct image_dirent d;
            rc = decode(r, block, at, &d);
            if (rc < 0)
                break;
            if (d.ino && d.name_len == len && memcmp(d.name, name, len) == 0) {
                *ino = d.ino;
                return 0;
            }
        }
        if (rc < 0)
            return rc;
    }
    return -ENOENT;
}

int image_read_dir(const struct image_reader *r, uint32_t dir, uint64_t cookie,
                   int (*entry)(void *ctx, const struct image_dirent *d), void *ctx)
{
    struct reader_inode inode;
    uint8_t block[READER_MAX_BLOCK];
    int rc = open_dir(r, dir, &inode);
    if (rc < 0)
        return rc;

    for (uint64_t b = cookie >> r->block_bits; b < inode.st.size >> r->block_bits; b++) {
        rc = read_block(r, &inode, b, block);
        for (size_t at = 0; rc >= 0 && at < r->block_bytes; at += (size_t)rc) {
            struct image_dirent d;
            rc = decode(r, block, at, &d);
            if (rc < 0)
                break;
            /* A cookie may lie anywhere, since the client may seek: go on behind it. */
            uint64_t here = (b << r->block_bits) + at;
            d.next_cookie = here + (size_t)rc;
            if (here >= cookie && d.ino && entry(ctx, &d))
                return 0;
        }
        if (rc < 0)
            return rc;
    }
    return 0;
}
