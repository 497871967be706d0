/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TREE_READER_H
#define IMAGE_TREE_READER_H

/* An image as a tree. */

#include "image/image.h"
#include "image/tree/tree.h"

/* Read the tree of R (lent, must outlive the source). An inode with two names is a hard link, a
 * directory with two names is damage; what costs memory is bounded by the inodes that are there. An
 * empty lost+found in the root, which belongs to the file system, is left out.
 *
 * ino   where to begin
 * name  NULL: INO is a directory and becomes the root; else INO becomes this entry of the root
 *
 * ERR_INPUT: damaged. */
MUST_CHECK struct source *source_from_reader(const struct image_reader *r, uint32_t ino,
                                             const char *name, struct err *e);

#endif
