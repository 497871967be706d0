/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_MOUNT_H
#define JAIL_MOUNT_H

/* The one place that mounts. Sources are descriptors and targets are resolved inside the new root,
 * so that no link in an image or in a user's directory decides where a mount lands. Uses open_tree,
 * mount_setattr, fsopen and move_mount (Linux 5.12), or mount(2) over /proc/self/fd on kernels
 * before. The caller has its own mount namespace. */

#include <stdbool.h>

#include "base/err.h"

enum mount_flag {
    MOUNT_RO = 1u << 0,
    MOUNT_NOSUID = 1u << 1,
    MOUNT_NODEV = 1u << 2,
    MOUNT_NOEXEC = 1u << 3,
    MOUNT_FLAT = 1u << 4, /* bind: without the mounts below the source */
    MOUNT_LINK = 1u << 5, /* for who opens the target: a link itself, not what it leads to; only
                             the new calls can mount on one */
};

#define MOUNTER_BASE "root"

struct mounter {
    int root_fd; /* the new root; -1 before mounter_root_* */
    int base_fd; /* it is mounted on this one's entry MOUNTER_BASE, and the file system of this one
                    on the old "/"; -1: it is mounted on the old "/" itself. Lent. */
    bool old_api;
};

struct mount_fs {
    const char *type;    /* "tmpfs" … */
    const char *source;  /* NULL: the type's name */
    const char *options; /* "mode=755,size=1m", or NULL */
    unsigned attrs;
};

void mounter_open(struct mounter *m);
void mounter_close(struct mounter *m);

/* Make the new root: a bind of the directory SRC_FD with all that is mounted below it, the same of
 * what mounter_clone gave, or a fresh file system. ERR_HOST where the kernel refuses. */
MUST_CHECK int mounter_root_bind(struct mounter *m, int src_fd, unsigned attrs, struct err *e);
MUST_CHECK int mounter_root_attach(struct mounter *m, int tree_fd, unsigned attrs, struct err *e);
MUST_CHECK int mounter_root_fs(struct mounter *m, const struct mount_fs *fs, struct err *e);

/* Bind SRC_FD (a directory or not, opened in this mount namespace) onto DST inside the new root;
 * DST exists and is of the same type. Attributes go to every mount below too. */
MUST_CHECK int mounter_bind(struct mounter *m, int src_fd, const char *dst, unsigned attrs,
                            struct err *e);

/* What mounter_bind does in two steps. mounter_clone: the tree at the host's PATH as it is now, a
 * mount without a place; -1 with errno. On old kernels only a descriptor, and the tree is taken
 * when it is attached. mounter_attach: onto TARGET, which the caller has opened (O_PATH) as PATH
 * inside the new root. */
struct mount_target {
    const char *path;
    int fd;
};
MUST_CHECK int mounter_clone(const struct mounter *m, const char *path, unsigned attrs);
MUST_CHECK int mounter_attach(struct mounter *m, int tree_fd, const struct mount_target *target,
                              unsigned attrs, struct err *e);

/* Mount a fresh file system onto the directory DST inside the new root. */
MUST_CHECK int mounter_fs(struct mounter *m, const struct mount_fs *fs, const char *dst,
                          struct err *e);

/* Enter the new root for good: pivot_root, the old root let go, cwd "/". */
MUST_CHECK int mounter_pivot(struct mounter *m, struct err *e);

#endif
