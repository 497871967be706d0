/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm_solve.h"

#include <fnmatch.h>

#include "base/mem.h"

static bool excluded(const struct yum_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->exclude.n; i++)
        if (fnmatch(spec->exclude.v[i], name, 0) == 0)
            return true;
    return false;
}

int yum_modules_apply(const struct yum_spec *spec, struct yum_pool *p, struct err *e)
{
    Pool *pool = p->pool;
    for (size_t i = 0; i < p->n_repos; i++) {
        if (!yum_repo_md(&p->repos[i], "modules"))
            continue;
        err_set(e, ERR_FAILED, "repository '%s' has modules, and modules are not supported",
                p->repos[i].source->id);
        return -1;
    }
    if (!spec->exclude.n)
        return 0;
    pool->considered = mem_zero(1, sizeof *pool->considered);
    map_init(pool->considered, pool->nsolvables);
    map_setall(pool->considered);
    for (Id id = 2; id < pool->nsolvables; id++)
        if (pool->solvables[id].repo && excluded(spec, pool_id2str(pool, pool->solvables[id].name)))
            MAPCLR(pool->considered, id);
    return 0;
}

int yum_group_names(struct yum_pool *p, const char *group, struct strv *out, struct err *e)
{
    (void)p, (void)out;
    return err_set(e, ERR_INPUT, "group '@%s' is not known", group);
}
