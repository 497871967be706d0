/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_STR_H
#define BASE_STR_H

/* Strings: a growing buffer, tests, strict numbers and sizes, nearest name. */

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

/* A growing byte buffer; data is NUL-terminated once anything was added, and may hold NULs. {0} is
 * empty. */
struct str {
    char *data;
    size_t len;
    size_t cap;
};

void str_add(struct str *s, const char *text);
void str_add_n(struct str *s, const void *data, size_t len);
void str_add_c(struct str *s, char c);
void str_addf(struct str *s, const char *fmt, ...) PRINTF(2, 3);
void str_reset(struct str *s);             /* length 0, memory kept */
void str_free(struct str *s);              /* back to {0} */
MUST_CHECK char *str_steal(struct str *s); /* the text, never NULL; S becomes {0} */
static inline const char *str_text(const struct str *s)
{
    return s->data ? s->data : "";
}
static inline void cleanup_str(struct str *s)
{
    str_free(s);
}
#define auto_str cleanup_with(cleanup_str)

static inline bool str_eq(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
void str_lower(char *s); /* ASCII, in place */

/* Strict decimal: digits only, the whole string, at most MAX. Refuses "", " 1", "+1", "-1", "0x1",
 * "1a". */
MUST_CHECK int str_parse_u64(const char *s, uint64_t max, uint64_t *out);

/* The forms that every size option accepts, for messages and help. */
#define STR_SIZE_FORMS "'512' (MiB), '512MiB', '32G', '1.5T'"

/* Parse a size as users type it: a bare number is MiB (as in Singularity 2.x); K, M, G, T, P with
 * an optional "iB" or "B" are powers of 1024, any case; a decimal fraction needs a unit above
 * bytes; "B" alone is bytes. Refuses 0, signs, blanks, junk, and anything above 2^62.
 *
 * ERR_INPUT with the accepted forms as hint. */
MUST_CHECK int str_parse_size(const char *s, uint64_t *size_bytes, struct err *e);

/* "3.4 GiB", "12 KiB", "17 B": for people, not for scripts. Caller frees. */
MUST_CHECK char *str_human_size(uint64_t size_bytes);

/* The name in NAMES (NULL-terminated) that WORD is most likely a misspelling of, or NULL. Optimal
 * string alignment distance ≤ 2 (≤ 1 below four letters), else the longest that is a prefix of the
 * other. */
const char *str_nearest(const char *word, const char *const names[]);

/* The character that TEXT begins with: its bytes (1 to 4; 1 for the NUL at the end), its number in
 * CODE. 0: no UTF-8 (over-long forms and surrogates are none). */
MUST_CHECK size_t str_utf8(const char *text, uint32_t *code);

/* Whether a terminal just shows this character: no control (C0, DEL, C1), none that turns the order
 * of what stands around it. */
bool str_code_harmless(uint32_t code);

/* TEXT with everything that is not harmless or not UTF-8 shown as \xHH, byte by byte: the form in
 * which other people's text reaches a terminal. Tabs and newlines are kept; str_printable_line
 * shows these too, for names, which must not forge a line. Caller frees. */
MUST_CHECK char *str_printable(const char *text);
MUST_CHECK char *str_printable_line(const char *text);

/* 'it'\''s': one word for a POSIX shell. Caller frees. */
MUST_CHECK char *str_shell_quote(const char *s);

/* TEXT without the "user:password@" of any address scheme://user:password@host in it. Caller frees.
 */
MUST_CHECK char *str_without_passwords(const char *text);

#endif
