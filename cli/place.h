/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

/* "IMAGE:/PATH", as scp writes it. */

#include "base/err.h"

struct place {
    char *image;
    char *path; /* absolute, inside the image; NULL: none was given */
};

/* Split ARG at its first ":/". A file or directory that is really called so is an image without
 * path. */
void place_parse(const char *arg, struct place *out);

/* ARG, or ARG with the path given as a second word REST (NULL: none). ERR_USAGE: two paths. */
MUST_CHECK int place_parse_words(const char *arg, const char *rest, struct place *out,
                                 struct err *e);
void place_free(struct place *p);
#define auto_place cleanup_with(place_free)

#endif
