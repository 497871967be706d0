/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/xml.h"

#include <ctype.h>
#include <expat.h>

#include "base/mem.h"

enum { MAX_DEPTH = 32, MAX_TEXT = 1 << 16 };

struct state {
    const struct xml_reader *r;
    XML_Parser parser;
    const char *root;
    struct str text;
    unsigned depth;
    const char *fault; /* static; what made us stop */
};

static const char *local_name(const char *name)
{
    const char *colon = strrchr(name, ':');
    return colon ? colon + 1 : name;
}

static void stop(struct state *s, const char *fault)
{
    s->fault = fault;
    XML_StopParser(s->parser, XML_FALSE);
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **atts)
{
    struct state *s = ctx;
    str_reset(&s->text);
    if (s->depth++ == 0 && !str_eq(local_name(name), s->root)) {
        stop(s, "its root is another element");
        return;
    }
    if (s->depth > MAX_DEPTH) {
        stop(s, "its elements are nested too deep");
        return;
    }
    if (s->r->start)
        s->r->start(s->r->ctx, local_name(name), (const char *const *)atts);
}

static void on_end(void *ctx, const XML_Char *name)
{
    struct state *s = ctx;
    const char *text = str_text(&s->text);
    while (s->text.len && isspace((unsigned char)s->text.data[s->text.len - 1]))
        s->text.data[--s->text.len] = 0;
    while (s->text.len && isspace((unsigned char)*text))
        text++;
    s->depth--;
    if (s->r->end)
        s->r->end(s->r->ctx, local_name(name), s->text.len ? text : "");
    str_reset(&s->text);
}

static void on_text(void *ctx, const XML_Char *text, int len)
{
    struct state *s = ctx;
    if (s->text.len + (size_t)len > MAX_TEXT)
        stop(s, "a text in it is too long");
    else
        str_add_n(&s->text, text, (size_t)len);
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *sysid,
                       const XML_Char *pubid, int internal)
{
    struct state *s = ctx;
    (void)name, (void)sysid, (void)pubid;
    if (internal) /* where entities are declared */
        stop(s, "it declares entities");
}

int xml_read(const struct str *text, const char *root, const struct xml_reader *r, struct err *e)
{
    struct state s = { .r = r, .root = root, .parser = XML_ParserCreate(NULL) };
    if (!s.parser)
        return err_set(e, ERR_FAILED, "cannot start expat");
    XML_SetUserData(s.parser, &s);
    XML_SetElementHandler(s.parser, on_start, on_end);
    XML_SetCharacterDataHandler(s.parser, on_text);
    XML_SetStartDoctypeDeclHandler(s.parser, on_doctype);
    int rc = 0;
    if (XML_Parse(s.parser, str_text(text), (int)text->len, 1) != XML_STATUS_OK) {
        enum XML_Error code = XML_GetErrorCode(s.parser);
        rc = err_set(e, ERR_INPUT, "not the XML expected in line %lu: %s",
                     XML_GetCurrentLineNumber(s.parser), s.fault ? s.fault : XML_ErrorString(code));
    }
    XML_ParserFree(s.parser);
    str_free(&s.text);
    return rc;
}

const char *xml_att(const char *const *atts, const char *name)
{
    for (; atts[0]; atts += 2)
        if (str_eq(local_name(atts[0]), name))
            return atts[1];
    return NULL;
}
