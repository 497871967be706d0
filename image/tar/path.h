/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TAR_PATH_H
#define IMAGE_TAR_PATH_H

/* Where the names of an archive lead, inside a tree in memory. */

#include "image/tree/tree.h"

struct tar_place {
    struct source_node *dir; /* NULL: PATH names the root itself */
    const char *name;        /* last component, in PATH; not NUL-terminated */
    size_t len;
};

/* ERR_INPUT when S has as many nodes as it may: the directories that a path implies count too, or
 * one name of 4 KiB makes two thousand for nothing. */
MUST_CHECK int tar_nodes_left(const struct source *s, struct err *e);

/* Walk PATH from the root: a leading '/' is dropped, "." passed over, ".." refused, missing
 * directories made (0755, root), symlinks of the tree followed as in a chroot, at most 40. The last
 * component is not looked at. ERR_INPUT. */
MUST_CHECK int tar_place_find(struct source *s, const char *path, struct tar_place *out,
                              struct err *e);

#endif
