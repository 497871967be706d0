/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mem.h"
#include "deffile/reader.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool slice_is_blank(struct slice s)
{
    return slice_trim(s).n == 0;
}

struct slice slice_trim(struct slice s)
{
    while (s.n && is_blank(s.p[0]))
        s = slice_from(s, 1);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct slice slice_from(struct slice s, size_t start)
{
    return (struct slice){ s.p + start, s.n - start };
}

bool slice_has_prefix(struct slice s, const char *text)
{
    size_t n = strlen(text);
    return s.n >= n && memcmp(s.p, text, n) == 0;
}

struct slice slice_cut_comment(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '#' && (i == 0 || is_blank(s.p[i - 1]))) {
            s.n = i;
            break;
        }
    }
    return slice_trim(s);
}

char *slice_dup(struct slice s)
{
    return mem_strndup(s.p, s.n);
}

size_t utf8_length(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool over_long = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] >= 0xa0;
    bool too_large = p[0] == 0xf4 && p[1] >= 0x90;
    return over_long || surrogate || too_large ? 0 : len;
}

size_t utf8_invalid(struct slice s)
{
    size_t i = 0;
    while (i < s.n) {
        size_t len = utf8_length(s.p + i, s.n - i);
        if (!len)
            return i;
        i += len;
    }
    return s.n;
}

size_t space_length(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80)
        return p[0] == ' ' || (p[0] >= 9 && p[0] <= 13) || (p[0] >= 0x1c && p[0] <= 0x1f);
    size_t len = utf8_length(text, n);
    if (len == 2)
        return p[0] == 0xc2 && (p[1] == 0x85 || p[1] == 0xa0) ? 2 : 0;
    if (len != 3)
        return 0;
    unsigned c = (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    bool space = c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
                 c == 0x202f || c == 0x205f || c == 0x3000;
    return space ? 3 : 0;
}

void strv_split_spaces(struct strv *out, const char *text)
{
    size_t n = strlen(text), start = 0, i = 0;
    while (i < n) {
        size_t space = space_length(text + i, n - i);
        if (space && i > start)
            strv_take(out, mem_strndup(text + start, i - start));
        if (space)
            start = i + space;
        size_t len = utf8_length(text + i, n - i);
        i += len ? len : 1;
    }
    if (n > start)
        strv_take(out, mem_strndup(text + start, n - start));
}

char *text_escape(const char *text)
{
    struct str out = { 0 };
    size_t n = strlen(text), i = 0;
    if (utf8_invalid((struct slice){ text, n }) == n)
        return mem_strdup(text);
    while (i < n) {
        size_t len = utf8_length(text + i, n - i);
        if (len)
            str_add_n(&out, text + i, len);
        else
            str_addf(&out, "\\x%02x", (unsigned char)text[i]);
        i += len ? len : 1;
    }
    return str_steal(&out);
}

char *text_quote(const char *text)
{
    enum { MAX = 60 };
    size_t n = strlen(text), i = 0;
    if (n <= MAX)
        return text_escape(text);
    while (i < MAX) {
        size_t len = utf8_length(text + i, n - i);
        i += len ? len : 1;
    }
    auto_free char *head = mem_strndup(text, i);
    auto_free char *safe = text_escape(head);
    return mem_printf("%s...", safe);
}
