/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/md.h"

#include <solv/chksum.h>
#include <solv/repo_rpmmd.h>
#include <stdlib.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/value.h"

/* ── primary ────────────────────────────────────────────────────────────────────────────────────*/

static int parse_primary(struct yum_pool *p, struct yum_repo *r, struct err *e)
{
    struct yum_stream stream = { .type = "primary",
                                 .brief = true,
                                 .limit_bytes = YUM_PRIMARY_MAX_BYTES,
                                 .max_packages = YUM_MAX_PACKAGES };
    auto_file FILE *f = NULL;
    if (yum_md_open(p, r, &stream, &f, e) < 0)
        return -1;
    int rc = repo_add_rpmmd(r->repo, f, NULL, 0);
    if (yum_md_whole(r, &stream, e) < 0)
        return -1;
    if (rc != 0)
        return err_set(e, ERR_INPUT, "repository '%s': '%s' cannot be read: %s", r->source->id,
                       yum_repo_md(r, stream.type)->path, pool_errstr(p->pool));
    return 0;
}

/* Whether R's cache does not know one of the file names that packages of any repository require. */
static bool lacks_file_ids(Pool *pool, Repo *repo, const Queue *file_ids)
{
    Queue known;
    Map map;
    bool lacks = false;
    queue_init(&known);
    map_init(&map, pool->ss.nstrings);
    repo_lookup_idarray(repo, SOLVID_META, REPOSITORY_ADDEDFILEPROVIDES, &known);
    for (int i = 0; i < known.count; i++)
        MAPSET(&map, known.elements[i]);
    for (int i = 0; i < file_ids->count; i++)
        lacks = lacks || !MAPTST(&map, file_ids->elements[i]);
    map_free(&map);
    queue_free(&known);
    return lacks;
}

/* File requirements become provides once, and the caches remember for which names. */
static void add_file_provides(struct yum_pool *p)
{
    queue_empty(&p->file_ids);
    pool_addfileprovides_queue(p->pool, &p->file_ids, NULL);
    for (size_t i = 0; i < p->n_repos; i++)
        if (p->repos[i].repo->nsolvables && lacks_file_ids(p->pool, p->repos[i].repo, &p->file_ids))
            yum_cache_write(p, &p->repos[i]);
}

int yum_pool_load(struct yum_pool *p, struct err *e)
{
    for (size_t i = 0; i < p->n_repos; i++) {
        struct yum_repo *r = &p->repos[i];
        r->repo = repo_create(p->pool, r->source->id);
        r->repo->appdata = r;
        r->repo->priority = -r->source->priority; /* yum: 1 is best; libsolv: the highest */
        if (!yum_cache_read(p, r) && parse_primary(p, r, e) < 0)
            return -1;
    }
    add_file_provides(p);
    return 0;
}

/* ── paths of filelists ─────────────────────────────────────────────────────────────────────────*/

struct by_sum {
    unsigned char start[8]; /* of the package's checksum */
    Id solvable;
    unsigned n_hits;
};

struct adding {
    Repo *repo;
    struct by_sum *index;
    size_t n, n_hits;
    bool too_many;
    const Id *ids; /* of the paths, in their order */
};

static int compare_sums(const void *a, const void *b)
{
    return memcmp(a, b, sizeof((struct by_sum *)0)->start);
}

static void make_index(struct adding *a)
{
    Solvable *s;
    Id id, type;
    a->index = mem_zero((size_t)a->repo->nsolvables + 1, sizeof *a->index);
    FOR_REPO_SOLVABLES(a->repo, id, s)
    {
        const unsigned char *sum = solvable_lookup_bin_checksum(s, SOLVABLE_CHECKSUM, &type);
        if (!sum || a->n >= (size_t)a->repo->nsolvables)
            continue;
        memcpy(a->index[a->n].start, sum, sizeof a->index[0].start);
        a->index[a->n++].solvable = id;
    }
    qsort(a->index, a->n, sizeof *a->index, compare_sums);
}

