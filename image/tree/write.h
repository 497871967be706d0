/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TREE_WRITE_H
#define IMAGE_TREE_WRITE_H

/* A tree as files of this host. */

#include "image/tree/tree.h"

/* Write what is below the root of S into the directory DIR_FD. Every name is made new (an existing
 * one is ERR_FAILED with EEXIST, not followed, not replaced), each by the descriptor of its
 * directory, so nothing lands outside.
 *
 * As uid 0 (of our user namespace) owners are set; else they are the caller's, and setuid and
 * setgid bits are dropped. What this user or file system cannot have is left out and counted in one
 * message: devices where mknod is not allowed (log_verbose), xattrs (log_verbose), owners
 * that the user namespace does not map (log_warn). Directories get mode and times at the end.
 *
 * root_too  give DIR_FD the root's metadata as well
 * Sorts S. */
MUST_CHECK int source_to_dir(struct source *s, int dir_fd, bool root_too, struct err *e);

#endif
