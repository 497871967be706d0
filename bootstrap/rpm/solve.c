/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/solve.h"

#include <ctype.h>
#include <solv/chksum.h>
#include <solv/selection.h>
#include <solv/solver.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/value.h"

/* ── which paths of filelists.xml matter ────────────────────────────────────────────────────────*/

/* Whether primary.xml cannot know PATH: createrepo puts only these files into it. */
static bool beyond_primary(const char *path)
{
    return path[0] == '/' && !str_starts(path, "/etc/") && !strstr(path, "bin/") &&
           !str_eq(path, "/usr/lib/sendmail");
}

/* Packages that a solution might hold, over-estimated: whatever provides what they need. */
struct reach {
    struct yum_pool *p;
    Map seen;
    Map scanned; /* ids of paths that every repository was searched for */
    Queue todo;
    bool lacking;
};

static void reach_dep(struct reach *r, Id dep)
{
    Pool *pool = r->p->pool;
    Id p, pp;
    if (ISRELDEP(dep)) {
        Reldep *rd = GETRELDEP(pool, dep);
        if (rd->flags > 7) { /* rich: and, or, if …: both sides may count */
            reach_dep(r, rd->name);
            reach_dep(r, rd->evr);
            return;
        }
    } else if (beyond_primary(pool_id2str(pool, dep)) && !MAPTST(&r->scanned, dep)) {
        r->lacking = true;
    }
    FOR_PROVIDES(p, pp, dep)
    {
        if (MAPTST(&r->seen, p))
            continue;
        MAPSET(&r->seen, p);
        queue_push(&r->todo, p);
    }
}

static void reach_deps_of(struct reach *r, Solvable *s, Id key)
{
    Queue deps;
    queue_init(&deps);
    solvable_lookup_deparray(s, key, &deps, 0);
    for (int i = 0; i < deps.count; i++)
        if (deps.elements[i] != SOLVABLE_PREREQMARKER)
            reach_dep(r, deps.elements[i]);
    queue_free(&deps);
}

static void note_scanned(struct yum_pool *p, Map *scanned)
{
    Queue q;
    queue_init(&q);
    for (size_t i = 0; i < p->n_repos; i++) {
        Map own;
        map_init(&own, p->pool->ss.nstrings);
        repo_lookup_idarray(p->repos[i].repo, SOLVID_META, yum_pool_paths_key(p), &q);
        bool all = !yum_repo_md(&p->repos[i], "filelists"); /* nothing there to search */
        for (int j = 0; j < q.count; j++)
            MAPSET(&own, q.elements[j]);
        if (all)
            map_setall(&own);
        if (i == 0)
            map_or(scanned, &own);
        else
            map_and(scanned, &own);
        map_free(&own);
    }
    queue_free(&q);
}

/* Whether a package in reach of JOBS requires a path that no repository was searched for yet. */
static bool paths_matter(struct yum_pool *p, Queue *jobs, bool weak)
{
    struct reach r = { .p = p };
    Queue first;
    Id pkg;
    queue_init(&first);
    queue_init(&r.todo);
    map_init(&r.seen, p->pool->nsolvables);
    map_init(&r.scanned, p->pool->ss.nstrings);
    note_scanned(p, &r.scanned);
    for (int i = 0; i < jobs->count; i += 2) {
        pool_job2solvables(p->pool, &first, jobs->elements[i], jobs->elements[i + 1]);
        for (int j = 0; j < first.count; j++)
            queue_push(&r.todo, first.elements[j]);
    }
    while (!r.lacking && r.todo.count) {
        pkg = queue_pop(&r.todo);
        MAPSET(&r.seen, pkg);
        reach_deps_of(&r, pool_id2solvable(p->pool, pkg), SOLVABLE_REQUIRES);
        if (weak)
            reach_deps_of(&r, pool_id2solvable(p->pool, pkg), SOLVABLE_RECOMMENDS);
    }
    map_free(&r.seen);
    map_free(&r.scanned);
    queue_free(&r.todo);
    queue_free(&first);
    return r.lacking;
}

