/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/repo.h"

#include <rpm/rpmpgp.h>
#include <strings.h>
#include <unistd.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/rpm/xml.h"
#include "bootstrap/value.h"

enum {
    REPOMD_MAX_BYTES = 4 << 20,
    ASC_MAX_BYTES = 1 << 16,
    MIRRORS_MAX_BYTES = 4 << 20,
    MAX_MIRRORS_TRIED = 6,
    MAX_MD = 100,
};
#define MD_MAX_BYTES (1ull << 30)

/* ── repomd.xml ─────────────────────────────────────────────────────────────────────────────────*/

struct repomd {
    struct yum_repo *out;
    struct yum_md now; /* the <data> being read */
    char *sum_type;
    const char *fault; /* static */
};

static void md_free(struct yum_md *m)
{
    free(m->type);
    free(m->path);
    free(m->hex);
    *m = (struct yum_md){ 0 };
}

static void set(char **at, const char *value)
{
    free(*at);
    *at = mem_strdup(value);
}

static void on_start(void *ctx, const char *name, const char *const *atts)
{
    struct repomd *r = ctx;
    if (str_eq(name, "data")) {
        md_free(&r->now);
        set(&r->now.type, xml_att(atts, "type"));
    } else if (str_eq(name, "location")) {
        set(&r->now.path, xml_att(atts, "href"));
        if (xml_att(atts, "base"))
            r->fault = "a file of it lies in another place (xml:base)";
    } else if (str_eq(name, "checksum")) {
        set(&r->sum_type, xml_att(atts, "type"));
    }
}

static bool wanted(const char *type)
{
    static const char *const types[] = { "primary", "filelists", "modules", "group", "group_gz" };
    for (size_t i = 0; type && i < ARRAY_LEN(types); i++)
        if (str_eq(type, types[i]))
            return true;
    return false;
}

static const char *fault_of(const struct yum_md *m)
{
    if (!m->path || !url_path_safe(m->path))
        return "the location of a file leads out of the repository";
    if (!m->hex || m->algo < 0 || !store_hex_ok(m->algo, m->hex))
        return "a file has no checksum, or one too weak (md5)";
    if (m->size_bytes > MD_MAX_BYTES)
        return "a file is larger than 1 GiB";
    return NULL;
}

static void end_data(struct repomd *r)
{
    if (!wanted(r->now.type) || r->out->n_md >= MAX_MD)
        return;
    const char *fault = fault_of(&r->now);
    r->fault = r->fault ? r->fault : fault;
    r->out->md = mem_grow(r->out->md, r->out->n_md, sizeof *r->out->md);
    r->out->md[r->out->n_md++] = r->now;
    r->now = (struct yum_md){ 0 };
}

static void on_end(void *ctx, const char *name, const char *text)
{
    struct repomd *r = ctx;
    if (str_eq(name, "data")) {
        end_data(r);
    } else if (str_eq(name, "checksum")) {
        r->now.algo = r->sum_type ? store_algo(r->sum_type) : -1;
        set(&r->now.hex, text);
    } else if (str_eq(name, "size")) {
        if (str_parse_u64(text, INT64_MAX, &r->now.size_bytes) < 0)
            r->fault = "a size in it is no number";
    } else if (str_eq(name, "open-size")) {
        if (str_parse_u64(text, INT64_MAX, &r->now.open_size_bytes) < 0)
            r->fault = "a size in it is no number";
    } else if (str_eq(name, "revision")) {
        set(&r->out->revision, text);
    }
}

int yum_repomd_parse(const struct str *text, const char *name, struct yum_repo *out, struct err *e)
{
    struct repomd r = { .out = out };
    int rc = xml_read(text, "repomd",
                      &(struct xml_reader){ .start = on_start, .end = on_end, .ctx = &r }, e);
    md_free(&r.now);
    free(r.sum_type);
    if (rc < 0)
        return err_wrap(e, "'%s'", name);
    if (r.fault)
        return err_set(e, ERR_INPUT, "'%s' is refused: %s", name, r.fault);
    if (!yum_repo_md(out, "primary"))
        return err_set(e, ERR_INPUT, "'%s' names no 'primary' metadata", name);
    return 0;
}

const struct yum_md *yum_repo_md(const struct yum_repo *r, const char *type)
{
    for (size_t i = 0; i < r->n_md; i++)
        if (str_eq(r->md[i].type, type))
            return &r->md[i];
    return NULL;
}

