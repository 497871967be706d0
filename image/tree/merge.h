/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TREE_MERGE_H
#define IMAGE_TREE_MERGE_H

/* The upper directory of an overlay put over the tree that it was mounted over. */

#include "image/image.h"
#include "image/tree/graft.h"

struct source_merge_spec {
    struct source *base;
    struct source_node *dir; /* of the base: what the upper directory lies over */
    const struct image_merge_spec *how;
};

/* Deleted files ("whiteouts": character devices 0:0) vanish from the base, or stay as such marks
 * when the base is a layer itself; directories marked as opaque replace what is there. A hard link
 * that was changed under one of its names is a file of its own afterwards, as the overlay made it.
 */
MUST_CHECK int source_merge(struct source_graft *g, struct source **take_upper,
                            const struct source_merge_spec *spec, struct err *e);

#endif
