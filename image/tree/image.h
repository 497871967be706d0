/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TREE_IMAGE_H
#define IMAGE_TREE_IMAGE_H

/* An image of any kind that we read, as a tree. */

#include "image/image.h"
#include "image/tree/tree.h"

struct source_image {
    struct image_reader *reader; /* NULL for a directory */
    struct source *source;       /* of it; goes first */
};

/* PATH inside the image (NULL or "/": all of it) becomes the entry NAME of the root (NULL: the root
 * itself). Symlinks on the way are followed inside the image, the last component is not.
 * ERR_INPUT: damaged, a kind that is not read here, or no such PATH. */
struct source_image_spec {
    int fd; /* lent, must outlive the source */
    const struct image_info *info;
    const char *path;
    const char *name;
};
MUST_CHECK int source_image_open(const struct source_image_spec *spec, struct source_image *out,
                                 struct err *e);
void source_image_close(struct source_image *si);
#define auto_source_image cleanup_with(source_image_close)

#endif
