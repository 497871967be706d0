/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/spec.h"

#include <ctype.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "bootstrap/fetch/fetch.h"

enum { PRIORITY_DEFAULT = 99 };

/* The headers being read, for messages. */
struct reading {
    const struct agent_input *in;
    struct yum_spec *spec;
};

static const struct deffile_header *header(const struct reading *r, const char *key)
{
    const struct deffile_header *h = deffile_header_find(r->in->stage, key);
    return h && h->value[0] ? h : NULL;
}

static const char *base_arch(const char *arch)
{
    if (arch[0] == 'i' && strlen(arch) == 4 && str_ends(arch, "86"))
        return "i386";
    return arch;
}

/* The text that variable NAME (LEN bytes, without $ and braces) stands for; NULL: no variable. */
static const char *variable(const struct yum_spec *s, const char *name, size_t len)
{
    const struct {
        const char *name, *value;
    } vars[] = {
        { "releasever", s->releasever ? s->releasever : "" },
        { "basearch", s->basearch },
        { "arch", s->arch },
        { "infra", "container" },
    };
    for (size_t i = 0; i < ARRAY_LEN(vars); i++)
        if (strlen(vars[i].name) == len && strncmp(vars[i].name, name, len) == 0)
            return vars[i].value;
    return NULL;
}

/* Expand the variable at *AT, moving behind it; false: there is none. */
static bool expand_one(const struct yum_spec *s, const char **at, struct str *out,
                       const char **missing)
{
    static const char *const versions[] = { "%{OSVERSION}", "%OSVERSION" };
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        size_t len = strlen(versions[i]);
        if (strncasecmp(*at, versions[i], len) == 0) {
            *missing = s->releasever ? *missing : versions[i];
            str_add(out, s->releasever ? s->releasever : "");
            *at += len;
            return true;
        }
    }
    if (**at != '$')
        return false;
    bool brace = (*at)[1] == '{';
    const char *name = *at + 1 + brace;
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz");
    const char *value = brace && name[len] != '}' ? NULL : variable(s, name, len);
    if (!value)
        return false;
    if (!s->releasever && str_starts(name, "releasever"))
        *missing = "$releasever";
    str_add(out, value);
    *at = name + len + brace;
    return true;
}

char *yum_spec_expand(const struct yum_spec *s, const char *text, const char **missing)
{
    auto_str struct str out = { 0 };
    const char *lacks = NULL;
    for (const char *p = text; *p;)
        if (!expand_one(s, &p, &out, &lacks))
            str_add_c(&out, *p++);
    if (missing)
        *missing = lacks;
    return lacks ? NULL : str_steal(&out);
}

static int check_url(const struct reading *r, const struct deffile_header *h, const char *url,
                     struct err *e)
{
    bool known =
        str_starts(url, "http://") || str_starts(url, "https://") || str_starts(url, "file:///");
    bool clean = true;
    for (const char *p = url; *p; p++)
        clean = clean && (unsigned char)*p > 0x20 && *p != 0x7f && !strchr("\"'`\\<>{}|^", *p);
    if (known && clean)
        return 0;
    auto_free char *shown = str_printable(url);
    err_at(e, r->in->def->name, h->line, "'%s' is not an address of a repository", shown);
    return err_hint(e, "for example https://mirror.example.org/%%{OSVERSION}/os/$basearch/ or "
                       "file:///srv/repo");
}

static int add_source(struct reading *r, const struct deffile_header *h, const char *id,
                      enum yum_source_kind kind, struct err *e)
{
    struct yum_spec *s = r->spec;
    const char *missing = NULL;
    auto_free char *url = yum_spec_expand(s, h->value, &missing);
    if (!url) {
        err_at(e, r->in->def->name, h->line, "'%s' needs the release, and none is named", missing);
        return err_hint(e, "add, for example, 'OSVersion: 9'");
    }
    if (check_url(r, h, url, e) < 0)
        return -1;
    s->sources = mem_grow(s->sources, s->n_sources, sizeof *s->sources);
    s->sources[s->n_sources++] = (struct yum_source){
        .id = mem_strdup(id),
        .url = steal_ptr(url),
        .kind = kind,
        .priority = PRIORITY_DEFAULT,
        .line = h->line,
    };
    return 0;
}

