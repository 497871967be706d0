/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/deb/deb.h"

#include <stdio.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "bootstrap/value.h"

/* The stages in the user's words. UNIT is what debootstrap counts in. */
static const struct stage {
    const char *code, *words;
    enum progress_unit unit;
} stages[] = {
    { "DOWNREL", "fetch release", PROGRESS_ITEMS },
    { "DOWNRELSIG", "check signature", PROGRESS_ITEMS },
    { "DOWNPKGS", "fetch package lists", PROGRESS_BYTES },
    { "RESOLVE", "resolve dependencies", PROGRESS_ITEMS },
    { "SIZEDEBS", "find packages", PROGRESS_ITEMS },
    { "DOWNDEBS", "fetch packages", PROGRESS_BYTES },
    { "EXTRACTPKGS", "extract packages", PROGRESS_ITEMS },
    { "INSTCORE", "install core", PROGRESS_ITEMS },
    { "UNPACKREQ", "unpack required packages", PROGRESS_ITEMS },
    { "CONFREQ", "configure required packages", PROGRESS_ITEMS },
    { "UNPACKBASE", "unpack packages", PROGRESS_ITEMS },
    { "CONFBASE", "configure packages", PROGRESS_ITEMS },
};

static const struct stage *stage_find(const char *code)
{
    for (size_t i = 0; i < ARRAY_LEN(stages); i++)
        if (str_eq(stages[i].code, code))
            return &stages[i];
    return NULL;
}

static void report(const struct deb_talk *t, const char *detail, int finished)
{
    const struct stage *s = t->stage ? stage_find(t->stage) : NULL;
    if (!s)
        return;
    progress_report(&(struct progress_event){ .stage = s->words,
                                              .detail = detail,
                                              .unit = s->unit,
                                              .done = finished ? t->stage_end : t->stage_now,
                                              .total = t->stage_end,
                                              .finished = finished });
}

void deb_talk_end(struct deb_talk *t)
{
    report(t, NULL, 1);
    free(t->stage);
    t->stage = NULL;
}

static void enter_stage(struct deb_talk *t, const char *code, uint64_t now, uint64_t end)
{
    if (!str_eq(t->stage, code)) {
        deb_talk_end(t);
        t->stage = mem_strdup(code);
    }
    t->stage_now = now;
    t->stage_end = end;
    report(t, NULL, 0);
}

/* FORMAT with each %s replaced by the next argument; a stranger's format never reaches printf. */
static char *filled(const char *format, const struct strv *args)
{
    auto_str struct str s = { 0 };
    size_t used = 0;
    for (const char *c = format; *c; c++) {
        if (c[0] == '%' && c[1] == 's') {
            str_add(&s, used < args->n ? args->v[used] : "");
            used++;
            c++;
        } else if (c[0] == '\\' && c[1] == 'n') {
            str_add_c(&s, ' ');
            c++;
        } else {
            str_add_c(&s, *c);
        }
    }
    return str_steal(&s);
}

static void log_line(const struct deb_talk *t, const char *prefix, const char *text)
{
    if (t->log_fd < 0)
        return;
    auto_free char *line = mem_printf("%s%s\n", prefix, text);
    int rc = fs_write_full(t->log_fd, line, strlen(line));
    (void)rc; /* the log is a help; the build does not fail over it */
}

static void set_text(char **slot, const char *text)
{
    free(*slot);
    *slot = mem_strdup(text);
}

/* "Retrieving libc6 2.36", "Unpacking libc6...": the item in hand. */
static void tell_info(struct deb_talk *t, const char *code, const char *text)
{
    if (str_starts(code, "RESOLVE"))
        enter_stage(t, "RESOLVE", 0, 0);
    static const char *const items[] = { "RETRIEVING", "EXTRACTING", "UNPACKING", "CONFIGURING" };
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        if (str_eq(code, items[i]) && t->args.n)
            report(t, t->args.v[0], 0);
    log_line(t, "I: ", text);
}

/* A message is complete: its format line has come. */
static void message_end(struct deb_talk *t, const char *format)
{
    const char *code = str_text(&t->name);
    auto_free char *text = filled(format, &t->args);
    switch (t->kind) {
    case 'P':
        enter_stage(t, code, t->now, t->end);
        break;
    case 'I':
        tell_info(t, code, text);
        break;
    case 'W':
        log_line(t, "W: ", text);
        set_text(&t->warning, text);
        if (str_eq(code, "COULDNTDL") && t->args.n)
            set_text(&t->download, t->args.v[0]);
        break;
    default:
        log_line(t, "E: ", text);
        if (!t->error) {
            t->error = mem_strdup(code);
            t->error_text = mem_strdup(text);
        }
    }
    t->kind = 0;
}

