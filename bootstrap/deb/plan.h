/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_DEB_PLAN_H
#define BOOTSTRAP_DEB_PLAN_H

/* What debootstrap will be asked to do, settled on paper from the headers and the host. Private to
 * the room. */

#include "base/strv.h"
#include "bootstrap/bootstrap.h"

/* Where debootstrap keeps its suite scripts and the host its keyrings and apt configuration. Tests
 * give others. */
struct deb_host {
    const char *scripts; /* /usr/share/debootstrap/scripts */
    const char *keyrings;
    const char *apt;
};
extern const struct deb_host deb_host_here;

struct deb_plan {
    const char *family; /* "debian", "ubuntu"; "" for others that debootstrap knows by itself */
    char *suite;
    char *arch;        /* Debian's name: "amd64" */
    char *variant;     /* "minbase", "buildd"; "" for debootstrap's standard system */
    char *mirror;      /* no final slash */
    char *asked;       /* the address that the archive replaced; NULL: none was */
    char *script;      /* suite script to use; NULL: debootstrap has one of the suite's name */
    char *keyring;     /* NULL when the signature is not checked */
    char *old_keyring; /* keys that were retired, for suites that are gone; NULL: not needed */
    struct strv include, exclude, components;
    bool gone; /* an archived suite: signed long ago, with keys that have expired since */
    bool verify;
};

/* Check the headers on paper; findings go to DEF. False when there are any errors. */
bool deb_plan_check(const struct agent_input *in, const struct deb_host *host, struct deffile *def);

/* Settle the plan from headers that deb_plan_check found good. ERR_HOST: a keyring or debootstrap
 * itself is missing, or this host cannot run the architecture. ERR_INPUT: no mirror is known. */
MUST_CHECK int deb_plan_make(const struct agent_input *in, const struct deb_host *host,
                             struct deb_plan *out, struct err *e);
void deb_plan_fini(struct deb_plan *p);
#define auto_deb_plan cleanup_with(deb_plan_fini)

/* The argument list for debootstrap: TARGET is the root, KEYRING what to check against (NULL: by
 * the plan), CACHE_DIR for packages or NULL. */
void deb_plan_argv(const struct deb_plan *p, const char *target, const char *keyring,
                   const char *cache_dir, struct strv *argv);

#endif
