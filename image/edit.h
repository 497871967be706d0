/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_EDIT_H
#define IMAGE_EDIT_H

/* An image about to be changed or replaced: open for writing, probed, ours alone. */

#include <sys/stat.h>

#include "base/place.h"
#include "image/image.h"

struct edit {
    int fd; /* read-write, locked */
    struct stat st;
    struct image_info info;
};
#define EDIT_INIT                                                                                  \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* ERR_INPUT: P holds no ext file system. ERR_FAILED: it is in use, may not be written, or is no
 * longer what was found. */
MUST_CHECK int edit_open(const struct place *p, enum image_lock lock, struct edit *out,
                         struct err *e);
void edit_close(struct edit *ed);
#define auto_edit cleanup_with(edit_close)

#endif
