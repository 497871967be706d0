/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_RPM_SOLVE_H
#define BOOTSTRAP_RPM_SOLVE_H

/* From names to packages. Private to the room. */

#include "base/json.h"
#include "bootstrap/rpm/md.h"

struct yum_package {
    char *name, *evr, *arch; /* evr: "1:2.3-4" */
    const struct yum_repo *repo;
    char *path; /* below the repository, checked */
    int algo;
    char *hex;
    uint64_t size_bytes, installed_bytes;
};

/* What will be installed, by name. */
struct yum_transaction {
    struct yum_package *v;
    size_t n;
    uint64_t size_bytes, installed_bytes;
};

/* Solve what SPEC asks for in the loaded P. ERR_FAILED: the problems in words, with the
 * repositories consulted. */
MUST_CHECK int yum_solve(const struct yum_spec *spec, struct yum_pool *p,
                         struct yum_transaction *out, struct err *e);
void yum_transaction_free(struct yum_transaction *t);
#define auto_yum_transaction cleanup_with(yum_transaction_free)

/* [{"name", "epoch", "version", "release", "arch", "repository", "checksum", …}]. */
MUST_CHECK struct json_object *yum_transaction_json(const struct yum_transaction *t);

/* Hide packages that SPEC excludes and those of module streams that are not enabled. */
MUST_CHECK int yum_modules_apply(const struct yum_spec *spec, struct yum_pool *p, struct err *e);

/* The names that "@GROUP" stands for, added to OUT. */
MUST_CHECK int yum_group_names(struct yum_pool *p, const char *group, struct strv *out,
                               struct err *e);

struct s_Solver;

/* How we solve. RECOMMENDS: weak dependencies too. */
void yum_solver_flags(struct s_Solver *solver, bool recommends);

/* Libsolv's problems as text, one a line. Caller frees. */
MUST_CHECK char *yum_problems_text(struct s_Solver *solver);

#endif