static int load_paths(struct yum_pool *p, const struct strv *asked, struct err *e)
{
    Queue wanted;
    queue_init(&wanted);
    /* Whatever any package names by its path is a string of the pool. */
    for (Id id = 1; id < p->pool->ss.nstrings; id++)
        if (beyond_primary(pool_id2str(p->pool, id)))
            queue_push(&wanted, id);
    for (size_t i = 0; i < asked->n; i++)
        if (beyond_primary(asked->v[i]))
            queue_pushunique(&wanted, pool_str2id(p->pool, asked->v[i], 1));
    log_verbose("searching filelists for %d paths", wanted.count);
    int rc = wanted.count ? yum_pool_add_paths(p, &wanted, e) : 0;
    queue_free(&wanted);
    pool_createwhatprovides(p->pool);
    return rc;
}

/* ── jobs ───────────────────────────────────────────────────────────────────────────────────────*/

/* A package name like WORD, for the hint; lent by the pool. */
static const char *nearest_name(struct yum_pool *p, const char *word)
{
    auto_free const char **names = mem_zero((size_t)p->pool->nsolvables + 1, sizeof *names);
    size_t n = 0;
    for (Id id = 2; id < p->pool->nsolvables; id++) {
        const char *name =
            p->pool->solvables[id].repo ? pool_id2str(p->pool, p->pool->solvables[id].name) : "";
        if (tolower((unsigned char)name[0]) == tolower((unsigned char)word[0]))
            names[n++] = name;
    }
    return str_nearest(word, names);
}

/* Whether a package called WORD is there, but not to be seen. */
static bool is_hidden(Pool *pool, const char *word)
{
    Id name = pool_str2id(pool, word, 0);
    for (Id id = 2; name && id < pool->nsolvables; id++)
        if (pool->solvables[id].repo && pool->solvables[id].name == name &&
            pool_disabled_solvable(pool, &pool->solvables[id]))
            return true;
    return false;
}

static int not_found(struct yum_pool *p, const char *word, struct err *e)
{
    auto_free char *repos = yum_repos_text(p);
    const char *like = nearest_name(p, word);
    bool hidden = is_hidden(p->pool, word);
    err_set(e, ERR_INPUT, "no package is called or provides '%s' in: %s", word, repos);
    if (hidden)
        return err_hint(
            e, "it is excluded, or in a module stream that is not enabled: see 'Modules:'");
    return like ? err_hint(e, "did you mean '%s'?", like)
                : err_hint(e, "is a repository missing? name it with 'OtherURL1:'");
}

static bool select_word(Pool *pool, const char *word, Queue *selection)
{
    const int text = SELECTION_NAME | SELECTION_PROVIDES | SELECTION_GLOB | SELECTION_CANON |
                     SELECTION_DOTARCH | SELECTION_REL;
    if (word[0] == '/' &&
        selection_make(pool, selection, word, SELECTION_FILELIST | SELECTION_GLOB))
        return true;
    return selection_make(pool, selection, word, text) != 0;
}

static int add_job(struct yum_pool *p, const char *word, Queue *jobs, struct err *e)
{
    Queue selection;
    queue_init(&selection);
    bool found = select_word(p->pool, word, &selection);
    for (int i = 0; found && i < selection.count; i += 2)
        queue_push2(jobs, selection.elements[i] | SOLVER_INSTALL | SOLVER_FORCEBEST,
                    selection.elements[i + 1]);
    queue_free(&selection);
    return found ? 0 : not_found(p, word, e);
}

/* Groups name packages of other architectures and editions: those that nobody has are left out. */
static int add_group(struct yum_pool *p, const char *group, struct strv *out, struct err *e)
{
    auto_strv struct strv names = { 0 };
    if (yum_group_names(p, group, &names, e) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        Queue selection;
        queue_init(&selection);
        if (select_word(p->pool, names.v[i], &selection))
            strv_add(out, names.v[i]);
        else
            log_verbose("group '@%s': nobody has '%s'", group, names.v[i]);
        queue_free(&selection);
    }
    return 0;
}

