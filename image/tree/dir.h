/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TREE_DIR_H
#define IMAGE_TREE_DIR_H

/* A directory of this host as a tree. */

#include "image/tree/tree.h"

/* Read the tree below ROOT_FD (lent, must outlive the source), by descriptors, following no link.
 * Mount points inside it are taken as empty directories (files: as empty files). xattrs of security
 * modules of this host are left out. Contents are read when asked for: a file that another process
 * has replaced since is ERR_FAILED. Needs /proc.
 *
 * only  take just this entry of ROOT_FD, and what is below it; NULL for all */
MUST_CHECK struct source *source_from_dir(int root_fd, const char *only, struct err *e);

#endif
