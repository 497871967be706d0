/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_RPM_MODULEMD_H
#define BOOTSTRAP_RPM_MODULEMD_H

/* modules.yaml: which packages belong to which stream of which module. Private to the room. */

#include "bootstrap/rpm/solve.h"

/* One build of a stream. */
struct module_stream {
    char *name, *stream;
    struct strv packages;                   /* "name-epoch:version-release.arch" */
    struct strv needs_names, needs_streams; /* pairs; stream "": any */
};

struct modules {
    struct module_stream *v;
    size_t n;
    struct strv defaults; /* "module=stream" */
    struct strv asked, enabled;
    size_t max_words; /* kept at most; 0: two million. Fewer for tests */
};

/* Add what repository R says; nothing when it has no modules. */
MUST_CHECK int modules_load(struct modules *m, struct yum_pool *p, const struct yum_repo *r,
                            struct err *e);

/* The same out of a stream of YAML documents. NAME is for messages. */
MUST_CHECK int modules_parse(struct modules *m, FILE *f, const char *name, struct err *e);
void modules_free(struct modules *m);
#define auto_modules cleanup_with(modules_free)

#endif
