/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_RESIZED_H
#define CLI_RESIZED_H

/* What expand, shrink and compact have in common. */

#include "base/place.h"
#include "cli/cli.h"
#include "image/image.h"

/* Look at the image at P. ERR_INPUT: it holds no ext file system; VERB says what was wanted. */
MUST_CHECK int resized_look(const struct place *p, const char *verb, struct image_info *out,
                            struct err *e);

/* The new size that TEXT asks for ("32G", or with SIGN before it "+4G", "-4G" from OLD_BYTES). */
MUST_CHECK int resized_size(const char *text, char sign, uint64_t old_bytes, uint64_t *out,
                            struct err *e);

/* A change that was made. */
struct resized {
    const struct place *place;
    const char *done; /* "expanded" */
    bool json;
};

/* Say what became of the image at P: "expanded 'x': from …". */
MUST_CHECK int resized_report(const struct cli *cli, const struct resized *r,
                              const struct image_info *before, struct err *e);

#endif
