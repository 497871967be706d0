/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TAR_FEED_H
#define IMAGE_TAR_FEED_H

/* What lies between the decompression and the reader of tar, which are both libarchive's: every
 * unpacked byte is counted here before the reader sees it, so it cannot keep more than we allow. */

#include <archive.h>
#include <stddef.h>
#include <stdint.h>

#include "image/tar/tar.h"

struct feed;

enum feed_fault {
    FEED_SOUND,
    FEED_OVER,        /* more than max_bytes came out */
    FEED_LONG_HEADER, /* what stands before a file's content, its map of holes included, is longer
                         than 16 MiB, or its access list longer than 64 KiB */
};

/* Of at most IN's max_bytes, packed by gzip, bzip2, xz, lzma, zstd, lz4, or not at all. */
MUST_CHECK struct feed *feed_new(const struct tar_input *in);
void feed_free(struct feed *f);
static inline void cleanup_feed(struct feed **f)
{
    feed_free(*f);
}

/* Let A, a reader of tar without filters, read what IN names (lent, as F) through F. A libarchive
 * status; the error is A's. */
MUST_CHECK int feed_open(struct feed *f, const struct tar_input *in, struct archive *a);

/* A header comes next, or (false) contents, which have no bound but the whole. */
void feed_header(struct feed *f, bool header);

/* Why F gave no more. */
enum feed_fault feed_fault(const struct feed *f);

#endif
