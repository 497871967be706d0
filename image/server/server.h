/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_SERVER_SERVER_H
#define IMAGE_SERVER_SERVER_H

/* What the FUSE server asks of a file system, whatever its kind. Private to this wing and to
 * the kinds: ext.c here, and image/squash/. Answers are those of the image_read_ functions: 0 or a length,
 * or a negative errno. Every function may be called by many threads at once.
 *
 * A node is the tree's own number for an inode, what FUSE calls a node id: FUSE_ROOT_ID is the
 * root, 0 is none. The kernel gives back only what it was given, so no table is kept; a number from
 * elsewhere is answered with an error. */

#include <linux/fuse.h>

#include "image/image.h"

/* A listing that goes on. ENTRY gets each entry, its node, and with PLUS what lookup would tell of
 * it (NULL: nothing can be told, or a dot entry); it returns non-zero to stop before that entry. */
struct tree_walk {
    bool plus;
    int (*entry)(struct tree_walk *w, const struct image_dirent *d, uint64_t node,
                 const struct image_stat *st);
};

struct tree_ops {
    int (*stat)(const struct image_tree *t, uint64_t node, struct image_stat *out);
    int (*lookup)(const struct image_tree *t, uint64_t dir, const char *name, uint64_t *node,
                  struct image_stat *out);
    ssize_t (*read)(const struct image_tree *t, uint64_t node, void *buf, size_t len,
                    uint64_t offset);
    ssize_t (*link)(const struct image_tree *t, uint64_t node, char *buf, size_t len);
    int (*list)(const struct image_tree *t, uint64_t dir, uint64_t cookie, struct tree_walk *walk);
    ssize_t (*xattr)(const struct image_tree *t, uint64_t node, const char *name, void *buf,
                     size_t len);
    ssize_t (*xattr_list)(const struct image_tree *t, uint64_t node, char *buf, size_t len);
    int64_t (*seek)(const struct image_tree *t, uint64_t node, uint64_t offset, bool hole);
    void (*fs_stat)(const struct image_tree *t, struct image_fs_stat *out);
    void (*close)(struct image_tree *t);
};

/* The first member of each kind's own struct. */
struct image_tree {
    const struct tree_ops *ops;
};

static inline bool tree_is_dots(const char *name, size_t len)
{
    return (len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.');
}

#endif
