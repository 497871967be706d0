/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_RPM_XML_H
#define BOOTSTRAP_RPM_XML_H

/* Small XML documents through expat: elements with their text, no document types (so no entities),
 * bounded depth and text. Private to the room. */

#include "base/err.h"
#include "base/str.h"

struct xml_reader {
    /* ATTS: name, value, …, NULL. Names come without their prefix. */
    void (*start)(void *ctx, const char *name, const char *const *atts);
    /* TEXT: what stood directly before the end tag, trimmed. */
    void (*end)(void *ctx, const char *name, const char *text);
    void *ctx;
};

/* ERR_INPUT: not well-formed, a document type, or its root is not ROOT. */
MUST_CHECK int xml_read(const struct str *text, const char *root, const struct xml_reader *r,
                        struct err *e);

/* The value of attribute NAME, or NULL. */
const char *xml_att(const char *const *atts, const char *name);

#endif
