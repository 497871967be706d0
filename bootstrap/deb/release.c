/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/deb/deb.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/value.h"

#define MAX_BYTES (8u << 20)

void deb_release_fini(struct deb_release *r)
{
    str_free(&r->raw);
    str_free(&r->signature);
    str_free(&r->text);
    free(r->codename);
    free(r->suite);
    free(r->key);
    *r = (struct deb_release){ 0 };
}

void deb_verdict_fini(struct deb_verdict *v)
{
    free(v->good);
    free(v->stale);
    free(v->unknown);
    free(v->bad);
    *v = (struct deb_verdict){ 0 };
}
#define auto_verdict cleanup_with(deb_verdict_fini)

static void set_once(char **slot, const char *value)
{
    if (!*slot)
        *slot = mem_strdup(value);
}

void deb_verdict_line(struct deb_verdict *v, const char *line)
{
    if (!str_starts(line, "[GNUPG:] "))
        return;
    auto_strv struct strv w = { 0 };
    strv_split(&w, line + 9, " ");
    if (w.n < 2)
        return;
    const char *word = w.v[0];
    if (str_eq(word, "NEWSIG") || str_eq(word, "GOODSIG")) {
        v->key_expired = v->key_revoked = false;
    } else if (str_eq(word, "EXPKEYSIG")) {
        v->key_expired = true;
    } else if (str_eq(word, "REVKEYSIG")) {
        v->key_revoked = true;
    } else if (str_eq(word, "BADSIG")) {
        set_once(&v->bad, w.v[1]);
    } else if (str_eq(word, "NO_PUBKEY")) {
        set_once(&v->unknown, w.v[1]);
    } else if (str_eq(word, "VALIDSIG") && w.n > 8) {
        /* VALIDSIG fingerprint date timestamp expires version reserved pubkey-algo hash-algo … */
        bool weak = str_eq(w.v[8], "1") || str_eq(w.v[8], "2") || str_eq(w.v[8], "3");
        bool sound = !weak && !v->key_expired && !v->key_revoked;
        set_once(sound ? &v->good : &v->stale, w.v[1]);
        v->weak = v->weak || weak;
        v->expired = v->expired || v->key_expired;
        v->revoked = v->revoked || v->key_revoked;
    }
}

int64_t deb_release_date(const char *text)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char month[4];
    int day, year, h, m, s, used = 0;
    text += strcspn(text, ",") + (strchr(text, ',') != NULL);
    if (sscanf(text, " %2d %3s %4d %2d:%2d:%2d %n", &day, month, &year, &h, &m, &s, &used) != 6)
        return -1;
    const char *at = strstr(months, month);
    bool utc = str_starts(text + used, "UTC") || str_starts(text + used, "GMT") ||
               str_starts(text + used, "+0000");
    if (!at || (at - months) % 3 || !utc || day < 1 || day > 31 || year < 1990 || h < 0 || h > 23 ||
        m < 0 || m > 59 || s < 0 || s > 60)
        return -1;
    struct tm tm = { .tm_mday = day,
                     .tm_mon = (int)(at - months) / 3,
                     .tm_year = year - 1900,
                     .tm_hour = h,
                     .tm_min = m,
                     .tm_sec = s };
    return timegm(&tm);
}

