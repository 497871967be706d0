/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_FS_H
#define BASE_FS_H

/* Files. Two families:
 *   fs_*_at(rootfs_fd, path)  resolve PATH inside the root that ROOTFS_FD names, which is the path's
 *                             own `/`: absolute paths, `..` and symlinks (absolute ones too) never
 *                             leave it, magic links (/proc/PID/…) are refused. By
 *                             openat2(RESOLVE_IN_ROOT), or component by component on kernels
 *                             before 5.6.
 *   the rest                  take ordinary paths of the host. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/place.h"
#include "base/str.h"
#include "base/strv.h"

/* Open PATH inside the root; O_CLOEXEC is added. Returns the descriptor or -1.
 * e->sys holds errno. */
MUST_CHECK int fs_open_at(int rootfs_fd, const char *path, int flags, mode_t mode, struct err *e);

/* The same where no component of PATH is a symlink, so that PATH is where the file lies: the
 * descriptor, or -1 with errno (no message) when one is, or the kernel cannot tell (before 5.6). A
 * symlink at the end is opened itself with O_PATH | O_NOFOLLOW. */
MUST_CHECK int fs_open_plain_at(int rootfs_fd, const char *path, int flags);

/* Open the directory that holds PATH (O_PATH) and give PATH's last component, for *at calls that
 * must not follow it. PATH that names the root itself is ERR_INPUT. */
MUST_CHECK int fs_open_parent_at(int rootfs_fd, const char *path, char **base, struct err *e);

/* Make PATH and every missing parent, each with MODE (umask ignored for new ones). Existing
 * directories and symlinks to directories inside the root are fine. */
MUST_CHECK int fs_mkdirs_at(int rootfs_fd, const char *path, mode_t mode, struct err *e);

/* Read a regular file whole into OUT (appended); more than MAX bytes is ERR_INPUT. */
MUST_CHECK int fs_read_at(int rootfs_fd, const char *path, size_t max, struct str *out,
                          struct err *e);

/* Replace PATH by a new regular file of MODE holding DATA, making parents (0755). What was there (a
 * symlink too) is replaced, never followed or written through; a directory there is an error. */
MUST_CHECK int fs_write_at(int rootfs_fd, const char *path, const struct str *data, mode_t mode,
                           struct err *e);

/* Replace PATH by a symlink to TARGET, making parents. A directory there is an error. */
MUST_CHECK int fs_symlink_at(int rootfs_fd, const char *target, const char *path, struct err *e);

/* fstatat inside the root; FOLLOW resolves a final symlink. Returns 0, or -1 with errno (no
 * message). */
MUST_CHECK int fs_stat_at(int rootfs_fd, const char *path, bool follow, struct stat *st);

/* Remove NAME below DIR_FD with all it holds. Symlinks are removed, not followed; a mount point
 * below is an error and left alone. A missing NAME is fine. */
MUST_CHECK int fs_remove_tree(int dir_fd, const char *name, struct err *e);

/* The same for the directory FD, which was opened as NAME below DIR_FD: what FD holds goes,
 * whatever NAME leads to by now; NAME itself only when it still leads there, or it is an error. */
MUST_CHECK int fs_remove_opened(int dir_fd, const char *name, int fd, struct err *e);

/* Call EACH for every entry of the directory FD (open for reading) but "." and "..", until it
 * returns other than 0, which is then the result; -1 with errno when the directory cannot be read.
 * Half the system calls of readdir(3). */
MUST_CHECK int fs_each_name(int fd, int (*each)(void *ctx, const char *name), void *ctx);

/* Add the names in the directory PATH below DIR_FD (AT_FDCWD: a host path; "." : DIR_FD itself,
 * which may be an O_PATH) to OUT, all but "." and "..", then sort OUT. -1 with errno. */
MUST_CHECK int fs_names_at(int dir_fd, const char *path, struct strv *out);

/* Write, or read at an offset, all of LEN bytes: short transfers and EINTR are handled.
 * fs_pread_full returns the bytes read (less than LEN only at end of file) or -1 with errno. */
MUST_CHECK int fs_write_full(int fd, const void *data, size_t len);
MUST_CHECK int fs_pwrite_full(int fd, const void *data, size_t len, uint64_t offset);
MUST_CHECK ssize_t fs_pread_full(int fd, void *data, size_t len, uint64_t offset);

/* Read everything from FD (or the host file PATH) into OUT (appended); more than MAX bytes is
 * ERR_INPUT. */
MUST_CHECK int fs_read_fd(int fd, size_t max, struct str *out, struct err *e);
MUST_CHECK int fs_read_file(const char *path, size_t max, struct str *out, struct err *e);

/* A new file prepared beside its place and published by rename, so that a reader sees the old file
 * or the new one. Until publish it has no name (O_TMPFILE), so a kill leaves nothing; on file
 * systems without O_TMPFILE it has a hidden name, which the next draft for the same place sweeps
 * away. */
struct fs_draft {
    struct place *at; /* lent; outlives the draft */
    int fd;           /* read-write, mode 0600 until published */
    char *temp;       /* hidden name; NULL while the file has none */
};
#define FS_DRAFT_INIT                                                                              \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

/* ERR_FAILED when P's directory cannot be written. */
MUST_CHECK int fs_draft_open(struct place *p, struct fs_draft *out, struct err *e);

/* chmod to MODE, fsync, give it the name, fsync the directory; the place then holds the new file.
 *
 * replace  what was found there gives way; false: it is ERR_FAILED with e->sys EEXIST
 *
 * The name is neither followed nor is what it leads to trusted to be what was found: when another
 * file, a link or a directory is there by now, or nothing any more, or something where nothing was,
 * it is ERR_FAILED, and what is there stays. On file systems that cannot exchange two names (NFS,
 * Lustre) that is looked at right before the rename, so that a writer in the very moment between
 * loses his file; on others in no moment. */
MUST_CHECK int fs_draft_publish(struct fs_draft *d, mode_t mode, bool replace, struct err *e);

/* Drop what was not published and release everything. */
void fs_draft_close(struct fs_draft *d);
#define auto_draft cleanup_with(fs_draft_close)

#endif
