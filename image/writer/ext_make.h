/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_WRITER_EXT_MAKE_H
#define IMAGE_WRITER_EXT_MAKE_H

/* An empty ext3 in an empty file, up to its first directory. */

#include <stdint.h>

#include "image/writer/writer.h"

struct ext_make_spec {
    int fd;           /* empty regular file, read-write */
    const char *path; /* for messages */
    uint64_t size_bytes;
    uint64_t n_inodes; /* at least; more when the size suggests it */
    int64_t now;       /* seconds, for the superblock and the journal's inode */
    struct ext_ids ids;
};

/* Set up superblock, tables, resize inode and journal; bitmaps mark what is used. There is no root
 * directory yet. Below 8 MiB there is no room for the smallest journal (4 MiB) and none is made:
 * such an image is an ext2.
 *
 * ERR_INPUT: the size is too small or too large for this many inodes. */
MUST_CHECK int ext_make(const struct ext_make_spec *spec, ext2_filsys *out, struct err *e);

/* UUID and hash seed by chance, or from the LEN bytes of KEY. */
MUST_CHECK int ext_ids_random(struct ext_ids *out, struct err *e);
void ext_ids_from(const void *key, size_t len, struct ext_ids *out);

/* The first INODES_PER_SIZE rule: one inode for 8 KiB, which holds a conda tree. */
enum { EXT_BYTES_PER_INODE = 8192, EXT_INODE_BYTES = 256 };

#endif
