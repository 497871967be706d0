/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mem.h"
#include "deffile/reader.h"

static void put_text(struct json_object *o, const char *key, const char *bytes)
{
    auto_free char *text = bytes ? text_escape(bytes) : NULL;
    json_put_str(o, key, text);
}

static char *base64(const struct str *s)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct str out = { 0 };
    for (size_t i = 0; i < s->len; i += 3) {
        size_t n = s->len - i < 3 ? s->len - i : 3;
        unsigned v = 0;
        for (size_t j = 0; j < 3; j++)
            v = v << 8 | (j < n ? (unsigned char)s->data[i + j] : 0);
        for (size_t j = 0; j < 4; j++)
            str_add_c(&out, j <= n ? set[v >> (18 - 6 * j) & 63] : '=');
    }
    return str_steal(&out);
}

static struct json_object *dump_entries(const struct deffile_section *s)
{
    struct json_object *list = json_object_new_array();
    bool files = s->rule->body == DEFFILE_BODY_FILES;
    for (size_t i = 0; i < s->n_entries; i++) {
        struct json_object *o = json_object_new_object();
        put_text(o, files ? "src" : "key", s->entries[i].first);
        put_text(o, files ? "dst" : "value", s->entries[i].second);
        json_put_int(o, "line", s->entries[i].line);
        json_add(list, o);
    }
    return list;
}

static struct json_object *dump_section(const struct deffile_section *s)
{
    struct json_object *o = json_object_new_object();
    put_text(o, "name", s->name);
    put_text(o, "app", s->app);
    put_text(o, "args", s->args);
    json_put_int(o, "line", s->line);
    if (s->rule && s->rule->args == DEFFILE_ARGS_STAGE)
        put_text(o, "from", s->from);
    if (s->rule && s->rule->body != DEFFILE_BODY_TEXT)
        json_put(o, "entries", dump_entries(s));
    struct slice body = { str_text(&s->body), s->body.len };
    if (utf8_invalid(body) == body.n) {
        json_put(o, "body", json_object_new_string_len(body.p, (int)body.n));
    } else {
        auto_free char *text = base64(&s->body);
        json_put_str(o, "body_b64", text);
    }
    return o;
}

static struct json_object *dump_stage(const struct deffile_stage *s)
{
    struct json_object *o = json_object_new_object();
    struct json_object *header = json_object_new_object();
    struct json_object *lines = json_object_new_object();
    struct json_object *sections = json_object_new_array();
    for (size_t i = 0; i < s->n_headers; i++) {
        put_text(header, s->headers[i].key, s->headers[i].value);
        json_put_int(lines, s->headers[i].key, s->headers[i].line);
    }
    for (size_t i = 0; i < s->n_sections; i++)
        json_add(sections, dump_section(&s->sections[i]));
    json_put_int(o, "line", s->line);
    put_text(o, "name", s->name);
    json_put(o, "header", header);
    json_put(o, "header_lines", lines);
    json_put(o, "sections", sections);
    return o;
}

struct json_object *deffile_dump(const struct deffile *d)
{
    struct json_object *o = json_object_new_object();
    struct json_object *stages = json_object_new_array();
    struct json_object *diags = json_object_new_array();
    for (size_t i = 0; i < d->n_stages; i++)
        json_add(stages, dump_stage(&d->stages[i]));
    for (size_t i = 0; i < d->n_diags; i++) {
        const struct deffile_diag *g = &d->diags[i];
        struct json_object *item = json_object_new_object();
        json_put_str(item, "severity", g->severity == DEFFILE_ERROR ? "error" : "warning");
        json_put_str(item, "code", g->code);
        json_put_int(item, "line", g->line);
        json_put_int(item, "column", g->column);
        json_put_str(item, "message", g->message);
        json_put_str(item, "hint", g->hint);
        json_add(diags, item);
    }
    json_put_str(o, "format", "hpcc.deffile.v1");
    json_put_bool(o, "ok", d->ok);
    json_put(o, "stages", stages);
    json_put(o, "diagnostics", diags);
    return o;
}
