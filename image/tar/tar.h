/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TAR_TAR_H
#define IMAGE_TAR_TAR_H

/* Tar archives as the filler and as the writer of a tree. */

#include <stdint.h>

#include "base/err.h"
#include "image/tree/tree.h"

enum { TAR_NODES_MAX = 4 << 20 }; /* about 1 GiB of memory */

struct tar_input {
    int fd;           /* read to its end; no seeking. -1: DATA */
    const void *data; /* the archive in memory, DATA_LEN bytes */
    size_t data_len;
    int spill_fd;       /* an empty scratch file for the contents, lent to the source */
    uint64_t max_bytes; /* of the archive once decompressed */
    uint32_t max_nodes;
};

/* Read a tar archive (v7, ustar, pax, GNU; plain or gzip, bzip2, xz, zstd, lz4) into a tree.
 *
 * Names are bytes, never converted. A leading '/' is dropped; ".." is refused; symlinks that the
 * archive planted are followed inside the tree only, as in a chroot. The last of two entries of one
 * name counts. Hard links may only name what the archive held before. Devices, fifos, owners and
 * setuid bits are recorded, whoever runs this.
 *
 * ERR_INPUT: not an archive, damaged, truncated, hostile, or over a limit.  ERR_FAILED: cannot read
 * it, or write to the scratch file. */
MUST_CHECK struct source *source_from_tar(const struct tar_input *in, struct err *e);

/* Write the tree as a POSIX pax archive: canonical order, numeric owners, mtime in seconds, xattrs
 * as SCHILY.xattr, 64 KiB and more of zeros as holes (GNU.sparse 1.0), hard links to the first
 * name. Same tree, same bytes. Sockets are left out, as tar has no form for them. Sorts S. */
MUST_CHECK int tar_write(struct source *s, int out_fd, struct err *e);

#endif
