/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_DEB_ROOT_H
#define BOOTSTRAP_DEB_ROOT_H

/* A root that debootstrap has filled: what to take out again and what to tell about it. Private to
 * the room. */

#include "bootstrap/deb/plan.h"

/* Remove what belongs to this host or this minute (name servers, host name, logs, caches, package
 * lists, downloaded packages) and write /etc/apt/sources.list for the plan's mirror, so that
 * apt-get works in %post: a file:// mirror becomes the family's default one, a password is left
 * out. */
MUST_CHECK int deb_root_tidy(const struct deb_plan *p, int rootfs_fd, struct err *e);

/* [{"name", "version", "arch"}…] of the installed packages, by /var/lib/dpkg/status. */
MUST_CHECK struct json_object *deb_root_packages(int rootfs_fd, struct err *e);

#endif
