/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_DEB_JAIL_H
#define BOOTSTRAP_DEB_JAIL_H

/* The surroundings that debootstrap runs in: a mount namespace of its own, in which the root has a
 * small /dev (so that no device node need be made, which an ordinary user may not) and, when the
 * root's path is one that debootstrap's shell code would stumble over, another name; and no waiting
 * for the disk. All of it ends with the process. Private to the room. */

#include <stddef.h>

#include "base/err.h"

#define DEB_JAIL_DEVICES 6

struct deb_jail {
    char target[4096];  /* path of the root for debootstrap; a safe one */
    char source[4096];  /* its real path when it must be bound to TARGET; else "" */
    char dev[4096 + 8]; /* TARGET/dev */
    char nodes[DEB_JAIL_DEVICES][4096 + 24];
    char pts[4096 + 24], shm[4096 + 24];
};

/* Prepare for the root ROOTFS_FD, an open directory. */
MUST_CHECK int deb_jail_init(struct deb_jail *j, int rootfs_fd, struct err *e);

/* For proc_run's before_exec, CTX a struct deb_jail whose address is its first member's: only
 * system calls. Also places descriptor 1 at 3, where debootstrap reports. */
int deb_jail_enter(const struct deb_jail *j);

/* Answer fsync and its kin with success, at once, in this process and its children: the stage is
 * thrown away after a crash, and the image is synced once when it is done. */
int deb_jail_no_sync(void);

#endif