static void contents_reset(struct yum_repo *r)
{
    for (size_t i = 0; i < r->n_md; i++)
        md_free(&r->md[i]);
    free(r->md);
    free(r->sum);
    free(r->revision);
    free(r->signer);
    r->md = NULL;
    r->n_md = 0;
    r->sum = r->revision = r->signer = NULL;
}

void yum_repo_close(struct yum_repo *r)
{
    contents_reset(r);
    strv_free(&r->mirrors);
    strv_free(&r->sums);
}

/* ── mirrors ────────────────────────────────────────────────────────────────────────────────────*/

/* Files of this host are for a list that is one: who answers on the network must not choose what is
 * read here. */
bool yum_mirror_allowed(const char *list_url, const char *mirror)
{
    bool local = strncasecmp(list_url, "file:", 5) == 0;
    return strncasecmp(mirror, "file:", 5) != 0 || local || !defence("mirror-files");
}

static int find_mirrors(const struct yum_opening *o, struct yum_repo *r, struct err *e)
{
    const char *url = r->source->url;
    if (r->source->kind == YUM_SOURCE_URL) {
        strv_add(&r->mirrors, url);
        return 0;
    }
    auto_str struct str text = { 0 };
    auto_free char *shown = value_url_public(url);
    if (fetch_text(o->fetch, url, MIRRORS_MAX_BYTES, &text, NULL, e) < 0)
        return err_wrap(e, "list of mirrors");
    auto_strv struct strv found = { 0 };
    if (r->source->kind == YUM_SOURCE_METALINK) {
        if (yum_metalink_parse(&text, &found, &r->sums, e) < 0)
            return err_wrap(e, "'%s'", shown);
        r->by_metalink = str_starts(url, "https://");
    } else {
        yum_mirrorlist_parse(&text, &found);
    }
    for (size_t i = 0; i < found.n; i++) {
        char *expanded = yum_spec_expand(o->spec, found.v[i], NULL);
        if (expanded && yum_mirror_allowed(url, expanded))
            strv_take(&r->mirrors, expanded);
        else
            free(expanded);
    }
    if (r->mirrors.n)
        return 0;
    err_set(e, ERR_FAILED, "'%s' names no mirror", shown);
    return err_hint(e, "it answered: %.80s", str_text(&text));
}

/* ── authenticity ───────────────────────────────────────────────────────────────────────────────*/

static bool sum_is(const struct str *text, const char *sum)
{
    const char *colon = strchr(sum, ':');
    auto_free char *type = mem_strndup(sum, (size_t)(colon - sum));
    struct store_sum s = { 0 };
    if (store_sum_start(&s, store_algo(type), NULL) < 0)
        return false;
    store_sum_add(&s, str_text(text), text->len);
    return store_sum_is(&s, colon + 1);
}

static int check_sums(const struct str *repomd, const struct strv *sums, const char *name,
                      struct err *e)
{
    for (size_t i = 0; i < sums->n; i++)
        if (sum_is(repomd, sums->v[i]))
            return 0;
    return sums->n
               ? err_set(e, ERR_FAILED, "'%s' is not the version that the metalink announces", name)
               : 0;
}

static char *sha256_text(const struct str *text)
{
    DIGEST_CTX ctx = rpmDigestInit(PGPHASHALGO_SHA256, RPMDIGEST_NONE);
    char *hex = NULL;
    size_t len = 0;
    rpmDigestUpdate(ctx, str_text(text), text->len);
    rpmDigestFinal(ctx, (void **)&hex, &len, 1);
    return hex;
}

/* What one mirror gave. */
struct answer {
    char *url;         /* of repomd.xml */
    char *name;        /* the same for messages */
    struct str repomd; /* its bytes */
    struct str asc;    /* of its signature */
    bool is_signed;
};

static void answer_free(struct answer *a)
{
    free(a->url);
    free(a->name);
    str_free(&a->repomd);
    str_free(&a->asc);
}

/* A login page or a proxy answers every address with a web page; nothing else begins like one. */
static int check_no_page(const struct answer *a, struct err *e)
{
    const char *start = str_text(&a->repomd);
    start += strspn(start, " \t\r\n");
    if (strncasecmp(start, "<html", 5) != 0 && strncasecmp(start, "<!doctype html", 14) != 0)
        return 0;
    err_set(e, ERR_FAILED, "'%s' is a web page, not a repository's repomd.xml", a->name);
    return err_hint(e, "a login page or a proxy answered: open the address in a browser");
}

