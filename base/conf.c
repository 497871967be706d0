/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/conf.h"

#include <yaml.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

enum { MAX_BYTES = 1 << 20, MAX_DEPTH = 32, MAX_NODES = 100000 };

struct reader {
    yaml_parser_t parser;
    const char *name;
    unsigned n_nodes;
    struct err *e;
};

static void fini_node(struct conf *c)
{
    for (size_t i = 0; i < c->n_items; i++)
        fini_node(&c->items[i]);
    free(c->items);
    free(c->key);
    free(c->text);
}

void conf_free(struct conf *c)
{
    if (!c)
        return;
    fini_node(c);
    free(c);
}

static int next_event(struct reader *r, yaml_event_t *ev)
{
    if (yaml_parser_parse(&r->parser, ev))
        return 0;
    unsigned line = (unsigned)r->parser.problem_mark.line + 1;
    return err_at(r->e, r->name, line, "not valid YAML: %s",
                  r->parser.problem ? r->parser.problem : "unreadable");
}

static unsigned line_of(const yaml_event_t *ev)
{
    return (unsigned)ev->start_mark.line + 1;
}

static int read_node(struct reader *r, yaml_event_t *ev, struct conf *out, unsigned depth);

/* Make room for one more child of C. */
static struct conf *add_item(struct conf *c)
{
    c->items = mem_grow(c->items, c->n_items, sizeof *c->items);
    struct conf *item = &c->items[c->n_items++];
    *item = (struct conf){ 0 };
    return item;
}

static int read_key(struct reader *r, const yaml_event_t *ev, const struct conf *map, char **key)
{
    if (ev->type != YAML_SCALAR_EVENT)
        return err_at(r->e, r->name, line_of(ev), "a key must be plain text");
    const char *text = (const char *)ev->data.scalar.value;
    const struct conf *old = conf_get(map, text);
    if (old)
        return err_at(r->e, r->name, line_of(ev), "'%s' is given twice (first on line %u)", text,
                      old->line);
    *key = mem_strdup(text);
    return 0;
}

static int read_children(struct reader *r, struct conf *out, unsigned depth)
{
    yaml_event_type_t end =
        out->kind == CONF_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    for (;;) {
        yaml_event_t ev;
        if (next_event(r, &ev) < 0)
            return -1;
        if (ev.type == end) {
            yaml_event_delete(&ev);
            return 0;
        }
        auto_free char *key = NULL;
        if (out->kind == CONF_MAP) {
            int bad = read_key(r, &ev, out, &key);
            yaml_event_delete(&ev);
            if (bad || next_event(r, &ev) < 0)
                return -1;
        }
        struct conf *item = add_item(out);
        item->key = steal_ptr(key);
        int bad = read_node(r, &ev, item, depth + 1);
        yaml_event_delete(&ev);
        if (bad)
            return -1;
    }
}

static int read_node(struct reader *r, yaml_event_t *ev, struct conf *out, unsigned depth)
{
    out->line = line_of(ev);
    if (depth > MAX_DEPTH || ++r->n_nodes > MAX_NODES)
        return err_at(r->e, r->name, out->line, "nested too deeply or too long");
    switch (ev->type) {
    case YAML_SCALAR_EVENT:
        if (ev->data.scalar.anchor)
            break;
        out->kind = CONF_SCALAR;
        out->text = mem_strndup((const char *)ev->data.scalar.value, ev->data.scalar.length);
        out->quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        if (strlen(out->text) != ev->data.scalar.length)
            return err_at(r->e, r->name, out->line, "a value holds a NUL byte");
        return 0;
    case YAML_SEQUENCE_START_EVENT:
        if (ev->data.sequence_start.anchor)
            break;
        out->kind = CONF_LIST;
        return read_children(r, out, depth);
    case YAML_MAPPING_START_EVENT:
        if (ev->data.mapping_start.anchor)
            break;
        out->kind = CONF_MAP;
        return read_children(r, out, depth);
    default:
        break;
    }
    return err_at(r->e, r->name, out->line, "anchors and aliases are not accepted here");
}

/* The document's root node, past the stream and document events; an empty file is an empty map. */
static int read_document(struct reader *r, struct conf *out)
{
    for (;;) {
        yaml_event_t ev;
        if (next_event(r, &ev) < 0)
            return -1;
        yaml_event_type_t type = ev.type;
        int bad = 0;
        bool done = true;
        if (type == YAML_STREAM_END_EVENT)
            *out = (struct conf){ .kind = CONF_MAP, .line = 1 };
        else if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT)
            done = false;
        else
            bad = read_node(r, &ev, out, 0);
        yaml_event_delete(&ev);
        if (bad || done)
            return bad;
    }
}

struct conf *conf_parse(const char *text, size_t len, const char *name, struct err *e)
{
    if (len > MAX_BYTES) {
        err_at(e, name, 1, "larger than 1 MiB");
        return NULL;
    }
    struct reader r = { .name = name, .e = e };
    if (!yaml_parser_initialize(&r.parser)) {
        err_set(e, ERR_FAILED, "cannot start the YAML parser");
        return NULL;
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    struct conf *out = mem_zero(1, sizeof *out);
    if (read_document(&r, out) < 0) {
        conf_free(out);
        out = NULL;
    }
    yaml_parser_delete(&r.parser);
    return out;
}

struct conf *conf_read(const char *path, struct err *e)
{
    auto_str struct str text = { 0 };
    if (fs_read_file(path, MAX_BYTES, &text, e) < 0)
        return NULL;
    return conf_parse(text.data, text.len, path, e);
}

const struct conf *conf_get(const struct conf *c, const char *key)
{
    if (!c || c->kind != CONF_MAP)
        return NULL;
    for (size_t i = 0; i < c->n_items; i++)
        if (c->items[i].key && str_eq(c->items[i].key, key))
            return &c->items[i];
    return NULL;
}

int conf_bool(const struct conf *c, const char *name, bool *out, struct err *e)
{
    static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };
    if (c->kind == CONF_SCALAR && !c->quoted) {
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            if (strcasecmp(c->text, words[i]) == 0) {
                *out = i % 2;
                return 0;
            }
        }
    }
    return err_at(e, name, c->line, "'%s' must be yes or no", c->key ? c->key : "this");
}