/* Value of FIELD in the first lines of TEXT; NULL when absent. Caller frees. */
static char *field(const char *text, const char *name)
{
    size_t len = strlen(name);
    while (*text) {
        if (strncmp(text, name, len) == 0 && text[len] == ':') {
            const char *v = text + len + 1 + strspn(text + len + 1, " \t");
            return mem_strndup(v, strcspn(v, "\r\n"));
        }
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return NULL;
}

/* An unnamed file in memory with DATA, to hand to gpgv. */
static int memory_file(const struct str *data, struct err *e)
{
    auto_close int fd = memfd_create("hpcc-release", MFD_CLOEXEC);
    if (fd < 0 || (data && fs_pwrite_full(fd, str_text(data), data->len, 0) < 0))
        return err_sys(e, "cannot make a file in memory");
    return steal_fd(&fd);
}

/* MIRROR/dists/SUITE/NAME appended to OUT. *FOUND false: the server has no such file. */
static int get(const struct deb_plan *p, const char *const *proxy_env, const char *name,
               struct str *out, bool *found, struct err *e)
{
    auto_free char *url = mem_printf("%s/dists/%s/%s", p->mirror, p->suite, name);
    const struct fetch fetch = { .store_fd = -1, .proxy_env = proxy_env };
    return fetch_text(&fetch, url, MAX_BYTES, out, found, e);
}

struct gpgv {
    int signature_fd; /* placed as descriptor 3; -1: the text carries its signature */
    struct deb_verdict *verdict;
};

static void status_line(void *ctx, const char *line)
{
    deb_verdict_line(((struct gpgv *)ctx)->verdict, line);
}

static int place_signature(void *ctx)
{
    const struct gpgv *g = ctx;
    return g->signature_fd >= 0 && dup2(g->signature_fd, 3) < 0 ? -1 : 0;
}

/* Run gpgv over SIGNED (with SIGNATURE when detached). The signed text goes to its own descriptor,
 * so that nothing inside it can pass for a status line. */
static int run_gpgv(const struct deb_plan *p, const struct str *text, const struct str *signature,
                    struct deb_verdict *v, struct str *signed_text, struct err *e)
{
    auto_close int in = memory_file(text, e);
    auto_close int out = in < 0 ? -1 : memory_file(NULL, e);
    auto_close int sig = out < 0 || !signature ? -1 : memory_file(signature, e);
    if (in < 0 || out < 0 || (signature && sig < 0))
        return -1;
    struct gpgv g = { .signature_fd = sig, .verdict = v };
    auto_strv struct strv argv = { 0 };
    const char *const fixed[] = { "gpgv", "--status-fd", "2", "--keyring", p->keyring, NULL };
    strv_add_all(&argv, fixed);
    if (p->old_keyring) {
        strv_add(&argv, "--keyring");
        strv_add(&argv, p->old_keyring);
    }
    if (signature) {
        strv_add(&argv, "/proc/self/fd/3");
    } else {
        strv_add(&argv, "--output");
        strv_add(&argv, "-");
    }
    strv_add(&argv, "-");
    struct proc_spec spec = { .argv = (const char *const *)argv.v,
                              .stdin_fd = in,
                              .stdout_fd = out,
                              .stderr_fd = -1,
                              .on_line = status_line,
                              .before_exec = place_signature,
                              .ctx = &g,
                              .timeout_ms = 60000,
                              .die_with_us = true };
    int status;
    if (proc_run(&spec, &status, e) < 0)
        return -1;
    if (signature) {
        str_add_n(signed_text, str_text(text), text->len);
        return 0;
    }
    return lseek(out, 0, SEEK_SET) < 0 ? err_sys(e, "cannot read what gpgv wrote")
                                       : fs_read_fd(out, MAX_BYTES, signed_text, e);
}

static int judge_stale(const struct deb_plan *p, const struct deb_verdict *v, const char *mirror,
                       struct err *e)
{
    if (v->revoked)
        return err_set(e, ERR_STEP, "the Release of '%s' from '%s' is signed by a revoked key (%s)",
                       p->suite, mirror, v->stale);
    if (v->weak)
        return err_set(e, ERR_STEP,
                       "the Release of '%s' from '%s' is signed over MD5 or SHA-1 only", p->suite,
                       mirror);
    err_set(e, ERR_STEP, "the Release of '%s' from '%s' is signed by an expired key (%s)", p->suite,
            mirror, v->stale);
    return err_hint(e, "update the keyring '%s'", p->keyring);
}

/* The verdict in words. */
static int judge(const struct deb_plan *p, const struct deb_verdict *v, struct err *e)
{
    auto_free char *mirror = value_url_public(p->mirror);
    /* A suite that is gone was signed long ago: keys have expired and hashes aged since. */
    if (v->good || (v->stale && p->gone && !v->revoked))
        return 0;
    if (v->stale)
        return judge_stale(p, v, mirror, e);
    if (v->bad) {
        err_set(e, ERR_STEP,
                "bad signature: the Release of '%s' from '%s' is not what key %s signed", p->suite,
                mirror, v->bad);
        return err_hint(e, "the mirror is damaged or tampered with: use another MirrorURL");
    }
    if (v->unknown) {
        err_set(e, ERR_STEP,
                "the Release of '%s' from '%s' is signed by key %s, which is not in '%s'", p->suite,
                mirror, v->unknown, p->keyring);
        return err_hint(e, "update the keyring, or name the right one with 'Keyring: FILE'");
    }
    err_set(e, ERR_STEP, "the Release of '%s' from '%s' carries no signature", p->suite, mirror);
    return err_hint(e, "use another MirrorURL; --no-verify builds from what cannot be checked");
}

static void day_of(int64_t t, char out[32])
{
    struct tm tm;
    time_t at = t;
    gmtime_r(&at, &tm);
    strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm);
}

static int check_dates(const struct deb_plan *p, const struct deb_release *r, int64_t now,
                       struct err *e)
{
    auto_free char *mirror = value_url_public(p->mirror);
    char made[32], ends[32], today[32];
    day_of(r->date, made);
    day_of(r->valid_until, ends);
    day_of(now, today);
    if (r->date > now + 86400) {
        err_set(e, ERR_STEP, "the Release of '%s' is dated %s, but this host's clock says %s",
                p->suite, made, today);
        return err_hint(e, "set the host's clock");
    }
    if (p->gone || !r->valid_until || r->valid_until > now)
        return 0;
    err_set(e, ERR_STEP, "the Release of '%s' from '%s' expired on %s (this host's clock says %s)",
            p->suite, mirror, ends, today);
    return err_hint(e,
                    "the mirror is no longer updated, or an old state is played back: use another "
                    "MirrorURL, or check the clock");
}

static int no_such_suite(const struct deb_plan *p, struct err *e)
{
    auto_free char *mirror = value_url_public(p->mirror);
    err_set(e, ERR_INPUT, "the mirror '%s' has no suite '%s'", mirror, p->suite);
    return err_hint(e, "check OSVersion; MirrorURL names the directory that holds 'dists/'");
}

