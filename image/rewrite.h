/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_REWRITE_H
#define IMAGE_REWRITE_H

/* A changed image written anew in place of the old one: its tree, and what it keeps of itself. */

#include "image/edit.h"
#include "image/writer/writer.h"
#include "image/tree/tree.h"

struct rewrite {
    struct edit edit;
    struct source_image tree; /* to be changed at will */
    struct pack_keep keep;
    bool grow; /* more than the size asked for, when the tree needs it */
};
#define REWRITE_INIT                                                                               \
    {                                                                                              \
        .edit = EDIT_INIT                                                                          \
    }

/* Read the tree and identity of R, whose edit is open. ERR_INPUT: damaged. */
MUST_CHECK int rewrite_read(const struct place *p, struct rewrite *r, struct err *e);

/* Lock the image at P, then rewrite_read. Errors as edit_open, and ERR_INPUT: damaged. R is to be closed in
 * any case. */
MUST_CHECK int rewrite_open(const struct place *p, enum image_lock lock, struct rewrite *r,
                            struct err *e);

/* Write the tree into a new image of SIZE_BYTES (0: the least) and publish it at P, with the old one's
 * mode, owner, label and ids. */
MUST_CHECK int rewrite_publish(struct place *p, struct rewrite *r, uint64_t size_bytes,
                               struct err *e);
void rewrite_close(struct rewrite *r);
#define auto_rewrite cleanup_with(rewrite_close)

#endif
