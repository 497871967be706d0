/* SPDX-License-Identifier: BSD-3-Clause */
#include <limits.h>
#include <solv/solver.h>
#include <solv/testcase.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "bootstrap/rpm/solve.h"

/* libsolv_cases case|strict|weak FILE... - libsolv's own test cases by the public testcase API.
 *   case    with the solver flags that the case asks for: shows that this program works
 *   strict  with those of hpcc, weak dependencies off        weak    the same, weak dependencies on
 * Prints a line for each case and the differing lines, at last how many hold. */

/* TESTCASE_RESULT_REUSE_SOLVER shifts a signed 1 by 31. */
static const int reuse_solver = INT_MIN;

enum verdict { HOLDS, DIFFERS, CANNOT_RUN };

static void show(const char *diff)
{
    auto_strv struct strv lines = { 0 };
    strv_split(&lines, diff, "\n");
    for (size_t i = 0; i < lines.n; i++)
        if (lines.v[i][0])
            printf("    %s\n", lines.v[i]);
}

/* Solve JOB; whether the result is WANT. */
static bool solves(Solver *solver, Queue *job, const char *want, int what)
{
    if (!(what & ~reuse_solver))
        what |= TESTCASE_RESULT_TRANSACTION | TESTCASE_RESULT_PROBLEMS;
    solver_solve(solver, job);
    auto_free char *have = testcase_solverresult(solver, what);
    auto_free char *diff = testcase_resultdiff(want, have);
    if (diff)
        show(diff);
    return !diff;
}

/* A file holds one job after the other, some for the same solver again. */
static enum verdict try_jobs(Pool *pool, FILE *f, const char *path, const char *mode)
{
    enum verdict verdict = HOLDS;
    Solver *again = NULL;
    while (!feof(f) && verdict != CANNOT_RUN) {
        auto_free char *want = NULL;
        int what = 0;
        Queue job;
        queue_init(&job);
        Solver *solver = testcase_read(pool, f, path, &job, &want, &what);
        if (solver && again) {
            solver_free(solver);
            solver = again;
        }
        again = NULL;
        if (solver && !str_eq(mode, "case"))
            yum_solver_flags(solver, str_eq(mode, "weak"));
        if (!solver)
            verdict = CANNOT_RUN;
        else if (want && !solves(solver, &job, want, what))
            verdict = DIFFERS;
        queue_free(&job);
        if (solver && (what & reuse_solver) && !feof(f))
            again = solver;
        else if (solver)
            solver_free(solver);
    }
    if (again)
        solver_free(again);
    return verdict;
}

static enum verdict try_case(const char *path, const char *mode)
{
    auto_file FILE *f = fopen(path, "re");
    if (!f)
        return CANNOT_RUN;
    Pool *pool = pool_create();
    enum verdict verdict = try_jobs(pool, f, path, mode);
    if (pool->considered) { /* pool_free leaves it behind */
        map_free(pool->considered);
        free(pool->considered);
        pool->considered = NULL;
    }
    pool_free(pool);
    return verdict;
}

int main(int argc, char **argv)
{
    static const char *const words[] = { "holds", "differs", "cannot run" };
    size_t n[3] = { 0 };
    if (argc < 3) {
        fprintf(stderr, "usage: libsolv_cases case|strict|weak FILE...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        enum verdict verdict = try_case(argv[i], argv[1]);
        n[verdict]++;
        printf("%-10s %s\n", words[verdict], argv[i]);
    }
    printf("%s: %zu of %d hold, %zu differ, %zu cannot run\n", argv[1], n[HOLDS], argc - 2,
           n[DIFFERS], n[CANNOT_RUN]);
    return 0;
}
