/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_DEB_APTCONF_H
#define BOOTSTRAP_DEB_APTCONF_H

/* The mirror that the host's own apt uses for a distribution: what a definition without MirrorURL
 * is built from. Private to the room. */

#include "base/err.h"

/* Read APT_DIR/sources.list and APT_DIR/sources.list.d/ *.list, *.sources (one-line and deb822
 * format) and return the first usable mirror of FAMILY ("debian", "ubuntu"): an enabled `deb` entry
 * with component main whose suite belongs to the family, http, https or file. An entry for SUITE
 * itself is preferred; those for security updates are left out. NULL: there is none (a host of
 * another kind). What cannot be read or understood is skipped: it is the host's, and only a
 * default. Caller frees; no final slash. */
MUST_CHECK char *aptconf_mirror(const char *apt_dir, const char *family, const char *suite);

#endif
