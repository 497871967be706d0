/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_WRITER_PACK_PLAN_H
#define IMAGE_WRITER_PACK_PLAN_H

/* A tree as it will stand in the image: what does not stand in its source's nodes already, known
 * before the first byte is written. The order of nodes and directories depends on names alone. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/str.h"
#include "image/tree/tree.h"

enum {
    PACK_LOST_FOUND_INO = 11,
    PACK_LOST_FOUND_BLOCKS = 4,
    PACK_MAX_LINKS = 65000, /* what the kernel counts to in an ext3 */
    PACK_MAX_FAST_LINK = 59,
    PACK_INODE_XATTR_BYTES = 96, /* behind the fields of a 256-byte inode */
};

struct pack_xattr {
    uint8_t in_inode[PACK_INODE_XATTR_BYTES]; /* all zero: none there */
    uint8_t *block;                           /* a block of them, NULL for none */
};

struct pack_node {
    struct source_node *from; /* the name; lent */
    struct pack_xattr *xattr; /* NULL for none */
    uint32_t parent;          /* index of a directory */
    uint32_t dir;             /* own index among the directories */
    uint32_t first;           /* the node that has this inode; itself unless a further hard link */
    uint32_t n_links;         /* of the inode */
    uint32_t ino;             /* given by pack_number */
};

struct pack_dir {
    uint32_t node;
    uint32_t parent; /* index of a directory; the root's is the root */
    uint32_t first;  /* its entries are nodes first … first + n - 1, sorted by name */
    uint32_t n;
};

struct pack_plan {
    const struct source *source; /* lent */
    struct pack_node *nodes;     /* the first is the root */
    size_t n_nodes;
    struct pack_dir *dirs; /* in the order of a walk; the first is the root */
    size_t n_dirs;
    uint32_t n_inodes;   /* that the nodes take, lost+found included */
    uint32_t lost_found; /* node of /lost+found, 0: there is none */
    uint8_t *data;       /* PACK_READ_BYTES to read into; NULL until something is read */
};
enum { PACK_READ_BYTES = 1 << 20 };

/* Look at all of S (sorted here; must outlive the plan, which uses its marks: they are 0 before and
 * after). All security.* attributes that it has are taken: whoever filled it chose them. ERR_INPUT: something that an ext3
 * cannot hold, by its path. */
MUST_CHECK int pack_plan(struct source *s, struct pack_plan *out, struct err *e);
void pack_plan_fini(struct pack_plan *p);
#define auto_pack_plan cleanup_with(pack_plan_fini)

/* Give each node its inode number: directories first, then the rest, in the order of the walk. */
void pack_number(struct pack_plan *p);

static inline const char *pack_name(const struct pack_node *n)
{
    return n->from->name;
}

/* What carries the metadata of N. */
static inline const struct source_node *pack_file(const struct pack_node *n)
{
    return source_file(n->from);
}

/* Bytes of a regular file, or of a symlink's target; 0 for all else. */
static inline uint64_t pack_size(const struct pack_node *n)
{
    const struct source_node *f = pack_file(n);
    return S_ISREG(f->mode) ? f->size : S_ISLNK(f->mode) ? strlen(f->target) : 0;
}

/* "/usr/bin/x", for messages; made printable. Caller frees. */
MUST_CHECK char *pack_path(const struct pack_node *n);

/* Lay out N's extended attributes as they stand on disk: user.*, trusted.*, POSIX ACLs and
 * security.*. ERR_INPUT: more than fits. */
MUST_CHECK int pack_xattr_take(struct pack_node *n, struct err *e);
void pack_xattr_free(struct pack_xattr *x);

/* Read a file's data block by block (the last one padded with zeros), leaving out blocks of zeros:
 * a hole is a hole whether the source kept it or not. */
struct pack_reader {
    void (*block)(void *ctx, uint64_t lblk, const uint8_t *data); /* EXT_BLOCK bytes */
    void *ctx;
};
MUST_CHECK int pack_file_read(struct pack_plan *p, const struct pack_node *n,
                              const struct pack_reader *to, struct err *e);

/* Blocks that the tree needs at most. Files of more than ABOVE bytes are read, so that their holes
 * do not count. */
MUST_CHECK int pack_count(struct pack_plan *p, uint64_t above, uint64_t *n_blocks, struct err *e);

/* Times later than EPOCH become EPOCH. */
struct pack_clamp {
    bool on;
    int64_t epoch;
};

/* Everything that a listing shows, in order, as the bytes to derive the hash seed from. */
void pack_listing(const struct pack_plan *p, const struct pack_clamp *clamp, struct str *out);

/* Write the tree into the fresh file system FS on FD; inodes are numbered already. DIGEST gets a
 * digest of the files' data (not a cryptographic one). */
struct ext_out;
MUST_CHECK int pack_write(struct pack_plan *p, struct ext_out *out, const struct pack_clamp *clamp,
                          uint64_t digest[2], struct err *e);

#endif
