/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/solve.h"

#include <solv/problems.h>
#include <solv/solver.h>

#include "base/mem.h"

enum { MAX_PROBLEMS = 5, MAX_REASONS = 6 };

/* The reasons of one problem: what rules clash, each once, the requests first as the user made
 * them. */
static void add_problem(Solver *solver, Id problem, struct str *out)
{
    Queue rules;
    auto_strv struct strv told = { 0 };
    queue_init(&rules);
    solver_findallproblemrules(solver, problem, &rules);
    for (int i = 0; i < rules.count && told.n < MAX_REASONS; i++) {
        Id source, target, dep;
        SolverRuleinfo type = solver_ruleinfo(solver, rules.elements[i], &source, &target, &dep);
        auto_free char *text =
            str_printable(solver_problemruleinfo2str(solver, type, source, target, dep));
        if (!strv_has(&told, text))
            strv_add(&told, text);
    }
    for (size_t i = 0; i < told.n; i++)
        str_addf(out, "%s%s", out->len ? "\n  " : "  ", told.v[i]);
    queue_free(&rules);
}

char *yum_problems_text(struct s_Solver *solver)
{
    auto_str struct str out = { 0 };
    unsigned n = solver_problem_count(solver);
    for (unsigned i = 1; i <= n && i <= MAX_PROBLEMS; i++)
        add_problem(solver, (Id)i, &out);
    if (n > MAX_PROBLEMS)
        str_addf(&out, "\n  and %u more problems", n - MAX_PROBLEMS);
    return str_steal(&out);
}
