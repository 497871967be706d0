/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/mem.h"
#include "runtime/plan/plan.h"

/* The third field of passwd's and group's lines is the id. */
static bool has_id(const char *line, const char *end, const char *number)
{
    size_t len = strlen(number);
    const char *field = memchr(line, ':', (size_t)(end - line));
    field = field ? memchr(field + 1, ':', (size_t)(end - field - 1)) : NULL;
    return field && strncmp(field + 1, number, len) == 0 &&
           (field[1 + len] == ':' || field + 1 + len == end);
}

char *plan_accounts_line(const char *text, unsigned id)
{
    auto_free char *number = mem_printf("%u", id);
    for (const char *line = text; line && *line;) {
        const char *end = strchrnul(line, '\n');
        if (has_id(line, end, number))
            return mem_strndup(line, (size_t)(end - line));
        line = *end ? end + 1 : end;
    }
    return NULL;
}

bool plan_accounts_have(const char *text, const char *name, unsigned id)
{
    auto_free char *number = mem_printf("%u", id);
    size_t name_len = name ? strlen(name) : 0;
    for (const char *line = text; line && *line;) {
        const char *end = strchrnul(line, '\n');
        if (name && strncmp(line, name, name_len) == 0 && line[name_len] == ':')
            return true;
        if (has_id(line, end, number))
            return true;
        line = *end ? end + 1 : end;
    }
    return false;
}
