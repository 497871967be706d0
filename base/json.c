/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/json.h"

#include <limits.h>

#include "base/defence.h"
#include "base/mem.h"

void json_put(struct json_object *obj, const char *key, struct json_object *take)
{
    json_object_object_add(obj, key, take);
}

void json_put_str(struct json_object *obj, const char *key, const char *value)
{
    json_put(obj, key, value ? json_object_new_string(value) : NULL);
}

void json_put_int(struct json_object *obj, const char *key, int64_t value)
{
    json_put(obj, key, json_object_new_int64(value));
}

void json_put_bool(struct json_object *obj, const char *key, int value)
{
    json_put(obj, key, json_object_new_boolean(value));
}

void json_add(struct json_object *array, struct json_object *take)
{
    json_object_array_add(array, take);
}

/* json-c escapes C0 and leaves the rest as it came. JSON has a form for the controls above and for
 * what turns the order of text; for bytes that are no UTF-8 it has none: they become the text \xHH,
 * as everywhere. */
static char *harmless(const char *text)
{
    struct str out = { 0 };
    while (*text) {
        uint32_t code;
        size_t n = str_utf8(text, &code);
        if (n && (str_code_harmless(code) || code == '\n'))
            str_add_n(&out, text, n);
        else if (n)
            str_addf(&out, "\\u%04x", code);
        else
            str_addf(&out, "\\\\x%02x", (unsigned char)*text);
        text += n ? n : 1;
    }
    return str_steal(&out);
}

char *json_text(struct json_object *obj, int pretty)
{
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
    flags |= pretty ? JSON_C_TO_STRING_PRETTY : JSON_C_TO_STRING_PLAIN;
    const char *text = json_object_to_json_string_ext(obj, flags);
    return defence("printable") ? harmless(text) : mem_strdup(text);
}

struct json_object *json_read(const char *text, size_t len, const char *what, struct err *e)
{
    if (len > INT_MAX) {
        err_set(e, ERR_INPUT, "%s is too large for JSON", what);
        return NULL;
    }
    struct json_tokener *tok = json_tokener_new_ex(64);
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *obj = json_tokener_parse_ex(tok, text, (int)len);
    enum json_tokener_error code = json_tokener_get_error(tok);
    if (!obj || code != json_tokener_success) {
        err_set(e, ERR_INPUT, "%s is not valid JSON: %s at byte %zu", what,
                json_tokener_error_desc(code), json_tokener_get_parse_end(tok));
        json_object_put(obj);
        obj = NULL;
    }
    json_tokener_free(tok);
    return obj;
}

const char *json_get_str(struct json_object *obj, const char *key)
{
    struct json_object *v = NULL;
    if (!json_object_object_get_ex(obj, key, &v) || !json_object_is_type(v, json_type_string))
        return NULL;
    return json_object_get_string(v);
}
