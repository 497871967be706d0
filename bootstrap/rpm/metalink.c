/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/repo.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/mem.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/rpm/xml.h"

/* Metalink 3.0 as Fedora's MirrorManager writes it: one <file name="repomd.xml"> with <hash>es,
 * <url preference=…>s, and <alternates> that are older versions still found on mirrors. */

#define REPOMD "repodata/repomd.xml"

enum {
    MAX_MIRRORS = 200,
    MAX_SUMS = 64, /* repomd.xml is compared with each */
};

struct mirror {
    char *url;
    long preference;
};

struct metalink {
    struct strv *sums;
    struct mirror mirrors[MAX_MIRRORS];
    size_t n;
    bool wanted; /* inside <file name="repomd.xml"> */
    bool hash_known;
    char hash_type[16];
    long preference;
};

static void on_start(void *ctx, const char *name, const char *const *atts)
{
    struct metalink *m = ctx;
    const char *value;
    if (str_eq(name, "file"))
        m->wanted = str_eq(xml_att(atts, "name"), "repomd.xml");
    else if (str_eq(name, "hash")) {
        value = xml_att(atts, "type");
        m->hash_known = value && strlen(value) < sizeof m->hash_type;
        memset(m->hash_type, 0, sizeof m->hash_type);
        if (m->hash_known)
            memcpy(m->hash_type, value, strlen(value));
    } else if (str_eq(name, "url")) {
        value = xml_att(atts, "preference");
        m->preference = value ? strtol(value, NULL, 10) : 0;
    }
}

static void on_end(void *ctx, const char *name, const char *text)
{
    struct metalink *m = ctx;
    if (!m->wanted)
        return;
    if (str_eq(name, "hash") && m->hash_known) {
        int algo = store_algo(m->hash_type);
        /* md5 and sha1 stand beside the better ones and are passed over */
        if (algo >= 0 && str_starts(m->hash_type, "sha") && strlen(m->hash_type) == 6 &&
            store_hex_ok(algo, text) && m->sums->n < MAX_SUMS)
            strv_addf(m->sums, "%s:%s", m->hash_type, text);
    } else if (str_eq(name, "url") && m->n < MAX_MIRRORS && str_ends(text, "/" REPOMD) &&
               (str_starts(text, "http://") || str_starts(text, "https://") ||
                str_starts(text, "file://"))) {
        m->mirrors[m->n++] =
            (struct mirror){ mem_strndup(text, strlen(text) - strlen(REPOMD)), m->preference };
    }
}

static int by_preference(const void *a, const void *b)
{
    const struct mirror *x = a, *y = b;
    return x->preference < y->preference ? 1 : x->preference > y->preference ? -1 : 0;
}

int yum_metalink_parse(const struct str *text, struct strv *mirrors, struct strv *sums,
                       struct err *e)
{
    auto_free struct metalink *m = mem_zero(1, sizeof *m);
    m->sums = sums;
    int rc = xml_read(text, "metalink",
                      &(struct xml_reader){ .start = on_start, .end = on_end, .ctx = m }, e);
    qsort(m->mirrors, m->n, sizeof m->mirrors[0], by_preference);
    for (size_t i = 0; i < m->n; i++)
        strv_take(mirrors, m->mirrors[i].url);
    if (rc == 0 && !m->n)
        return err_set(e, ERR_INPUT, "the metalink names no http, https or file mirror");
    if (rc == 0 && !sums->n)
        return err_set(e, ERR_INPUT, "the metalink gives no SHA-2 checksum of repomd.xml");
    return rc;
}

void yum_mirrorlist_parse(const struct str *text, struct strv *mirrors)
{
    auto_strv struct strv lines = { 0 };
    strv_split(&lines, str_text(text), "\r\n");
    for (size_t i = 0; i < lines.n && mirrors->n < MAX_MIRRORS; i++) {
        const char *line = lines.v[i];
        while (isspace((unsigned char)*line))
            line++;
        if (str_starts(line, "http://") || str_starts(line, "https://") ||
            str_starts(line, "file:///"))
            strv_take(mirrors, mem_strndup(line, strcspn(line, " \t#")));
    }
}
