/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_INSIDE_H
#define CLI_INSIDE_H

/* Look into an image file or a sandbox directory without mounting anything, as any user. */

#include "base/err.h"
#include "base/str.h"
#include "base/strv.h"
#include "image/image.h"

struct inside {
    const char *path;
    int fd;
    struct image_info info;
    struct image_reader *reader; /* NULL for a directory */
};

/* ERR_INPUT: not an image, or of a kind that only `hpcc run` reads. */
MUST_CHECK int inside_open(const char *path, struct inside *out, struct err *e);
void inside_close(struct inside *in);
#define auto_inside cleanup_with(inside_close)

/* FILE's content (appended), at most 16 MiB. 1: done, 0: there is none, -1: error. */
MUST_CHECK int inside_read(const struct inside *in, const char *file, struct str *out,
                           struct err *e);

/* Names in the directory DIR in sorted order; none when it is missing. */
MUST_CHECK int inside_list(const struct inside *in, const char *dir, struct strv *out,
                           struct err *e);

#endif
