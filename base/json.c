/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/json.h"

#include <limits.h>

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

char *json_text(struct json_object *obj, int pretty)
{
    int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
    flags |= pretty ? JSON_C_TO_STRING_PRETTY : JSON_C_TO_STRING_PLAIN;
    return mem_strdup(json_object_to_json_string_ext(obj, flags));
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