/* Signed by a key we know; or unsigned, where something else vouches for it. */
static int check_authentic(const struct yum_opening *o, struct yum_repo *r, const struct answer *a,
                           struct err *e)
{
    if (!o->keys)
        return 0;
    if (a->is_signed)
        return keys_verify(o->keys, &a->repomd, &a->asc, a->name, &r->signer, e);
    if (r->by_metalink || str_starts(a->url, "https://") || !o->spec->repo_signed)
        return 0;
    err_set(e, ERR_FAILED, "'%s' is not signed (there is no repomd.xml.asc)", a->name);
    return err_hint(e,
                    "use an https:// mirror or a 'MetaLink:', or add 'SetOpt: repo_gpgcheck=0' to "
                    "trust the signatures of the packages alone");
}

static int read_fd(int fd, size_t max, struct str *out, struct err *e)
{
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_sys(e, "cannot read a file of the repository");
    return fs_read_fd(fd, max, out, e);
}

/* Fetch repomd.xml and its signature. */
static int ask_mirror(const struct yum_opening *o, const char *mirror, struct answer *a,
                      struct err *e)
{
    auto_strv struct strv one = { 0 };
    strv_add(&one, mirror);
    struct fetch_file files[] = {
        { .mirrors = &one, .path = "repodata/repomd.xml", .max_bytes = REPOMD_MAX_BYTES },
        { .mirrors = &one,
          .path = "repodata/repomd.xml.asc",
          .max_bytes = ASC_MAX_BYTES,
          .optional = true },
    };
    size_t n = o->keys ? 2 : 1;
    a->url = url_join(mirror, files[0].path);
    a->name = value_url_public(a->url);
    int rc = fetch_files(o->fetch, files, n, e);
    a->is_signed = n == 2 && files[1].fd >= 0;
    if (rc == 0)
        rc = read_fd(files[0].fd, REPOMD_MAX_BYTES, &a->repomd, e);
    if (rc == 0 && a->is_signed)
        rc = read_fd(files[1].fd, ASC_MAX_BYTES, &a->asc, e);
    fetch_files_close(files, n);
    return rc;
}

/* Fetch, check and read repomd.xml of one mirror. */
static int try_mirror(const struct yum_opening *o, struct yum_repo *r, const char *mirror,
                      struct err *e)
{
    cleanup_with(answer_free) struct answer a = { 0 };
    contents_reset(r);
    if (ask_mirror(o, mirror, &a, e) < 0 || check_no_page(&a, e) < 0 ||
        check_sums(&a.repomd, &r->sums, a.name, e) < 0 || check_authentic(o, r, &a, e) < 0 ||
        yum_repomd_parse(&a.repomd, a.name, r, e) < 0)
        return -1;
    r->sum = sha256_text(&a.repomd);
    return 0;
}

static void to_front(struct strv *s, size_t i)
{
    char *first = s->v[i];
    memmove(s->v + 1, s->v, i * sizeof *s->v);
    s->v[0] = first;
}

static int open_any(const struct yum_opening *o, struct yum_repo *r, struct err *e)
{
    size_t most = r->mirrors.n < MAX_MIRRORS_TRIED ? r->mirrors.n : MAX_MIRRORS_TRIED;
    for (size_t i = 0; i < most; i++) {
        if (try_mirror(o, r, r->mirrors.v[i], e) == 0) {
            to_front(&r->mirrors, i);
            return 0;
        }
        if (i + 1 < most && e)
            log_verbose("%s; trying another mirror", e->msg);
    }
    return most > 1 ? err_wrap(e, "none of %zu mirrors will do", most) : -1;
}

int yum_repo_open(const struct yum_opening *o, const struct yum_source *source,
                  struct yum_repo *out, struct err *e)
{
    auto_err struct err why = { 0 };
    struct yum_repo r = { .source = source };
    if (find_mirrors(o, &r, &why) < 0 || open_any(o, &r, &why) < 0) {
        yum_repo_close(&r);
        err_wrap(&why, "repository '%s'", source->id);
        return err_move(e, &why);
    }
    *out = r;
    return 0;
}
