/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_DEB_INDEX_H
#define BOOTSTRAP_DEB_INDEX_H

/* A Debian package list ("Packages"), and which packages debootstrap will choose from it. Private
 * to the room. */

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "base/strv.h"

/* Fields of a stanza: lent from the list's text, not NUL-terminated; "" when absent. */
struct deb_field {
    const char *text;
    size_t len;
};

struct deb_package {
    struct deb_field name, version, arch, priority, filename, sha256, depends, pre_depends;
    uint64_t size_bytes;
    struct deb_field stanza; /* the whole of it with its last newline, if any */
    uint32_t next;           /* the next of the same name + 1; 0: none */
    bool chosen;
};

struct deb_index {
    struct str text; /* never changed once it is read */
    struct deb_package *all;
    size_t n;
    uint32_t *slots; /* hash by name: index + 1; 0: empty */
    size_t n_slots;  /* a power of two */
};

/* A list's limits, in hpcc-bootstrap(1) too: Debian's largest has 70,000 packages in 60 MB. */
enum { DEB_MAX_PACKAGES = 400000 };
#define DEB_INDEX_MAX_BYTES (256u << 20) /* unpacked */

/* Take TEXT (left empty) and find its stanzas. What makes no sense is skipped. ERR_INPUT: more than
 * DEB_MAX_PACKAGES. */
MUST_CHECK int deb_index_read(struct deb_index *x, struct str *text, struct err *e);
void deb_index_fini(struct deb_index *x);
#define auto_deb_index cleanup_with(deb_index_fini)

/* The first package NAME of LEN bytes, or NULL; follow `next` for others of that name. */
struct deb_package *deb_index_find(const struct deb_index *x, const char *name, size_t len);

/* Mark as chosen, in the N lists that make up a suite, the packages ROOTS and all they depend on as
 * debootstrap sees it: the first alternative, any version, no virtual packages. With PRIORITIES,
 * the packages of these priorities too (NULL-terminated). */
void deb_index_choose(struct deb_index *lists, size_t n, const struct strv *roots,
                      const char *const priorities[]);

#endif