static void message_begin(struct deb_talk *t, char kind, const char *rest)
{
    t->kind = kind;
    strv_free(&t->args);
    str_reset(&t->name);
    if (kind != 'P') {
        str_add(&t->name, rest);
        return;
    }
    /* "P: now end CODE", or "P: now end" while a download runs: then there is no format line. */
    auto_strv struct strv w = { 0 };
    strv_split(&w, rest, " ");
    if (w.n < 2 || str_parse_u64(w.v[0], UINT64_MAX, &t->now) < 0 ||
        str_parse_u64(w.v[1], UINT64_MAX, &t->end) < 0) {
        t->kind = 0;
        return;
    }
    if (w.n > 2) {
        str_add(&t->name, w.v[2]);
        return;
    }
    t->kind = 0;
    t->stage_now = t->now;
    t->stage_end = t->end;
    report(t, NULL, 0);
}

/* A line of the programs that debootstrap runs: what may explain a failure later. */
static void plain_line(struct deb_talk *t, const char *line)
{
    static const char *const heads[] = { "dpkg: error processing package ",
                                         "dpkg: error processing archive " };
    if (strstr(line, "No space left on device"))
        t->disk_full = true;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        if (str_starts(line, heads[i]) && !t->culprit)
            t->culprit =
                mem_strndup(line + strlen(heads[i]), strcspn(line + strlen(heads[i]), " :"));
    log_line(t, "", line);
}

void deb_talk_line(struct deb_talk *t, const char *line)
{
    if (strchr("PIWE", line[0]) && line[0] && line[1] == ':' && line[2] == ' ')
        message_begin(t, line[0], line + 3);
    else if (t->kind && line[0] == t->kind && line[1] == 'A' && line[2] == ':' && line[3] == ' ')
        strv_add(&t->args, line + 4);
    else if (t->kind && line[0] == t->kind && line[1] == 'F' && line[2] == ':' && line[3] == ' ')
        message_end(t, line + 4);
    else
        plain_line(t, line);
}

static bool is_error(const struct deb_talk *t, const char *code)
{
    return str_eq(t->error, code);
}

/* Packages that the suite does not have: point at the Include line's word. */
static int explain_missing(const struct deb_talk *t, const struct deb_plan *p, struct err *e)
{
    const char *colon = t->error_text ? strrchr(t->error_text, ':') : NULL;
    auto_free char *names = value_shown(colon ? colon + 1 + strspn(colon + 1, " ") : "?");
    err_set(e, ERR_INPUT, "suite '%s' has no package '%s'", p->suite, names);
    return err_hint(e, "check Include; packages outside main need 'Components: main universe'");
}

static int explain_download(const struct deb_talk *t, const struct deb_plan *p, struct err *e)
{
    auto_free char *mirror = value_url_public(p->mirror);
    auto_free char *what = value_shown(t->download     ? t->download
                                       : t->error_text ? t->error_text
                                                       : "a file");
    err_set(e, ERR_STEP, "could not fetch '%s' from '%s'", what, mirror);
    return err_hint(e, "run it again: what was fetched is kept; or use another MirrorURL");
}

static int explain_signature(const struct deb_talk *t, struct err *e)
{
    auto_free char *text = value_shown(t->error_text ? t->error_text : "");
    return err_set(e, ERR_STEP, "debootstrap refused the mirror: %s", text);
}

int deb_talk_disk_full(const struct deb_plan *p, struct err *e)
{
    err_set(e, ERR_STEP, "the disk is full: there is no room for the packages of '%s'", p->suite);
    return err_hint(e, "free some space, or name another place with --tmpdir");
}

int deb_talk_explain(const struct deb_talk *t, const struct deb_plan *p, int status, struct err *e)
{
    if (t->disk_full)
        return deb_talk_disk_full(p, e);
    if (is_error(t, "LEFTOVERDEBS"))
        return explain_missing(t, p, e);
    if (is_error(t, "COULDNTDL") || is_error(t, "COULDNTDLPKGS") || is_error(t, "NOGETREL") ||
        is_error(t, "NOGETRELSIG"))
        return explain_download(t, p, e);
    if (is_error(t, "BADRELSIG") || is_error(t, "UNKNOWNRELSIG") || is_error(t, "SIGCHECK") ||
        is_error(t, "WRONGSUITE"))
        return explain_signature(t, e);
    if (is_error(t, "MISSINGRELENTRY") || is_error(t, "INVALIDREL"))
        return err_set(e, ERR_STEP, "suite '%s' has nothing for architecture '%s'", p->suite,
                       p->arch);
    if (is_error(t, "NOEXEC")) {
        err_set(e, ERR_HOST, "programs cannot run where the root is made: it is mounted noexec");
        return err_hint(e, "name another place with --tmpdir");
    }
    if (t->culprit)
        return err_set(e, ERR_STEP, "debootstrap failed: package '%s' could not be installed",
                       t->culprit);
    if (status > 128)
        return err_set(e, ERR_STEP, "debootstrap was stopped by signal %d", status - 128);
    auto_free char *text = value_shown(t->error_text ? t->error_text
                                       : t->warning  ? t->warning
                                                     : "it gave no reason");
    return err_set(e, ERR_STEP, "debootstrap failed with status %d: %s", status, text);
}

void deb_talk_fini(struct deb_talk *t)
{
    str_free(&t->name);
    strv_free(&t->args);
    free(t->stage);
    free(t->error);
    free(t->error_text);
    free(t->warning);
    free(t->culprit);
    free(t->download);
}
