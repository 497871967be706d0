/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_WRITER_WRITER_H
#define IMAGE_WRITER_WRITER_H

/* Writes ext3: a tree packed into a new file system, and the little that changes one. */

#include <stddef.h>
#include <stdint.h>

#include <ext2fs/ext2fs.h>

#include "base/err.h"
#include "image/image.h"
#include "image/tree/tree.h"

/* ── the file below ── */

/* libext2fs over a descriptor of ours: no cache, no retries, no locks, no path. A block of zeros is
 * not written where the file has a hole already, so what a fresh file system leaves empty costs no
 * disk. The first failed write is kept and answers every later one: an error cannot be lost. */

enum {
    EXT_BLOCK_BITS = 12,
    EXT_BLOCK = 1 << EXT_BLOCK_BITS,
};

/* The name that ext2fs_initialize and ext2fs_open take with ext_io_manager. */
struct ext_io_name {
    char text[16];
};
struct ext_io_name ext_io_name(int fd);
extern const io_manager ext_io_manager;

/* The errno of the first failed write, 0 when none failed. */
int ext_io_failed(ext2_filsys fs);

/* Whether LEN bytes are all zero. */
int ext_is_zero(const void *data, size_t len);

/* As err_set with ERR_FAILED and the words of libext2fs (or errno) for RC added. Always -1. */
int ext_err(struct err *e, errcode_t rc, const char *fmt, ...) PRINTF(3, 4);

static inline void ext_fs_drop(ext2_filsys fs)
{
    ext2fs_free(fs); /* without writing anything */
}
CLEANUP_DEFINE(ext2_filsys, cleanup_ext_fs, ext_fs_drop)
#define auto_ext_fs cleanup_with(cleanup_ext_fs)

/* Write superblocks, descriptors and bitmaps and close; *TAKE is NULL afterwards. PATH is for the
 * message. */
MUST_CHECK int ext_fs_finish(ext2_filsys *take, const char *path, struct err *e);

/* ── packing ── */

struct ext_ids {
    uint8_t uuid[16];
    uint8_t hash_seed[16];
};

/* Writing an image from a source: what import, expand and shrink share with image_pack. */

/* What an image that replaces another one keeps of it. */
struct pack_keep {
    struct ext_ids ids;
    char label[16];
    char head[1024]; /* its boot block */
};

struct pack_from {
    struct source *source;        /* sorted here; lent */
    const struct pack_keep *keep; /* NULL: ids by content, our #! line */
    bool tight;                   /* a size of 0 means the least one */
};

/* As image_pack; spec->rootfs_fd is not looked at. */
MUST_CHECK int pack_source(const struct image_pack_spec *spec, const struct pack_from *from,
                           struct image_pack_report *report, struct err *e);

/* As image_estimate. */
MUST_CHECK int pack_source_size(struct source *s, uint64_t *size_bytes, struct err *e);

#endif
