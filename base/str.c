/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/str.h"

#include <ctype.h>

#include "base/defence.h"
#include "base/mem.h"

static void reserve(struct str *s, size_t more)
{
    size_t need = s->len + more + 1;
    if (need <= s->cap)
        return;
    size_t cap = s->cap ? s->cap : 64;
    while (cap < need)
        cap *= 2;
    s->data = mem_resize(s->data, cap, 1);
    s->cap = cap;
}

void str_add_n(struct str *s, const void *data, size_t len)
{
    reserve(s, len);
    if (len)
        memcpy(s->data + s->len, data, len);
    s->len += len;
    s->data[s->len] = 0;
}

void str_add(struct str *s, const char *text)
{
    str_add_n(s, text, strlen(text));
}

void str_add_c(struct str *s, char c)
{
    str_add_n(s, &c, 1);
}

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *text = mem_vprintf(fmt, ap);
    va_end(ap);
    str_add(s, text);
}

void str_reset(struct str *s)
{
    s->len = 0;
    if (s->data)
        s->data[0] = 0;
}

void str_free(struct str *s)
{
    free(s->data);
    *s = (struct str){ 0 };
}

char *str_steal(struct str *s)
{
    char *out = s->data ? s->data : mem_strdup("");
    *s = (struct str){ 0 };
    return out;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

void str_lower(char *s)
{
    for (; *s; s++)
        *s = (char)tolower((unsigned char)*s);
}

int str_parse_u64(const char *s, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    if (!s || !*s)
        return -1;
    if (!defence("numbers")) {
        *out = strtoull(s, NULL, 0);
        return 0;
    }
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return -1;
        unsigned d = (unsigned)(*s - '0');
        if (n > (max - d) / 10)
            return -1;
        n = n * 10 + d;
    }
    *out = n;
    return 0;
}

/* Power of 1024 that the unit stands for, or -1. */
static int unit_power(const char *u)
{
    static const char units[] = "KMGTP";
    if (!*u)
        return 2; /* bare number: MiB, as Singularity 2.x */
    if (strcasecmp(u, "B") == 0)
        return 0;
    const char *at = strchr(units, toupper((unsigned char)*u));
    if (!at)
        return -1;
    if (u[1] && strcasecmp(u + 1, "B") != 0 && strcasecmp(u + 1, "iB") != 0)
        return -1;
    return (int)(at - units) + 1;
}

static int bad_size(struct err *e, const char *s)
{
    err_set(e, ERR_INPUT, "'%s' is not a size", s);
    return err_hint(e, "write a size above zero like %s", STR_SIZE_FORMS);
}

int str_parse_size(const char *s, uint64_t *size_bytes, struct err *e)
{
    size_t n_int = strspn(s, "0123456789");
    const char *p = s + n_int;
    size_t n_frac = 0;
    if (*p == '.') {
        n_frac = strspn(p + 1, "0123456789");
        p += 1 + n_frac;
        if (n_frac == 0 || !*p)
            return bad_size(e, s);
    }
    int power = unit_power(p);
    if (n_int == 0 || n_int > 15 || n_frac > 6 || power < 0 || (n_frac && power == 0))
        return bad_size(e, s);

    unsigned __int128 value = 0, scale = 1;
    for (const char *d = s; d < p; d++) {
        if (*d == '.')
            continue;
        value = value * 10 + (unsigned)(*d - '0');
        if (d > s + n_int)
            scale *= 10;
    }
    value = (value << (10 * power)) / scale;
    if (value == 0 || value > ((unsigned __int128)1 << 62))
        return bad_size(e, s);
    *size_bytes = (uint64_t)value;
    return 0;
}

char *str_human_size(uint64_t size_bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double v = (double)size_bytes;
    size_t u = 0;
    while (v >= 1024 && u + 1 < ARRAY_LEN(units)) {
        v /= 1024;
        u++;
    }
    bool whole = u == 0 || v >= 100 || v == (double)(uint64_t)v;
    return mem_printf("%.*f %s", whole ? 0 : 1, v, units[u]);
}

static size_t distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    size_t n = strlen(a), m = strlen(b);
    if (n >= MAX || m >= MAX)
        return MAX;
    size_t d[MAX][MAX];
    for (size_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[n][m];
}

const char *str_nearest(const char *word, const char *const names[])
{
    const char *best = NULL;
    size_t best_d = 0;
    for (size_t i = 0; names[i]; i++) {
        size_t d = distance(word, names[i]);
        if (!best || d < best_d || (d == best_d && strcmp(names[i], best) < 0)) {
            best = names[i];
            best_d = d;
        }
    }
    if (best && best_d <= (strlen(word) < 4 ? 1u : 2u))
        return best;
    best = NULL;
    for (size_t i = 0; names[i] && strlen(word) >= 3; i++) {
        bool prefix = str_starts(word, names[i]) || str_starts(names[i], word);
        if (prefix && (!best || strlen(names[i]) > strlen(best)))
            best = names[i];
    }
    return best;
}

size_t str_utf8(const char *text, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 }; /* by length: no over-long */
    const unsigned char *p = (const unsigned char *)text;
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);
    if (p[0] > 0xf4 || (p[0] >= 0x80 && p[0] < 0xc0))
        return 0;
    for (size_t i = 1; i < n; i++) { /* the NUL at the end is no continuation either */
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *code = c;
    return n;
}

bool str_code_harmless(uint32_t c)
{
    bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
    bool order = (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069); /* bidi overrides */
    return !control && !order;
}

#define EVERY_CONTROL "\n\t\r\a\b\033\177" /* of the hostile texts in the tests */

static char *printable(const char *text, const char *kept)
{
    struct str out = { 0 };
    while (*text) {
        uint32_t code;
        size_t n = str_utf8(text, &code);
        bool as_is = n && (str_code_harmless(code) || (code < 0x80 && strchr(kept, (int)code)));
        n = n ? n : 1;
        if (as_is)
            str_add_n(&out, text, n);
        for (size_t i = 0; !as_is && i < n; i++)
            str_addf(&out, "\\x%02x", (unsigned char)text[i]);
        text += n;
    }
    return str_steal(&out);
}

char *str_printable(const char *text)
{
    return printable(text, defence("printable") ? "\n\t" : EVERY_CONTROL);
}

char *str_printable_line(const char *text)
{
    return printable(text, defence("printable") ? "" : EVERY_CONTROL);
}

char *str_shell_quote(const char *s)
{
    struct str out = { 0 };
    str_add_c(&out, '\'');
    for (; *s; s++) {
        if (*s == '\'')
            str_add(&out, "'\\''");
        else
            str_add_c(&out, *s);
    }
    str_add_c(&out, '\'');
    return str_steal(&out);
}

char *str_without_passwords(const char *text)
{
    auto_str struct str out = { 0 };
    const char *from = text;
    str_add(&out, "");
    for (const char *p = text; (p = strstr(p, "://"));) {
        p += 3;
        const char *at = memrchr(p, '@', strcspn(p, "/?# \t\r\n\"'"));
        if (!at)
            continue;
        str_add_n(&out, from, (size_t)(p - from));
        from = p = at + 1;
    }
    str_add(&out, from);
    return str_steal(&out);
}
