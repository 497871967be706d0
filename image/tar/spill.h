/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TAR_SPILL_H
#define IMAGE_TAR_SPILL_H

/* Contents of an archive's files, kept in one scratch file until the tree is known and written. A
 * source_node's data is the number of its first piece here plus one, 0 for an empty file. */

#include <stdint.h>

#include "image/tree/tree.h"

struct spill;

MUST_CHECK struct spill *spill_new(int fd); /* lent */

/* Begin the content of a file; what follows with spill_add is its. */
void spill_begin(struct spill *sp, struct source_node *n);

/* LEN bytes at OFFSET of the file begun last; ascending, without overlap. */
MUST_CHECK int spill_add(struct spill *sp, const void *data, size_t len, uint64_t offset,
                         struct err *e);

/* Write out what is buffered: before the first read. */
MUST_CHECK int spill_finish(struct spill *sp, struct err *e);

/* For source_new, with the spill as context; close frees it. */
extern const struct source_ops spill_ops;

#endif
