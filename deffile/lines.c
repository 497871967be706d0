/* SPDX-License-Identifier: BSD-3-Clause */
#include "deffile/reader.h"

/* Take the next line off REST, without its line end. */
bool slice_next_line(struct slice *rest, struct slice *line)
{
    if (rest->n == 0)
        return false;
    const char *end = memchr(rest->p, '\n', rest->n);
    size_t n = end ? (size_t)(end - rest->p) : rest->n;
    *line = (struct slice){ rest->p, n };
    *rest = slice_from(*rest, end ? n + 1 : n);
    return true;
}

bool slice_next_file_line(struct slice *rest, struct slice *line)
{
    if (!slice_next_line(rest, line))
        return false;
    if (line->n && line->p[line->n - 1] == '\r')
        line->n--;
    return true;
}

static bool refuse_nul(struct reader *r, struct slice text)
{
    const char *nul = memchr(text.p, 0, text.n);
    if (!nul)
        return false;
    struct place at = { 1, 1 };
    const char *start = text.p;
    for (const char *p = text.p; p < nul; p++) {
        if (*p == '\n') {
            at.line++;
            start = p + 1;
        }
    }
    at.column = (unsigned)(nul - start) + 1;
    say(r, DIAG_ERROR("nul-byte", at), "give the definition, not an image or an archive",
        "a zero byte: this is no text file");
    return true;
}

/* Told once each: line ends of Windows, bytes that are not UTF-8. */
static void warn_bytes(struct reader *r, struct slice rest)
{
    bool crlf = false, invalid = false;
    struct slice line;
    for (unsigned n = 1; !(crlf && invalid) && slice_next_file_line(&rest, &line); n++) {
        /* rest starts behind the LF, so a CR before it was cut when more than LF was taken */
        bool cut = line.p + line.n < rest.p && line.p[line.n] == '\r';
        if (cut && !crlf) {
            crlf = true;
            struct place at = { n, (unsigned)line.n + 1 };
            say(r, DIAG_WARNING("crlf", at), NULL, "line ends of Windows (CR LF) are read as LF");
        }
        size_t bad = invalid ? line.n : utf8_invalid(line);
        if (bad < line.n) {
            invalid = true;
            struct place at = { n, (unsigned)bad + 1 };
            say(r, DIAG_WARNING("not-utf8", at), NULL,
                "bytes that are not UTF-8 are kept as they are");
        }
    }
}

bool reader_check_bytes(struct reader *r, struct slice *text)
{
    const struct place top = { 1, 1 };
    if (slice_has_prefix(*text, "\xff\xfe") || slice_has_prefix(*text, "\xfe\xff")) {
        say(r, DIAG_ERROR("utf16", top), "save it as UTF-8", "the file is UTF-16, not plain text");
        return false;
    }
    if (slice_has_prefix(*text, "\xef\xbb\xbf")) {
        say(r, DIAG_WARNING("bom", top), NULL, "the byte order mark is skipped");
        *text = slice_from(*text, 3);
    }
    if (refuse_nul(r, *text))
        return false;
    warn_bytes(r, *text);
    return true;
}
