/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/modulemd.h"

#include <stdlib.h>
#include <yaml.h>

#include "base/mem.h"

/* Many documents, megabytes each: read event by event, keeping only what is asked for. */

enum {
    MAX_DEPTH = 16,
    MAX_STREAMS = 20000,
    MAX_WORDS = 2000000, /* kept of all streams; those of EL8 together have a tenth */
};

struct level {
    bool map, has_key;
    char *key; /* in a map: the one whose value is being read */
};

struct walk {
    struct modules *m;
    struct level levels[MAX_DEPTH];
    int depth;
    struct module_stream now;
    size_t n_words;
    char *kind, *module; /* of this document; the module whose default it tells */
};

static void stream_free(struct module_stream *s)
{
    free(s->name);
    free(s->stream);
    strv_free(&s->packages);
    strv_free(&s->needs_names);
    strv_free(&s->needs_streams);
    *s = (struct module_stream){ 0 };
}

void modules_free(struct modules *m)
{
    for (size_t i = 0; i < m->n; i++)
        stream_free(&m->v[i]);
    free(m->v);
    strv_free(&m->defaults);
    strv_free(&m->asked);
    strv_free(&m->enabled);
    *m = (struct modules){ 0 };
}

static void set(char **at, const char *value)
{
    free(*at);
    *at = mem_strdup(value);
}

/* "data/artifacts/rpms": the keys above the value in hand. */
static char *place(const struct walk *w)
{
    auto_str struct str s = { 0 };
    for (int i = 0; i < w->depth; i++)
        if (w->levels[i].map && w->levels[i].key)
            str_addf(&s, "%s%s", s.len ? "/" : "", w->levels[i].key);
    return str_steal(&s);
}

static void take_value(struct walk *w, const char *value)
{
    static const char needs[] = "data/dependencies/requires/";
    auto_free char *at = place(w);
    if (str_eq(at, "document"))
        set(&w->kind, value);
    else if (str_eq(at, "data/name"))
        set(&w->now.name, value);
    else if (str_eq(at, "data/stream"))
        set(&w->now.stream, value);
    else if (str_eq(at, "data/module"))
        set(&w->module, value);
    else if (str_eq(at, "data/artifacts/rpms")) {
        strv_add(&w->now.packages, value);
        w->n_words++;
    } else if (str_starts(at, needs) && value[0] != '-') {
        w->n_words++;
        strv_add(&w->now.needs_names, at + strlen(needs));
        strv_add(&w->now.needs_streams, value);
    }
}

static void end_document(struct walk *w)
{
    struct modules *m = w->m;
    if (str_eq(w->kind, "modulemd") && w->now.name && w->now.stream && m->n < MAX_STREAMS) {
        m->v = mem_grow(m->v, m->n, sizeof *m->v);
        m->v[m->n++] = w->now;
        w->now = (struct module_stream){ 0 };
    } else if (str_eq(w->kind, "modulemd-defaults") && w->module && w->now.stream &&
               !strchr(w->module, '=')) {
        strv_env_set(&m->defaults, w->module, w->now.stream);
    }
    stream_free(&w->now);
    set(&w->kind, NULL);
    set(&w->module, NULL);
}

static struct level *top(struct walk *w)
{
    return w->depth ? &w->levels[w->depth - 1] : NULL;
}

/* A value is complete: the map around it waits for its next key. */
static void value_done(struct walk *w)
{
    struct level *l = top(w);
    if (l && l->map)
        l->has_key = false;
}

static void take_scalar(struct walk *w, const char *text)
{
    struct level *l = top(w);
    if (l && l->map && !l->has_key) {
        set(&l->key, text);
        l->has_key = true;
        return;
    }
    take_value(w, text);
    value_done(w);
}

static const char *take_event(struct walk *w, const yaml_event_t *ev)
{
    switch (ev->type) {
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        if (w->depth >= MAX_DEPTH)
            return "it is nested too deep";
        w->levels[w->depth++] = (struct level){ .map = ev->type == YAML_MAPPING_START_EVENT };
        return NULL;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        set(&top(w)->key, NULL);
        w->depth--;
        value_done(w);
        return NULL;
    case YAML_SCALAR_EVENT:
        take_scalar(w, (const char *)ev->data.scalar.value);
        return w->n_words > (w->m->max_words ? w->m->max_words : MAX_WORDS)
                   ? "it holds more packages than hpcc reads"
                   : NULL;
    case YAML_ALIAS_EVENT:
        return "it uses aliases";
    case YAML_DOCUMENT_END_EVENT:
        end_document(w);
        return NULL;
    default:
        return NULL;
    }
}

int modules_parse(struct modules *m, FILE *f, const char *name, struct err *e)
{
    struct walk w = { .m = m };
    yaml_parser_t parser;
    yaml_event_t ev;
    const char *fault = NULL;
    bool done = false;
    if (!yaml_parser_initialize(&parser))
        return err_set(e, ERR_FAILED, "cannot start libyaml");
    yaml_parser_set_input_file(&parser, f);
    while (!done && !fault) {
        if (!yaml_parser_parse(&parser, &ev)) {
            fault = parser.problem ? parser.problem : "it is no YAML";
            break;
        }
        done = ev.type == YAML_STREAM_END_EVENT;
        fault = take_event(&w, &ev);
        yaml_event_delete(&ev);
    }
    int rc = fault ? err_set(e, ERR_INPUT, "'%s' cannot be read: %s", name, fault) : 0;
    while (w.depth)
        set(&w.levels[--w.depth].key, NULL);
    stream_free(&w.now);
    free(w.kind);
    free(w.module);
    yaml_parser_delete(&parser);
    return rc;
}

int modules_load(struct modules *m, struct yum_pool *p, const struct yum_repo *r, struct err *e)
{
    struct yum_stream stream = { .type = "modules", .limit_bytes = YUM_MODULES_MAX_BYTES };
    auto_file FILE *f = NULL;
    if (yum_md_open(p, r, &stream, &f, e) < 0)
        return -1;
    if (!f)
        return 0;
    const char *path = yum_repo_md(r, stream.type)->path;
    int rc = modules_parse(m, f, path, e);
    if (stream.fault) /* which is why it ended in the middle */
        return yum_md_whole(r, &stream, e);
    return rc < 0 ? err_wrap(e, "repository '%s'", r->source->id) : 0;
}