static int read_sources(struct reading *r, const struct yum_family *family, struct err *e)
{
    const struct {
        const char *key, *id;
        enum yum_source_kind kind;
    } plain[] = {
        { "mirrorurl", family->base_id, YUM_SOURCE_URL },
        { "mirrorlist", "mirrorlist", YUM_SOURCE_MIRRORLIST },
        { "metalink", "metalink", YUM_SOURCE_METALINK },
        { "updateurl", "updates", YUM_SOURCE_URL },
        { "updatemetalink", "updates-metalink", YUM_SOURCE_METALINK },
    };
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        const struct deffile_header *h = header(r, plain[i].key);
        if (h && add_source(r, h, plain[i].id, plain[i].kind, e) < 0)
            return -1;
    }
    for (size_t i = 0; i < r->in->stage->n_headers; i++) {
        const struct deffile_header *h = &r->in->stage->headers[i];
        if (!str_starts(h->key, "otherurl") || !h->value[0])
            continue;
        auto_free char *id = mem_printf("other%s", h->key + strlen("otherurl"));
        if (add_source(r, h, id, YUM_SOURCE_URL, e) < 0)
            return -1;
    }
    if (r->spec->n_sources)
        return 0;
    const struct deffile_header *h = deffile_header_find(r->in->stage, "bootstrap");
    err_at(e, r->in->def->name, h ? h->line : 1, "no repository is named");
    return err_hint(e, "add 'MirrorURL:', 'MirrorList:' or 'MetaLink:' with an address");
}

/* Words as a shell would see them, quotes taken off; nothing is run or expanded. */
static int add_words(const struct reading *r, const struct deffile_header *h, struct strv *out,
                     struct err *e)
{
    auto_str struct str word = { 0 };
    char quote = 0;
    for (const char *p = h->value;; p++) {
        if (*p && (quote ? *p != quote : !isspace((unsigned char)*p) && *p != '"' && *p != '\'')) {
            str_add_c(&word, *p);
            continue;
        }
        if (*p && !isspace((unsigned char)*p)) {
            quote = quote ? 0 : *p;
            continue;
        }
        if (word.len) {
            if (word.data[0] == '-' || strpbrk(word.data, "$`;|&<>\\")) {
                auto_free char *shown = str_printable(word.data);
                err_at(e, r->in->def->name, h->line, "'%s' is no package name", shown);
                return err_hint(e,
                                "'%s' takes names, name-version, globs, /paths and @groups; "
                                "options go to 'SetOpt:'",
                                h->key);
            }
            strv_add(out, word.data);
            str_reset(&word);
        }
        if (!*p)
            return 0;
    }
}

static int read_bool(const struct reading *r, const char *key, bool *out, struct err *e)
{
    const struct deffile_header *h = header(r, key);
    static const char *const yes[] = { "yes", "true", "on", "1" };
    static const char *const no[] = { "no", "false", "off", "0" };
    if (!h)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcasecmp(h->value, yes[i]) == 0 || strcasecmp(h->value, no[i]) == 0) {
            *out = strcasecmp(h->value, yes[i]) == 0;
            return 0;
        }
    }
    return err_at(e, r->in->def->name, h->line, "'%s' is 'yes' or 'no', not '%s'", key, h->value);
}

static int set_priority(struct yum_spec *s, const char *id, size_t len, const char *value)
{
    uint64_t n;
    if (str_parse_u64(value, 99, &n) < 0 || n < 1)
        return -1;
    for (size_t i = 0; i < s->n_sources; i++) {
        if (strlen(s->sources[i].id) == len && strncmp(s->sources[i].id, id, len) == 0) {
            s->sources[i].priority = (int)n;
            return 0;
        }
    }
    return -1;
}

/* One word of SetOpt, named as dnf names it. */
static int set_option(struct yum_spec *s, const char *word)
{
    const char *value = strchr(word, '=');
    if (!value)
        return -1;
    size_t len = (size_t)(value++ - word);
    bool on = strcasecmp(value, "true") == 0 || str_eq(value, "1") || strcasecmp(value, "yes") == 0;
    const char *dot = memchr(word, '.', len);
    if (dot && len - (size_t)(dot - word) == 9 && strncmp(dot, ".priority", 9) == 0)
        return set_priority(s, word, (size_t)(dot - word), value);
    if (str_starts(word, "install_weak_deps="))
        s->recommends = on;
    else if (str_starts(word, "repo_gpgcheck="))
        s->repo_signed = on;
    else if (str_eq(word, "tsflags=nodocs"))
        s->no_docs = true;
    else if (str_starts(word, "excludepkgs=") || str_starts(word, "exclude="))
        strv_split(&s->exclude, value, ",");
    else
        return -1;
    return 0;
}

