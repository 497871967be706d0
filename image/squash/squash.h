/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_SQUASH_SQUASH_H
#define IMAGE_SQUASH_SQUASH_H

/* squashfs behind the server, by libsquashfuse. Private to this wing.
 *
 * The library is written for trusted bytes: it takes offsets, indices and name lengths from the
 * image as they are. So only those of its parts are used whose inputs can be checked first (blocks
 * and their caches, inodes, the directory iterator, block lists), and every place where reading
 * starts passes squash_cursor_ok. Looking names up, indices, fragments, ids and xattrs are ours. */

#include <pthread.h>

#include "image/server/server.h"

#include <squashfuse.h>

enum {
    SQUASH_MD_BLOCKS = 128,       /* of 8 KiB of metadata in the library's cache */
    SQUASH_CACHE_BYTES = 8 << 20, /* of unpacked data */
    SQUASH_NAME_BYTES =
        65536 + 1, /* what the library writes for a 16-bit length it does not check */
    SQUASH_MAX_NAME = 255,
    SQUASH_MAX_LINK = 4095,
    SQUASH_MARKS = 256,
    SQUASH_MARK_EVERY = 512,     /* blocks */
    SQUASH_MAX_BLOCKS = 1 << 26, /* of a file: nobody waits for a longer list */
};

/* How far a file's block list has been read: the next entry is BLOCK's. */
struct squash_mark {
    uint64_t node;
    uint64_t block;
    sqfs_blocklist list;
};

/* The library is not thread-safe, so one thread at a time reads metadata: it is little, and packed
 * in blocks of 8 KiB, each of which is unpacked once so. Data is unpacked beside that lock, by as
 * many threads as ask for different blocks. */
struct squash {
    struct image_tree tree;
    pthread_mutex_t lock; /* of all below but the cache */
    sqfs fs;
    char name[SQUASH_NAME_BYTES];
    struct squash_mark marks[SQUASH_MARKS];
    struct squash_cache *cache;
};

struct squash *squash_take(const struct image_tree *t);
void squash_give(struct squash **h);
#define auto_squash cleanup_with(squash_give)

/* These return 0 or a negative errno. */

/* Whether reading metadata may start at CUR. */
MUST_CHECK int squash_cursor_ok(struct squash *h, const sqfs_md_cursor *cur);

/* Entry IDX of N in TABLE, of LEN bytes. */
struct squash_table {
    sqfs_table *table;
    uint64_t n;
};
MUST_CHECK int squash_table_get(struct squash *h, struct squash_table table, uint64_t idx,
                                void *out, size_t len);

struct squash_inode {
    sqfs_inode raw;
    uint64_t hole_bytes; /* of a file that is not stored */
};
MUST_CHECK int squash_inode_get(struct squash *h, uint64_t node, struct squash_inode *out);
MUST_CHECK int squash_inode_stat(struct squash *h, const struct squash_inode *from,
                                 struct image_stat *out);
uint64_t squash_node_of(const struct squash *h, sqfs_inode_id id);

/* ── dir.c ── */
MUST_CHECK int squash_lookup(const struct image_tree *t, uint64_t dir, const char *name,
                             uint64_t *node, struct image_stat *out);
MUST_CHECK int squash_list(const struct image_tree *t, uint64_t dir, uint64_t cookie,
                           struct tree_walk *walk);

/* ── data.c ── */
MUST_CHECK ssize_t squash_read(const struct image_tree *t, uint64_t node, void *buf, size_t len,
                               uint64_t offset);
MUST_CHECK int64_t squash_seek(const struct image_tree *t, uint64_t node, uint64_t offset,
                               bool hole);

/* ── cache.c ── Unpacked blocks, shared by all threads; one unpacks, the others wait for it. */
struct squash_cache *squash_cache_new(uint32_t block_bytes);
void squash_cache_free(struct squash_cache *c);

/* A block of data, lent until it is put back. */
struct squash_lent {
    const sqfs_block *block;
    size_t slot; /* SIZE_MAX: not of the cache */
};
/* FS is not changed, and the lock need not be held. */
MUST_CHECK int squash_cache_get(struct squash_cache *c, const sqfs *fs, uint64_t pos,
                                uint32_t header, struct squash_lent *out);
void squash_cache_put(struct squash_cache *c, struct squash_lent lent);

/* ── xattr.c ── */
MUST_CHECK ssize_t squash_xattr(const struct image_tree *t, uint64_t node, const char *name,
                                void *buf, size_t len);
MUST_CHECK ssize_t squash_xattr_list(const struct image_tree *t, uint64_t node, char *buf,
                                     size_t len);

#endif
