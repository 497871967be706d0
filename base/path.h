/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_PATH_H
#define BASE_PATH_H

/* Path text only: nothing here looks at a file system. Results are the caller's to free. */

#include <stdbool.h>

#include "base/cleanup.h"

/* "A/B" with exactly one slash between; an empty A gives B. */
MUST_CHECK char *path_join(const char *a, const char *b);

/* The last component ("x" of "a/x", "/" of "/"), without trailing slashes. */
MUST_CHECK char *path_base(const char *path);

/* All but the last component ("a" of "a/x", "." of "x", "/" of "/x"). */
MUST_CHECK char *path_dir(const char *path);

/* PATH made absolute against CWD (NULL: getcwd) with "." and doubled slashes removed; ".." stays,
 * since removing it as text is wrong behind a symlink. */
MUST_CHECK char *path_absolute(const char *path, const char *cwd);

/* An absolute PATH with ".", ".." and doubled slashes removed as text; never above "/". For paths
 * inside a root, where ".." cannot leave. */
MUST_CHECK char *path_clean(const char *path);

/* Whether PATH is DIR or lies below it, by whole components ("/scratch2" is not below "/scratch").
 * Both absolute and clean. */
bool path_within(const char *path, const char *dir);

#endif
