/* SPDX-License-Identifier: BSD-3-Clause */
#include <fnmatch.h>
#include <solv/solver.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/rpm/modulemd.h"

/* Modules (EL8, EL9 AppStream): packages of a stream are only there when the stream is enabled, by
 * 'Modules:' or as its module's default; packages outside of modules give way to those of an
 * enabled stream that have their name. libsolv knows nothing of it, so what must not be seen is
 * hidden. */

static bool stream_is(const struct module_stream *s, const char *name, const char *stream)
{
    return str_eq(s->name, name) && str_eq(s->stream, stream);
}

static void enable(struct modules *m, const char *name, const char *stream)
{
    strv_env_set(&m->enabled, name, stream);
}

/* Whether the streams that S needs are enabled; "platform" stands for the distribution itself. */
static bool needs_met(const struct modules *m, const struct module_stream *s)
{
    for (size_t i = 0; i < s->needs_names.n; i++) {
        const char *name = s->needs_names.v[i];
        const char *have = strv_env_get(&m->enabled, name);
        bool met = str_eq(name, "platform");
        for (size_t j = 0; j < s->needs_names.n; j++)
            met = met || (str_eq(s->needs_names.v[j], name) && have &&
                          (!s->needs_streams.v[j][0] || str_eq(s->needs_streams.v[j], have)));
        if (!met)
            return false;
    }
    return true;
}

/* Enable what the stream NAME:STREAM needs, unless one of its builds is content already. */
static void enable_needs(struct modules *m, const char *name, const char *stream)
{
    const struct module_stream *first = NULL;
    for (size_t i = 0; i < m->n; i++) {
        if (!stream_is(&m->v[i], name, stream))
            continue;
        if (needs_met(m, &m->v[i]))
            return;
        first = first ? first : &m->v[i];
    }
    for (size_t i = 0; first && i < first->needs_names.n; i++) {
        const char *need = first->needs_names.v[i];
        if (!str_eq(need, "platform") && !strv_env_get(&m->asked, need) &&
            first->needs_streams.v[i][0])
            enable(m, need, first->needs_streams.v[i]);
    }
}

static int enable_asked(struct modules *m, const char *word, struct err *e)
{
    const char *colon = strchr(word, ':');
    auto_free char *name = mem_strndup(word, colon ? (size_t)(colon - word) : strlen(word));
    const char *stream = colon ? colon + 1 : strv_env_get(&m->defaults, name);
    auto_strv struct strv streams = { 0 };
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(m->v[i].name, name) && !strv_has(&streams, m->v[i].stream))
            strv_add(&streams, m->v[i].stream);
    if (!streams.n)
        return err_set(e, ERR_INPUT, "no repository has a module '%s'", name);
    auto_free char *list = strv_join(&streams, ", ");
    if (!stream || !strv_has(&streams, stream)) {
        err_set(e, ERR_INPUT, "module '%s' has no stream '%s'", name, stream ? stream : "default");
        return err_hint(e, "its streams: %s", list);
    }
    strv_env_set(&m->asked, name, stream);
    enable(m, name, stream);
    enable_needs(m, name, stream);
    return 0;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool listed(const struct strv *sorted, const char *text)
{
    return sorted->n &&
           bsearch(&text, sorted->v, sorted->n, sizeof sorted->v[0], compare_texts) != NULL;
}

/* What is in enabled streams, what is in any, and the names of the first. */
struct visible {
    struct strv on, any, names;
};

/* "name-0:1-2.arch" → "name" */
static void add_name(struct strv *names, const char *nevra)
{
    const char *release = strrchr(nevra, '-');
    const char *version = release;
    while (version && version > nevra && *--version != '-')
        ;
    if (version && version > nevra)
        strv_take(names, mem_strndup(nevra, (size_t)(version - nevra)));
}

static void collect(struct modules *m, struct visible *out)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct module_stream *s = &m->v[i];
        const char *have = strv_env_get(&m->enabled, s->name);
        bool on = have && str_eq(have, s->stream) && needs_met(m, s);
        strv_add_all(&out->any, (const char *const *)s->packages.v);
        if (!on)
            continue;
        strv_add_all(&out->on, (const char *const *)s->packages.v);
        for (size_t j = 0; j < s->packages.n; j++)
            add_name(&out->names, s->packages.v[j]);
    }
    strv_sort(&out->on);
    strv_sort(&out->any);
    strv_sort(&out->names);
}

static bool excluded(const struct yum_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->exclude.n; i++)
        if (fnmatch(spec->exclude.v[i], name, 0) == 0)
            return true;
    return false;
}

static void hide(const struct yum_spec *spec, Pool *pool, const struct visible *v)
{
    pool->considered = mem_zero(1, sizeof *pool->considered);
    map_init(pool->considered, pool->nsolvables);
    map_setall(pool->considered);
    for (Id id = 2; id < pool->nsolvables; id++) {
        Solvable *s = pool_id2solvable(pool, id);
        if (!s->repo)
            continue;
        const char *name = pool_id2str(pool, s->name), *evr = pool_id2str(pool, s->evr);
        bool hidden = excluded(spec, name);
        if (v->any.n && !hidden) {
            auto_free char *nevra = mem_printf(
                "%s-%s%s.%s", name, strchr(evr, ':') ? "" : "0:", evr, pool_id2str(pool, s->arch));
            hidden = listed(&v->any, nevra) ? !listed(&v->on, nevra) : listed(&v->names, name);
        }
        if (hidden)
            MAPCLR(pool->considered, id);
    }
}

int yum_modules_apply(const struct yum_spec *spec, struct yum_pool *p, struct err *e)
{
    auto_modules struct modules m = { 0 };
    struct visible v = { 0 };
    for (size_t i = 0; i < p->n_repos; i++)
        if (modules_load(&m, p, &p->repos[i], e) < 0)
            return -1;
    strv_add_all(&m.enabled, (const char *const *)m.defaults.v);
    for (size_t i = 0; i < spec->modules.n; i++)
        if (enable_asked(&m, spec->modules.v[i], e) < 0)
            return -1;
    collect(&m, &v);
    if (spec->exclude.n || v.any.n)
        hide(spec, p->pool, &v);
    strv_free(&v.on);
    strv_free(&v.any);
    strv_free(&v.names);
    return 0;
}