static int read_options(struct reading *r, struct err *e)
{
    const struct deffile_header *h = header(r, "setopt");
    auto_strv struct strv words = { 0 };
    strv_split(&words, h ? h->value : "", " \t");
    for (size_t i = 0; i < words.n; i++) {
        if (set_option(r->spec, words.v[i]) == 0)
            continue;
        err_at(e, r->in->def->name, h->line, "SetOpt '%s' has no meaning here", words.v[i]);
        return err_hint(e, "known: install_weak_deps=0|1 repo_gpgcheck=0|1 tsflags=nodocs "
                           "excludepkgs=NAME,... REPO.priority=1..99");
    }
    if (read_bool(r, "recommends", &r->spec->recommends, e) < 0)
        return -1;
    return read_bool(r, "nodocs", &r->spec->no_docs, e);
}

/* What carries a key need not be safe where its fingerprint stands behind it. */
static int add_keys(struct reading *r, const struct deffile_header *h, const char *value,
                    struct err *e)
{
    auto_strv struct strv words = { 0 };
    strv_split(&words, value, " \t,");
    for (size_t i = 0; i < words.n;) {
        auto_str struct str source = { 0 };
        str_add(&source, words.v[i]);
        bool alone = key_is_fingerprint(words.v[i++]);
        bool sure = alone;
        for (; !alone && i < words.n && key_is_fingerprint(words.v[i]); i++, sure = true)
            str_addf(&source, " %s", words.v[i]);
        if (!sure && str_starts(source.data, "http://")) {
            err_at(e, r->in->def->name, h->line, "a key is not fetched over plain http");
            return err_hint(e, "use https:// or a local file, or write the key's fingerprint "
                               "behind the address");
        }
        strv_add(&r->spec->keys, source.data);
    }
    return 0;
}

static int read_keys(struct reading *r, struct err *e)
{
    static const char *const sources[] = { "key", "gpg", "keyring" };
    struct yum_spec *s = r->spec;
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        const struct deffile_header *h = header(r, sources[i]);
        const char *missing = NULL;
        auto_free char *value = yum_spec_expand(s, h ? h->value : "", &missing);
        if (!value)
            return err_at(e, r->in->def->name, h->line, "'%s' needs 'OSVersion:'", missing);
        if (add_keys(r, h, value, e) < 0)
            return -1;
    }
    const struct deffile_header *h = header(r, "fingerprints");
    strv_split(&s->pins, h ? h->value : "", " \t,");
    for (size_t i = 0; i < s->pins.n; i++) {
        if (!key_is_fingerprint(s->pins.v[i])) {
            err_at(e, r->in->def->name, h->line, "'%s' is no fingerprint", s->pins.v[i]);
            return err_hint(e, "40 hexadecimal digits without blanks; several with commas between");
        }
    }
    return 0;
}

static int read_headers(struct reading *r, const struct yum_family *family, struct err *e)
{
    struct yum_spec *s = r->spec;
    const struct deffile_header *h = header(r, "osversion");
    const char *version = h ? h->value : NULL;
    if (version && (!isalnum((unsigned char)version[0]) || strlen(version) > 40 ||
                    version[strspn(version, "0123456789abcdefghijklmnopqrstuvwxyz"
                                            "ABCDEFGHIJKLMNOPQRSTUVWXYZ._-")]))
        return err_at(e, r->in->def->name, h->line, "'%s' is no release", version);
    s->releasever = mem_strdup(version);
    for (const char *const *p = family->always; *p; p++)
        strv_add(&s->install, *p);
    if (read_sources(r, family, e) < 0 || read_options(r, e) < 0 || read_keys(r, e) < 0)
        return -1;
    h = header(r, "include");
    if (h && add_words(r, h, &s->install, e) < 0)
        return -1;
    h = header(r, "modules");
    return h ? add_words(r, h, &s->modules, e) : 0;
}

int yum_spec_make(const struct agent_input *in, struct yum_spec **out, struct err *e)
{
    auto_yum_spec struct yum_spec *s = mem_zero(1, sizeof *s);
    s->agent = in->agent->name;
    s->arch = mem_strdup(in->arch);
    s->basearch = mem_strdup(base_arch(in->arch));
    s->verify = in->verify;
    s->repo_signed = true;
    s->base_dir = strchr(in->def->name, '/') ? path_dir(in->def->name) : NULL;
    struct reading r = { .in = in, .spec = s };
    if (read_headers(&r, in->agent->family, e) < 0)
        return -1;
    *out = steal_ptr(s);
    return 0;
}

void yum_spec_free(struct yum_spec *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_sources; i++) {
        free(s->sources[i].id);
        free(s->sources[i].url);
    }
    free(s->sources);
    strv_free(&s->install);
    strv_free(&s->exclude);
    strv_free(&s->modules);
    strv_free(&s->keys);
    strv_free(&s->pins);
    free(s->base_dir);
    free(s->arch);
    free(s->basearch);
    free(s->releasever);
    free(s);
}
