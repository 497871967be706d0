/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_READER_READER_H
#define IMAGE_READER_READER_H

/* Inside of the reader of ext2/3/4 images. Private to this wing. Every number that comes from
 * the image passes a check before it is used as an offset, a length or a loop bound; nothing here
 * recurses, and nothing is allocated by a number from the image beyond the caps below. */

#include <endian.h>
#include <pthread.h>
#include <string.h>

#include "image/image.h"

enum {
    READER_MAX_BLOCK = 4096,
    READER_MAX_GROUPS = 1 << 18, /* 2 TiB of 1 KiB blocks, 32 TiB of 4 KiB ones */
    READER_MAX_REPLAY = 1 << 18, /* distinct blocks in a journal: 1 GiB of 4 KiB ones */
    READER_MAX_LINK = 4095,
    /* Bytes of a directory. An index (dir_index) has two levels: with blocks of 4 KiB at most
     * 508 * 511 of names, 511 in all above them, which is 1016 MiB, and then Linux says that the
     * directory is full. Without an index there is no such end, but each name costs a search
     * through all before it: nobody has 40 million of them in one place. */
    READER_MAX_DIR = 1 << 30,
    READER_RAW_INODE = 256, /* of an inode, what reader_inode_load looks at */

    INO_BAD = 1,
    INO_JOURNAL = 8,
};

/* Per-inode flags that change how an inode is read (linux: EXT4_*_FL). */
#define FLAG_HUGE_FILE 0x00040000u
#define FLAG_EXTENTS   0x00080000u

struct reader_cache;
struct reader_verdicts;

/* One block whose newest content lies in the journal. */
struct reader_replay {
    uint64_t block;   /* where it belongs */
    uint64_t journal; /* where it is */
    uint32_t tid, order;
    bool escaped; /* its first four bytes were the journal's magic and are zeroed there */
};

struct image_reader {
    int fd;
    uint64_t base; /* of the file system in the file */
    uint64_t n_blocks;
    uint64_t n_free_blocks;
    uint32_t n_free_inodes;
    uint32_t block_bytes;
    unsigned block_bits;
    uint32_t first_block; /* s_first_data_block */
    uint32_t blocks_per_group;
    uint32_t inodes_per_group;
    uint32_t n_inodes;
    uint32_t first_ino; /* first that is not reserved */
    uint32_t inode_bytes;
    uint32_t n_groups;
    uint32_t desc_bytes;
    uint32_t first_meta_group; /* in blocks of descriptors; UINT32_MAX without meta_bg */
    uint32_t journal_ino;      /* 0 without one */
    bool needs_recovery;
    bool has_xattrs, has_extents, has_huge_file, has_64bit, has_filetype, sparse_super;
    uint32_t backup_groups[2]; /* sparse_super2 */
    bool sparse_super2;
    uint64_t *inode_tables; /* of n_groups: first block */

    struct reader_replay *replay; /* sorted by block */
    size_t n_replay;
    struct reader_cache *cache;
    struct reader_verdicts *verdicts;
};

/* An inode as decoded and checked. */
struct reader_inode {
    struct image_stat st;
    uint32_t flags;
    uint64_t xattr_block;
    uint32_t extra_bytes; /* in-inode fields beyond the first 128 bytes */
    uint64_t where;       /* byte offset of the inode in the file system */
    uint8_t block[60];    /* i_block as it is on disk */
};

/* N_BLOCKS blocks from PHYS on; PHYS 0 is a hole. */
struct reader_run {
    uint64_t phys;
    uint64_t n_blocks;
};

static inline uint16_t le16_at(const uint8_t *p, size_t off)
{
    uint16_t v;
    memcpy(&v, p + off, sizeof v);
    return le16toh(v);
}

static inline uint32_t le32_at(const uint8_t *p, size_t off)
{
    uint32_t v;
    memcpy(&v, p + off, sizeof v);
    return le32toh(v);
}

static inline uint32_t be32_at(const uint8_t *p, size_t off)
{
    uint32_t v;
    memcpy(&v, p + off, sizeof v);
    return be32toh(v);
}

static inline bool reader_block_ok(const struct image_reader *r, uint64_t block)
{
    return block > r->first_block && block < r->n_blocks;
}

/* ── io.c: bytes ── All return 0 or a negative errno, and fill BUF whole or fail. */

/* From the file, at OFFSET of the file system; -EIO when it ends early. */
MUST_CHECK int reader_raw(const struct image_reader *r, uint64_t offset, void *buf, size_t len);

/* Metadata: the same through the cache and the journal's overlay, clipped to the file system. */
MUST_CHECK int reader_meta(const struct image_reader *r, uint64_t offset, void *buf, size_t len);

/* File data: through the overlay only. */
MUST_CHECK int reader_data(const struct image_reader *r, uint64_t offset, void *buf, size_t len);

struct reader_cache *reader_cache_new(void);
void reader_cache_free(struct reader_cache *c);
void reader_cache_drop(struct reader_cache *c); /* forget everything */

/* ── super.c ── */

/* Read and check superblock and group descriptors into R (fd, base and cache set by the caller). */
MUST_CHECK int reader_super_load(struct image_reader *r, struct err *e);
MUST_CHECK int reader_groups_load(struct image_reader *r, struct err *e);

/* ── journal.c ── Find what the journal would replay and put it into R's overlay. */
MUST_CHECK int reader_journal_load(struct image_reader *r, struct err *e);

/* ── inode.c ── */
MUST_CHECK int reader_inode_load(const struct image_reader *r, uint32_t ino,
                                 struct reader_inode *out);
/* The same for reserved inodes (the journal's). */
MUST_CHECK int reader_inode_load_any(const struct image_reader *r, uint32_t ino,
                                     struct reader_inode *out);

/* ── map.c ── Where the file's blocks from LOGICAL on lie: one run of 1…MAX blocks. */
MUST_CHECK int reader_map(const struct image_reader *r, const struct reader_inode *inode,
                          uint64_t logical, uint64_t max, struct reader_run *out);

/* ── claim.c ── Whether no block of DIR, a directory, comes twice in it; -EUCLEAN when one does.
 * The answer for a large directory is kept, small ones always pass. */
MUST_CHECK int reader_dir_check(const struct image_reader *r, const struct reader_inode *dir);
struct reader_verdicts *reader_verdicts_new(void);
void reader_verdicts_free(struct reader_verdicts *v);

/* ── data.c ── As image_read_data, of an inode of any type that has blocks. */
MUST_CHECK ssize_t reader_inode_data(const struct image_reader *r, const struct reader_inode *inode,
                                     void *buf, size_t len, uint64_t offset);
/* Size of the file's largest possible content by its kind of map. */
uint64_t reader_max_bytes(const struct image_reader *r, bool extents);

#endif
