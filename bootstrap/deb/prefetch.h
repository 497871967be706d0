/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_DEB_PREFETCH_H
#define BOOTSTRAP_DEB_PREFETCH_H

/* Everything that debootstrap would download one by one with wget, fetched before it starts: many
 * at a time, out of the user's cache where possible, and put where debootstrap looks first. It
 * checks each file's checksum as it does its own downloads, and fetches what it misses. Private to
 * the room. */

#include "bootstrap/deb/release.h"

/* Fill ROOTFS_FD for the suite of R. *READY false: this archive or mirror is not of the usual kind,
 * and debootstrap has to do it all. ERR_INPUT: a package of Include does not exist. ERR_FAILED: the
 * network. */
MUST_CHECK int deb_prefetch(const struct agent_input *in, const struct deb_plan *p,
                            const struct deb_release *r, int rootfs_fd, bool *ready, struct err *e);

/* Directory of ours for debootstrap inside the root, which it removes itself. */
#define DEB_OWN_DIR "/debootstrap/hpcc"

#endif
