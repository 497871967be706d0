/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_USERNS_H
#define JAIL_USERNS_H

/* User namespaces: making one, mapping ids into it, and saying in a person's words why this host
 * refuses. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* A piece of /etc/subuid or /etc/subgid. */
struct userns_range {
    uint32_t start, count;
};

/* Turn the errno of a failed unshare or clone with CLONE_NEWUSER into ERR_HOST with the cure.
 * Always returns -1. */
int userns_refused(int code, struct err *e);

/* Map one id: our OUTSIDE uid and gid appear as INSIDE ones. For the process that has just unshared
 * CLONE_NEWUSER; supplementary groups stay in force, setgroups is denied for good. PROC_FD: an open
 * /proc, -1: by path. */
struct userns_ids {
    uid_t uid;
    gid_t gid;
};
MUST_CHECK int userns_map_single(struct userns_ids outside, struct userns_ids inside, int proc_fd,
                                 struct err *e);

/* The largest range that TEXT, the content of /etc/subuid, gives to the user: by NAME (may be NULL)
 * or by number. False when there is none. */
bool userns_range_find(const char *text, const char *name, uid_t uid, struct userns_range *out);

/* Both ranges of the calling user, at least NEED ids each, and the programs that map them.
 * ERR_HOST with the cure. */
MUST_CHECK int userns_ranges(uint32_t need, struct userns_range *uids, struct userns_range *gids,
                             struct err *e);

/* Map uid and gid 0 of PID's namespace to ours and 1… to the ranges, by newuidmap and newgidmap. */
MUST_CHECK int userns_map_ranges(pid_t pid, const struct userns_range *uids,
                                 const struct userns_range *gids, struct err *e);

#endif
