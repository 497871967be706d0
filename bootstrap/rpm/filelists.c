/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/md.h"

#include <stdlib.h>

#include "base/mem.h"

/* filelists.xml holds millions of paths of which a solve needs a handful: reading it as text for
 * just these is some twenty times faster than loading it into libsolv, and takes no memory. The
 * file's checksum held, so its shape is createrepo's: no comments, CDATA or own entities. */

enum { WINDOW = 1 << 20, MAX_TAG = 1 << 16 };

struct scan {
    const struct yum_paths *p;
    char pkgid[132];
};

static int compare_paths(const void *key, const void *item)
{
    return strcmp(key, *(const char *const *)item);
}

/* In place: the five entities XML has of its own. */
static void unescape(char *s)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {
        { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&apos;", '\'' }
    };
    char *out = s;
    while (*s) {
        size_t skip = 0;
        for (size_t i = 0; *s == '&' && i < ARRAY_LEN(entities) && !skip; i++) {
            if (str_starts(s, entities[i].name)) {
                *out++ = entities[i].c;
                skip = strlen(entities[i].name);
            }
        }
        if (!skip)
            *out++ = *s;
        s += skip ? skip : 1;
    }
    *out = 0;
}

static void take_file(struct scan *s, const char *text, size_t len)
{
    char path[4096];
    if (len >= sizeof path)
        return;
    memcpy(path, text, len);
    path[len] = 0;
    if (memchr(path, '&', len))
        unescape(path);
    const char *const *hit =
        bsearch(path, s->p->paths, s->p->n, sizeof s->p->paths[0], compare_paths);
    if (hit)
        s->p->found(s->p->ctx, s->pkgid, (size_t)(hit - s->p->paths));
}

static void take_package(struct scan *s, const char *tag, size_t len)
{
    auto_free char *text = mem_strndup(tag, len);
    const char *id = strstr(text, "pkgid=\"");
    size_t n = id ? strcspn(id + 7, "\"") : 0;
    s->pkgid[0] = 0;
    if (n && n < sizeof s->pkgid) {
        memcpy(s->pkgid, id + 7, n);
        s->pkgid[n] = 0;
    }
}

/* Handle the tag at BUF[AT] ('<'); returns where to go on,
 * or SIZE_MAX when more bytes are needed. */
static size_t take_tag(struct scan *s, const char *buf, size_t at, size_t len)
{
    const char *end = memchr(buf + at, '>', len - at);
    if (!end)
        return SIZE_MAX;
    size_t after = (size_t)(end - buf) + 1;
    const char *tag = buf + at;
    size_t tag_len = after - at;
    if (tag_len > 9 && memcmp(tag, "<package ", 9) == 0) {
        take_package(s, tag, tag_len);
    } else if (tag_len > 5 && memcmp(tag, "<file", 5) == 0 && (tag[5] == '>' || tag[5] == ' ')) {
        const char *close = memchr(buf + after, '<', len - after);
        if (!close)
            return SIZE_MAX;
        take_file(s, buf + after, (size_t)(close - buf) - after);
        return (size_t)(close - buf);
    }
    return after;
}

int yum_filelists_scan(FILE *stream, const struct yum_paths *p, struct err *e)
{
    struct scan s = { .p = p };
    auto_free char *buf = mem_alloc(WINDOW);
    size_t len = 0, n;
    while ((n = fread(buf + len, 1, WINDOW - len, stream)) > 0) {
        len += n;
        size_t at = 0, next;
        const char *open;
        while ((open = memchr(buf + at, '<', len - at))) {
            at = (size_t)(open - buf);
            next = take_tag(&s, buf, at, len);
            if (next == SIZE_MAX)
                break;
            at = next;
        }
        if (!open)
            at = len;
        len -= at;
        memmove(buf, buf + at, len);
        if (len > MAX_TAG)
            return err_set(e, ERR_INPUT, "filelists.xml has a tag of more than %d bytes", MAX_TAG);
    }
    return ferror(stream) ? err_set(e, ERR_INPUT, "filelists.xml cannot be unpacked") : 0;
}
