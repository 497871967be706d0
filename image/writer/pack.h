/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_WRITER_PACK_H
#define IMAGE_WRITER_PACK_H

/* Writing an image from a source: what import, expand and shrink share with image_pack. */

#include "image/writer/ext_make.h"
#include "image/image.h"
#include "image/tree/tree.h"

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
