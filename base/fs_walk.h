/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_FS_WALK_H
#define BASE_FS_WALK_H

/* Path resolution inside a root, shared by the fs_*_at family. */

#include <sys/types.h>

/* As openat2(ROOTFS_FD, PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS): descriptor, or -1 with
 * errno. Uses fs_walk_open_slow where the kernel has no openat2. */
int fs_walk_open(int rootfs_fd, const char *path, int flags, mode_t mode);

/* The same by walking components with O_NOFOLLOW, at most 40 symlinks (ELOOP). Unlike openat2 it is
 * not safe against a directory moved out of the root while it walks: for kernels before 5.6 only,
 * in roots that nobody else changes. */
int fs_walk_open_slow(int rootfs_fd, const char *path, int flags, mode_t mode);

#endif
