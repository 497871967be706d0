/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TREE_GRAFT_H
#define IMAGE_TREE_GRAFT_H

/* Files of one tree put into another. */

#include "image/tree/tree.h"

struct source_graft;

/* Make BASE take files of other trees: its nodes go on as they were. Everything is released with
 * BASE. */
MUST_CHECK struct source_graft *source_graft_new(struct source *base);

struct source_graft_spec {
    struct source_node *dir; /* a directory of the base */
    const char *name;        /* what the only child of the tree's root is called there; NULL: as in
                                the tree, and there may be more than one */
    bool replace;            /* an existing file gives way, else ERR_FAILED with EEXIST */
    bool owners;             /* keep owners and setuid bits; else root's, without */
};

/* Put what is below the root of *TAKE into SPEC's directory. Directories that are there are filled
 * and keep their metadata; a directory and a file of one name are ERR_FAILED. */
MUST_CHECK int source_graft_add(struct source_graft *g, struct source **take,
                                const struct source_graft_spec *spec, struct err *e);

/* For those who put nodes in themselves: *TAKE lives as long as BASE from here on; it is returned
 * sorted, its marks 0. */
struct source *source_graft_adopt(struct source_graft *g, struct source **take);

/* N, a regular file of the base, gets its content from F, a file of the adopted FROM. */
void source_graft_content(struct source_graft *g, const struct source *from,
                          const struct source_node *f, struct source_node *n);

#endif