/* The words asked for with every @group replaced by its packages. */
static int flatten(const struct yum_spec *spec, struct yum_pool *p, struct strv *out, struct err *e)
{
    for (size_t i = 0; i < spec->install.n; i++) {
        const char *word = spec->install.v[i];
        if (word[0] != '@')
            strv_add(out, word);
        else if (add_group(p, word + 1, out, e) < 0)
            return -1;
    }
    return 0;
}

static int make_jobs(struct yum_pool *p, const struct strv *words, Queue *jobs, struct err *e)
{
    queue_empty(jobs);
    for (size_t i = 0; i < words->n; i++)
        if (add_job(p, words->v[i], jobs, e) < 0)
            return -1;
    return 0;
}

/* Jobs, with filelists only when they can change the answer. */
static int prepare(const struct yum_spec *spec, struct yum_pool *p, Queue *jobs, struct err *e)
{
    auto_strv struct strv words = { 0 };
    if (yum_modules_apply(spec, p, e) < 0)
        return -1;
    pool_createwhatprovides(p->pool);
    if (flatten(spec, p, &words, e) < 0)
        return -1;
    bool matter = false;
    for (size_t i = 0; i < words.n; i++)
        matter = matter || (beyond_primary(words.v[i]) && !strpbrk(words.v[i], "*?["));
    if (!matter) {
        if (make_jobs(p, &words, jobs, e) < 0)
            return -1;
        matter = paths_matter(p, jobs, spec->recommends);
    }
    if (!matter)
        return 0;
    return load_paths(p, &words, e) < 0 ? -1 : make_jobs(p, &words, jobs, e);
}

/* ── result ─────────────────────────────────────────────────────────────────────────────────────*/

static bool plain_text(const char *s, const char *extra)
{
    for (; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr(extra, *s))
            return false;
    return true;
}

static int take_package(Pool *pool, Solvable *s, struct yum_package *out, struct err *e)
{
    Id type = 0;
    const char *hex = solvable_lookup_checksum(s, SOLVABLE_CHECKSUM, &type);
    const char *path = solvable_lookup_location(s, NULL);
    const char *base = solvable_lookup_str(s, SOLVABLE_MEDIABASE);
    const char *type_name = type ? solv_chksum_type2str(type) : NULL;
    *out = (struct yum_package){
        .name = mem_strdup(pool_id2str(pool, s->name)),
        .evr = mem_strdup(pool_id2str(pool, s->evr)),
        .arch = mem_strdup(pool_id2str(pool, s->arch)),
        .repo = s->repo->appdata,
        .path = mem_strdup(path ? path : ""),
        .algo = type_name ? store_algo(type_name) : -1,
        .hex = mem_strdup(hex ? hex : ""),
        .size_bytes = solvable_lookup_num(s, SOLVABLE_DOWNLOADSIZE, 0),
        .installed_bytes = solvable_lookup_num(s, SOLVABLE_INSTALLSIZE, 0),
    };
    auto_free char *shown = str_printable(pool_solvable2str(pool, s));
    const char *id = out->repo->source->id;
    if (!plain_text(out->name, "._+-") || !plain_text(out->evr, "._+-~^:") ||
        !plain_text(out->arch, "_"))
        return err_set(e, ERR_INPUT,
                       "package '%s' of repository '%s' is refused: its name holds "
                       "characters that no package name has",
                       shown, id);
    if (base || !url_path_safe(out->path))
        return err_set(e, ERR_INPUT,
                       "package '%s' is refused: its location leads out of repository "
                       "'%s'",
                       shown, id);
    if (out->algo < 0 || !store_hex_ok(out->algo, out->hex))
        return err_set(e, ERR_INPUT,
                       "package '%s' is refused: repository '%s' gives no checksum of "
                       "it, or one too weak (md5)",
                       shown, id);
    if (out->size_bytes > 8ull << 30)
        return err_set(e, ERR_INPUT,
                       "package '%s' of repository '%s' claims to be larger than 8 "
                       "GiB",
                       shown, id);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct yum_package *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    c = c ? c : strcmp(x->evr, y->evr);
    return c ? c : strcmp(x->arch, y->arch);
}

