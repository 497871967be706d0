/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_VAULT_H
#define BOOTSTRAP_VAULT_H

/* What is known about releases of distributions, and where those went that left their mirrors. The
 * facts are data: vault.list. Private to the room. */

#include <stdbool.h>

#include "base/cleanup.h"

/* A Debian or Ubuntu release. */
struct vault_suite {
    const char *family;  /* "debian", "ubuntu" */
    const char *name;    /* "bookworm" */
    const char *version; /* "12"; "" when it has none */
    bool gone;           /* on the family's archive only */
};

/* The suite called NAME, or NULL. */
const struct vault_suite *vault_suite_find(const char *name);

/* The name the user most likely meant: the suite of the version "22.04", else the nearest name,
 * else NULL. */
const char *vault_suite_nearest(const char *word);

/* Where FAMILY's present suites are when nobody names a mirror, and where the gone ones are. Both
 * without a final slash; NULL for an unknown family. ARCH in Debian's words ("amd64"). */
const char *vault_default_mirror(const char *family, const char *arch);
const char *vault_archive(const char *family);

/* Whether URL, a mirror of the suite's family, no longer has the suite: the suite is gone and the
 * site is one of those known to drop gone ones.
 * *MOVED (caller frees) gets the archive's address. */
bool vault_suite_moved(const struct vault_suite *suite, const char *url, char **moved);

/* Whether what URL names (a repository of RPM packages, or a CentOS mirror list) is known to have
 * moved. *MOVED (caller frees) gets its new address; a mirror list becomes a base address, told by
 * *WAS_LIST (may be NULL). */
bool vault_url_moved(const char *url, char **moved, bool *was_list);

/* The one line that the user sees when an address was replaced. Caller frees. */
MUST_CHECK char *vault_notice(const char *from, const char *to);

#endif
