/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/plain.h"

#include "base/mem.h"

static bool is_nested(struct json_object *value)
{
    if (json_object_is_type(value, json_type_object))
        return true;
    return json_object_is_type(value, json_type_array) && json_object_array_length(value) > 0 &&
           json_object_is_type(json_object_array_get_idx(value, 0), json_type_object);
}

static void add_scalar(struct str *out, struct json_object *value)
{
    if (json_object_is_type(value, json_type_boolean)) {
        str_add(out, json_object_get_boolean(value) ? " yes" : " no");
        return;
    }
    const char *text = value ? json_object_get_string(value) : "none";
    auto_free char *clean = str_printable(text);
    str_addf(out, " %s", clean);
}

static void add_value(struct str *out, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_array)) {
        add_scalar(out, value);
        return;
    }
    for (size_t i = 0; i < json_object_array_length(value); i++)
        add_scalar(out, json_object_array_get_idx(value, i));
}

static void add_nested(struct str *out, struct json_object *value, unsigned indent)
{
    if (json_object_is_type(value, json_type_object)) {
        plain_add(out, value, indent);
        return;
    }
    for (size_t i = 0; i < json_object_array_length(value); i++)
        plain_add(out, json_object_array_get_idx(value, i), indent);
}

void plain_add(struct str *out, struct json_object *obj, unsigned indent)
{
    json_object_object_foreach(obj, key, value)
    {
        str_addf(out, "%*s%s:", (int)indent, "", key);
        for (char *c = out->data + out->len; c > out->data && c[-1] != '\n'; c--)
            if (*c == '_')
                *c = ' ';
        if (!is_nested(value))
            add_value(out, value);
        str_add_c(out, '\n');
        if (is_nested(value))
            add_nested(out, value, indent + 2);
    }
}
