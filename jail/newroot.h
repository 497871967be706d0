/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_NEWROOT_H
#define JAIL_NEWROOT_H

/* The container's root under construction. A small tmpfs, the session, holds what the image does
 * not: mount points it lacks, the passwd file with the caller's line. The image itself is never
 * touched. The session has no name outside our mount namespace and dies with it. */

#include <sys/types.h>

#include "base/str.h"
#include "base/strv.h"
#include "jail/mount.h"

struct newroot {
    struct mounter m;
    int session_fd;
    dev_t session_dev;
    struct strv covers; /* directories of the image that the underlay shows in its place */
};

/* The caller has its own mount namespace. Between the two calls the host's tree is as it was: clone
 * what is wanted of it. newroot_open makes the session. */
void newroot_init(struct newroot *r);
MUST_CHECK int newroot_open(struct newroot *r, struct err *e);
void newroot_close(struct newroot *r);

/* See that PATH exists, as a directory or (FILE) anything else. A directory of the image that lacks
 * it is covered by a directory of the session which shows the same entries and the new one,
 * read-only. The umask is 0. */
MUST_CHECK int newroot_provide(struct newroot *r, const char *path, bool file, struct err *e);

/* A file of the session with this content, mode 0644, opened for mounter_bind. */
MUST_CHECK int newroot_file(struct newroot *r, const char *name, const struct str *data,
                            struct err *e);

#endif
