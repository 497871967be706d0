/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_CACHE_H
#define BOOTSTRAP_CACHE_H

/* Finished base roots, kept in the user's cache by a hash of all that they depend on, so that a
 * changed %post never repeats the base. A kept root is an image (sparse, any owners) beside a note
 * with its checksum and the agent's facts; both are judged before use, and what does not hold is
 * dropped. Private to the room; what users see of it is in bootstrap.h. */

#include "base/json.h"

/* DIR/NAME, made when missing; NULL when it is not a directory of ours that nobody else can write,
 * after a warning. Caller frees. */
MUST_CHECK char *cache_subdir(const char *dir, const char *name);

/* Fill ROOTFS_FD from the root kept under KEY. Returns its facts, or NULL: there is none, or none
 * that holds, and the root is empty. An error only when the root was left half filled. */
MUST_CHECK int cache_restore(const char *dir, const char *key, int rootfs_fd,
                             struct json_object **facts, struct err *e);

/* Keep the root under KEY. Failure is a warning: the build does not hang on it. */
void cache_keep(const char *dir, const char *key, int rootfs_fd, struct json_object *facts);

/* Notes of the roots kept below the cache CACHE_DIR: [{"made", "agent", "suite", "bytes"}…]. */
MUST_CHECK struct json_object *cache_roots(const char *cache_dir);

#endif