static int take_result(Solver *solver, struct yum_pool *p, struct yum_transaction *out,
                       struct err *e)
{
    Transaction *trans = solver_create_transaction(solver);
    int rc = 0;
    out->v = mem_zero((size_t)trans->steps.count + 1, sizeof *out->v);
    for (int i = 0; rc == 0 && i < trans->steps.count; i++) {
        Solvable *s = pool_id2solvable(p->pool, trans->steps.elements[i]);
        rc = take_package(p->pool, s, &out->v[out->n++], e);
        out->size_bytes += out->v[out->n - 1].size_bytes;
        out->installed_bytes += out->v[out->n - 1].installed_bytes;
    }
    transaction_free(trans);
    qsort(out->v, out->n, sizeof *out->v, by_name);
    return rc;
}

void yum_solver_flags(Solver *s, bool recommends)
{
    solver_set_flag(s, SOLVER_FLAG_IGNORE_RECOMMENDED, !recommends);
    solver_set_flag(s, SOLVER_FLAG_BEST_OBEY_POLICY, 1);
    solver_set_flag(s, SOLVER_FLAG_YUM_OBSOLETES, 1);
    solver_set_flag(s, SOLVER_FLAG_KEEP_EXPLICIT_OBSOLETES, 1);
    solver_set_flag(s, SOLVER_FLAG_URPM_REORDER, 1);
}

int yum_solve(const struct yum_spec *spec, struct yum_pool *p, struct yum_transaction *out,
              struct err *e)
{
    Queue jobs;
    queue_init(&jobs);
    int rc = prepare(spec, p, &jobs, e);
    Solver *solver = rc == 0 ? solver_create(p->pool) : NULL;
    if (solver)
        yum_solver_flags(solver, spec->recommends);
    if (solver && solver_solve(solver, &jobs) != 0) {
        auto_free char *problems = yum_problems_text(solver);
        auto_free char *repos = yum_repos_text(p);
        rc = err_set(e, ERR_FAILED, "the packages cannot be installed together:\n%s", problems);
        err_hint(e, "repositories consulted: %s", repos);
    }
    if (rc == 0)
        rc = take_result(solver, p, out, e);
    if (solver)
        solver_free(solver);
    queue_free(&jobs);
    if (rc < 0)
        yum_transaction_free(out);
    return rc;
}

void yum_transaction_free(struct yum_transaction *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->v[i].name);
        free(t->v[i].evr);
        free(t->v[i].arch);
        free(t->v[i].path);
        free(t->v[i].hex);
    }
    free(t->v);
    *t = (struct yum_transaction){ 0 };
}

static void put_evr(struct json_object *o, const char *evr)
{
    const char *colon = strchr(evr, ':');
    const char *version = colon ? colon + 1 : evr;
    const char *dash = strrchr(version, '-');
    size_t len = dash ? (size_t)(dash - version) : strlen(version);
    auto_free char *epoch = colon ? mem_strndup(evr, (size_t)(colon - evr)) : mem_strdup("0");
    auto_free char *plain = mem_strndup(version, len);
    json_put_str(o, "epoch", epoch);
    json_put_str(o, "version", plain);
    json_put_str(o, "release", dash ? dash + 1 : "");
}

struct json_object *yum_transaction_json(const struct yum_transaction *t)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < t->n; i++) {
        const struct yum_package *p = &t->v[i];
        struct json_object *o = json_object_new_object();
        json_put_str(o, "name", p->name);
        put_evr(o, p->evr);
        json_put_str(o, "arch", p->arch);
        json_put_str(o, "repository", p->repo->source->id);
        json_put_str(o, "path", p->path);
        json_put_str(o, "checksum", p->hex);
        json_put_int(o, "size_bytes", (int64_t)p->size_bytes);
        json_put_int(o, "installed_bytes", (int64_t)p->installed_bytes);
        json_add(list, o);
    }
    return list;
}
