/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_JSON_H
#define BASE_JSON_H

/* JSON through json-c: its objects, with our ownership and errors.
 * Key order is order of insertion. */

#include <json-c/json.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

static inline void json_release(struct json_object *o)
{
    json_object_put(o);
}
CLEANUP_DEFINE(struct json_object *, cleanup_json, json_release)
#define auto_json cleanup_with(cleanup_json)

/* Put KEY into OBJ; the value is taken. json_put_str(…, NULL) puts null. */
void json_put(struct json_object *obj, const char *key, struct json_object *take);
void json_put_str(struct json_object *obj, const char *key, const char *value);
void json_put_int(struct json_object *obj, const char *key, int64_t value);
void json_put_bool(struct json_object *obj, const char *key, int value);
void json_add(struct json_object *array, struct json_object *take);

/* One document, two-space indented when PRETTY, "/" not escaped. Always UTF-8, and fit for a
 * terminal: controls are escaped, bytes that are no UTF-8 are the text \xHH. Caller frees. */
MUST_CHECK char *json_text(struct json_object *obj, int pretty);

/* Strict parse of one document of at most 64 levels; ERR_INPUT with WHAT and the offset. */
MUST_CHECK struct json_object *json_read(const char *text, size_t len, const char *what,
                                         struct err *e);

/* The string at KEY, or NULL when absent or of another type; lent by OBJ. */
const char *json_get_str(struct json_object *obj, const char *key);

#endif
