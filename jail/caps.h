/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_CAPS_H
#define JAIL_CAPS_H

/* Capabilities of what we start; see capabilities(7). */

#include <stdint.h>

#include "base/err.h"

/* What packages' scripts need: owners, modes, ids, device files, chroot. Not: mounts, modules,
 * clock, raw I/O, the network's configuration, the kernel's log. */
extern const uint64_t caps_for_scripts;

/* What root keeps in a container that it runs: as above without device files. */
extern const uint64_t caps_for_root;

/* Take every capability outside KEEP out of the bounding set and our own sets; capabilities that
 * this process lacks already stay lacking. Ambient and inheritable sets are emptied. Verified by
 * reading back. */
MUST_CHECK int caps_bound(uint64_t keep, struct err *e);

/* Give all up: every set empty, uid 0 without its magic (securebits locked). Verified by reading
 * back. For good once the caller has set no_new_privs. */
MUST_CHECK int caps_drop_all(struct err *e);

#endif
