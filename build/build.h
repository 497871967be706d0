/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BUILD_BUILD_H
#define BUILD_BUILD_H

/* One definition file → one image: check on paper, fill a stage, perform the sections in the order
 * of sections.list, pack, check, publish. The image named is the old one until the rename. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "deffile/deffile.h"

struct build_spec {
    const char *image_path;
    const char *def_path;
    uint64_t size_bytes; /* --size; 0: of the existing image, else from the content */
    bool grow;           /* false: --no-grow */
    bool fresh;          /* --fresh: what the image holds is dropped */
    bool verify;         /* false: --no-verify */
    bool vault;          /* false: --no-vault */
    bool run_test;       /* false: --no-test */
    bool dry_run;
    bool deterministic; /* --reproducible, or SOURCE_DATE_EPOCH is set */
    int64_t epoch;
    const char *cache_dir;        /* NULL: none */
    const char *tmp_dir;          /* where the stage is made; NULL: beside the image */
    const char *arch;             /* NULL: the host's */
    const char *const *sections;  /* --section NAME…: only these; NULL: all */
    const char *const *proxy_env; /* "http_proxy=…" … */
    const char *key_server;       /* as in agent_input; NULL: none */
    unsigned n_jobs;              /* for MAKEFLAGS; 0: CPUs */
};

/* Report of what was made, for --json and the last line; released by the caller. ERR_FAILED with
 * e->sys EINTR and e->status 128+n: signal n (INT, TERM, HUP) ended it. */
MUST_CHECK int build_bootstrap(const struct build_spec *spec, struct json_object **report,
                               struct err *e);

/* Read and check DEF_PATH with the full vocabulary (schema, agents' keys, sections) without
 * building. Findings are no error here: look at ok and diags. What only this host lacks is a
 * warning to the log. */
MUST_CHECK int build_check(const char *def_path, struct deffile **out, struct err *e);

#endif