static int verified_text(const struct deb_plan *p, const struct str *text,
                         const struct str *signature, struct deb_release *out, struct err *e)
{
    if (!p->verify) {
        str_add_n(&out->text, str_text(text), text->len);
        return 0;
    }
    auto_verdict struct deb_verdict v = { 0 };
    if (run_gpgv(p, text, signature, &v, &out->text, e) < 0 || judge(p, &v, e) < 0)
        return -1;
    out->key = v.good ? steal_ptr(v.good) : steal_ptr(v.stale);
    return 0;
}

static int fetch_release(const struct deb_plan *p, const char *const *proxy_env,
                         struct deb_release *out, struct err *e)
{
    bool found;
    if (get(p, proxy_env, "InRelease", &out->raw, &found, e) < 0)
        return -1;
    if (found)
        return verified_text(p, &out->raw, NULL, out, e);
    if (get(p, proxy_env, "Release", &out->raw, &found, e) < 0)
        return -1;
    if (!found)
        return no_such_suite(p, e);
    out->detached = true;
    if (p->verify && get(p, proxy_env, "Release.gpg", &out->signature, &found, e) < 0)
        return -1;
    return verified_text(p, &out->raw, &out->signature, out, e);
}

int deb_release_same(const struct deb_release *r, const char *suite, int rootfs_fd, struct err *e)
{
    auto_free char *in_release = mem_printf("_dists_%s_InRelease", suite);
    auto_free char *release = mem_printf("_dists_%s_Release", suite);
    auto_close int fd = fs_open_at(rootfs_fd, "/var/lib/apt/lists", O_RDONLY | O_DIRECTORY, 0, e);
    if (fd < 0)
        return -1;
    auto_strv struct strv names = { 0 };
    if (fs_names_at(fd, ".", &names) < 0)
        return err_sys(e, "cannot read the package lists of the root");
    for (size_t i = 0; i < names.n; i++) {
        if (!str_ends(names.v[i], in_release) && !str_ends(names.v[i], release))
            continue;
        auto_str struct str used = { 0 };
        if (fs_read_at(fd, names.v[i], MAX_BYTES, &used, e) < 0)
            return -1;
        if (used.len == r->raw.len && memcmp(used.data, r->raw.data, used.len) == 0)
            return 0;
    }
    err_set(e, ERR_STEP, "the mirror's Release of '%s' changed while the root was made", suite);
    return err_hint(e, "run it again: the mirror was just being updated, or shows two faces");
}

int deb_release_get(const struct deb_plan *p, const char *const *proxy_env, int64_t now,
                    struct deb_release *out, struct err *e)
{
    auto_deb_release struct deb_release r = { 0 };
    if (fetch_release(p, proxy_env, &r, e) < 0)
        return -1;
    r.codename = field(str_text(&r.text), "Codename");
    r.suite = field(str_text(&r.text), "Suite");
    auto_free char *date = field(str_text(&r.text), "Date");
    auto_free char *until = field(str_text(&r.text), "Valid-Until");
    r.date = date ? deb_release_date(date) : 0;
    r.valid_until = until ? deb_release_date(until) : 0;
    auto_free char *mirror = value_url_public(p->mirror);
    if (r.date < 0 || r.valid_until < 0)
        return err_set(e, ERR_STEP, "the Release of '%s' from '%s' holds a date that is none",
                       p->suite, mirror);
    if (!str_eq(r.codename, p->suite) && !str_eq(r.suite, p->suite)) {
        auto_free char *name = value_shown(r.codename ? r.codename : r.suite ? r.suite : "nothing");
        err_set(e, ERR_INPUT, "the mirror '%s' gave suite '%s' where '%s' was asked for", mirror,
                name, p->suite);
        return err_hint(e, "check OSVersion and MirrorURL");
    }
    if (check_dates(p, &r, now, e) < 0)
        return -1;
    *out = r;
    r = (struct deb_release){ 0 };
    return 0;
}

/* " sum size path" */
static bool read_entry(const char *line, size_t len, const char *path, struct deb_entry *out)
{
    auto_free char *copy = mem_strndup(line, len);
    auto_strv struct strv w = { 0 };
    strv_split(&w, copy, " \t\r");
    if (w.n != 3 || !str_eq(w.v[2], path) || strlen(w.v[0]) != 64 ||
        strspn(w.v[0], "0123456789abcdef") != 64 ||
        str_parse_u64(w.v[1], UINT64_MAX, &out->size_bytes) < 0)
        return false;
    memcpy(out->sha256, w.v[0], 65);
    return true;
}

bool deb_release_entry(const struct deb_release *r, const char *path, struct deb_entry *out)
{
    bool inside = false;
    size_t want = strlen(path);
    for (const char *line = str_text(&r->text); *line;) {
        size_t len = strcspn(line, "\n");
        if (line[0] != ' ')
            inside = str_starts(line, "SHA256:");
        else if (inside && len > want && memmem(line, len, path, want) &&
                 read_entry(line, len, path, out))
            return true;
        line += len + (line[len] == '\n');
    }
    return false;
}