static bool hex_start(const char *hex, unsigned char start[8])
{
    for (size_t i = 0; i < 8; i++) {
        char pair[3] = { hex[0], hex[0] ? hex[1] : 0, 0 };
        char *end;
        start[i] = (unsigned char)strtoul(pair, &end, 16);
        if (end != pair + 2)
            return false;
        hex += 2;
    }
    return true;
}

static void on_path(void *ctx, const char *pkgid, size_t path)
{
    struct adding *a = ctx;
    struct by_sum key = { .solvable = 0 };
    if (!hex_start(pkgid, key.start))
        return;
    struct by_sum *hit = bsearch(&key, a->index, a->n, sizeof *a->index, compare_sums);
    if (!hit || a->too_many)
        return;
    a->too_many = ++a->n_hits > YUM_MAX_HITS || ++hit->n_hits > YUM_MAX_PACKAGE_HITS;
    Solvable *s = pool_id2solvable(a->repo->pool, hit->solvable);
    solvable_add_deparray(s, SOLVABLE_PROVIDES, a->ids[path], 1); /* 1: as a file */
}

static int add_repo_paths(struct yum_pool *p, struct yum_repo *r, struct yum_paths *paths,
                          const Id *ids, struct err *e)
{
    struct yum_stream stream = { .type = "filelists", .limit_bytes = YUM_FILELISTS_MAX_BYTES };
    auto_file FILE *f = NULL;
    if (yum_md_open(p, r, &stream, &f, e) < 0)
        return -1;
    if (!f)
        return 0;
    struct adding a = { .repo = r->repo, .ids = ids };
    make_index(&a);
    paths->found = on_path;
    paths->ctx = &a;
    int rc = yum_filelists_scan(f, paths, e);
    free(a.index);
    if (yum_md_whole(r, &stream, e) < 0)
        return -1;
    if (rc == 0 && a.too_many)
        rc = err_set(e, ERR_INPUT, "'%s' names more files that packages require than hpcc reads",
                     yum_repo_md(r, stream.type)->path);
    r->has_filelists = rc == 0;
    return rc < 0 ? err_wrap(e, "repository '%s'", r->source->id) : 0;
}

static int compare_ids(const void *a, const void *b, void *pool)
{
    return strcmp(pool_id2str(pool, *(const Id *)a), pool_id2str(pool, *(const Id *)b));
}

int yum_pool_add_paths(struct yum_pool *p, Queue *wanted, struct err *e)
{
    size_t n = (size_t)wanted->count;
    auto_free const char **texts = mem_zero(n + 1, sizeof *texts);
    solv_sort(wanted->elements, n, sizeof(Id), compare_ids, p->pool);
    for (size_t i = 0; i < n; i++)
        texts[i] = pool_id2str(p->pool, wanted->elements[i]);
    struct yum_paths paths = { .paths = texts, .n = n };
    for (size_t i = 0; i < p->n_repos; i++)
        if (add_repo_paths(p, &p->repos[i], &paths, wanted->elements, e) < 0)
            return -1;
    for (size_t i = 0; i < p->n_repos; i++) {
        Repodata *data = repo_id2repodata(p->repos[i].repo, 1);
        if (!p->repos[i].has_filelists || !data)
            continue;
        for (size_t j = 0; j < n; j++)
            repodata_add_idarray(data, SOLVID_META, yum_pool_paths_key(p), wanted->elements[j]);
        repodata_internalize(data);
        yum_cache_write(p, &p->repos[i]);
    }
    return 0;
}

Id yum_pool_paths_key(const struct yum_pool *p)
{
    return pool_str2id(p->pool, "hpcc:paths", 1);
}

char *yum_repos_text(const struct yum_pool *p)
{
    auto_str struct str s = { 0 };
    for (size_t i = 0; i < p->n_repos; i++) {
        auto_free char *url = value_url_public(p->repos[i].mirrors.v[0]);
        str_addf(&s, "%s%s (%s)", i ? ", " : "", p->repos[i].source->id, url);
    }
    return str_steal(&s);
}
