/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_DEVICES_H
#define JAIL_DEVICES_H

/* A private /dev: the few harmless devices of the host, its own terminals and shared memory. */

#include "jail/mount.h"

/* Build it on the directory /dev of M's new root. */
MUST_CHECK int devices_make(struct mounter *m, struct err *e);

/* In a /proc that root sees: what changes the host becomes read-only, what tells its memory is
 * covered. */
MUST_CHECK int devices_seal_proc(struct mounter *m, struct err *e);

/* A fresh /proc for this pid namespace, with what root could change the host by made read-only or
 * covered; /sys of the host, read-only. The directories exist. */
MUST_CHECK int devices_kernel_views(struct mounter *m, struct err *e);

#endif
