/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/bootstrap.h"

#include <strings.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strv.h"
#include "bootstrap/cache.h"

#define AGENT(name) extern const struct agent agent_##name;
#include "bootstrap/agents.list"
#undef AGENT

const struct agent *const bootstrap_agents[] = {
#define AGENT(name) &agent_##name,
#include "bootstrap/agents.list"
#undef AGENT
    NULL
};

static bool answers_to(const struct agent *a, const char *name)
{
    if (strcasecmp(a->name, name) == 0)
        return true;
    auto_strv struct strv aliases = { 0 };
    strv_split(&aliases, a->aliases ? a->aliases : "", " ");
    for (size_t i = 0; i < aliases.n; i++)
        if (strcasecmp(aliases.v[i], name) == 0)
            return true;
    return false;
}

const struct agent *bootstrap_agent_find(const char *name, const char **nearest)
{
    const char *names[ARRAY_LEN(bootstrap_agents)];
    size_t n = 0;
    for (const struct agent *const *a = bootstrap_agents; *a; a++) {
        if (answers_to(*a, name))
            return *a;
        names[n++] = (*a)->name;
    }
    names[n] = NULL;
    if (nearest) {
        auto_free char *lower = mem_strdup(name);
        str_lower(lower);
        *nearest = str_nearest(lower, names);
    }
    return NULL;
}

/* KEY against NAME, which may end in "<N>" for any digits. */
static bool key_matches(const char *name, const char *key)
{
    size_t stem = strlen(name);
    if (!str_ends(name, "<N>"))
        return strcasecmp(name, key) == 0;
    stem -= 3;
    if (strncasecmp(name, key, stem) != 0 || !key[stem])
        return false;
    return key[stem + strspn(key + stem, "0123456789")] == 0;
}

bool agent_key_known(const struct agent *a, const char *key)
{
    for (const struct agent_key *k = a->keys; k && k->name; k++)
        if (key_matches(k->name, key))
            return true;
    return false;
}

static const struct deffile_header *agent_header(const struct agent_input *in)
{
    const struct deffile_header *h = deffile_header_find(in->stage, "bootstrap");
    return h && h->value[0] ? h : NULL;
}

static struct agent_input input_for(const struct agent_input *in, const struct agent *a)
{
    struct agent_input called = *in;
    called.agent = a;
    return called;
}

/* "debootstrap, busybox, scratch" */
static char *agent_names(void)
{
    auto_strv struct strv names = { 0 };
    for (const struct agent *const *a = bootstrap_agents; *a; a++)
        strv_add(&names, (*a)->name);
    return strv_join(&names, ", ");
}

static void diag_unknown_agent(struct deffile *def, const struct deffile_header *h,
                               const char *nearest)
{
    auto_free char *names = agent_names();
    auto_free char *shown = str_printable(h->value);
    auto_free char *hint = nearest ? mem_printf("did you mean '%s'? agents: %s", nearest, names)
                                   : mem_printf("agents: %s", names);
    deffile_diag_add(def, DEFFILE_ERROR, "unknown-agent", h->line, 1, hint, "unknown agent '%s'",
                     shown);
}

/* The agent of the stage, or NULL with a finding. */
static const struct agent *stage_agent(const struct agent_input *in, struct deffile *def)
{
    const struct deffile_header *h = agent_header(in);
    if (!h) {
        deffile_diag_add(def, DEFFILE_ERROR, "no-agent", in->stage->line ? in->stage->line : 1, 1,
                         "begin the file with, for example, 'Bootstrap: debootstrap'",
                         "no agent is named: there is no 'Bootstrap:' header");
        return NULL;
    }
    const char *nearest = NULL;
    const struct agent *a = bootstrap_agent_find(h->value, &nearest);
    if (!a)
        diag_unknown_agent(def, h, nearest);
    return a;
}

static void check_required(const struct agent_input *in, const struct agent *a, struct deffile *def)
{
    for (const struct agent_key *k = a->keys; k && k->name; k++) {
        auto_free char *key = mem_strdup(k->name);
        str_lower(key);
        const char *value = deffile_header_value(in->stage, key);
        if (k->kind != AGENT_KEY_REQUIRED || (value && value[0]))
            continue;
        auto_free char *hint = mem_printf("%s: %s", k->name, k->help);
        deffile_diag_add(def, DEFFILE_ERROR, "missing-header", agent_header(in)->line, 1, hint,
                         "agent '%s' needs the header '%s'", a->name, k->name);
    }
}

static void check_unused(const struct agent_input *in, const struct agent *a, struct deffile *def)
{
    static const char *const everyones[] = { "bootstrap", "stage" };
    for (size_t i = 0; i < in->stage->n_headers; i++) {
        const struct deffile_header *h = &in->stage->headers[i];
        bool used = agent_key_known(a, h->key);
        for (size_t j = 0; j < ARRAY_LEN(everyones); j++)
            used = used || str_eq(h->key, everyones[j]);
        if (!used)
            deffile_diag_add(def, DEFFILE_WARNING, "unused-header", h->line, 1, NULL,
                             "agent '%s' has no use for the header '%s'", a->name, h->key);
    }
}

int bootstrap_check(const struct agent_input *in, struct deffile *def, struct err *e)
{
    auto_err struct err found = { 0 };
    const struct agent *a = stage_agent(in, def);
    int rc = 0;
    if (a) {
        const struct agent_input called = input_for(in, a);
        check_required(in, a, def);
        check_unused(in, a, def);
        if (a->check)
            rc = a->check(&called, def, &found);
    }
    if (!def->ok) /* the user's mistakes first: they are cured without a host administrator */
        return deffile_err(def, e);
    return rc < 0 ? err_move(e, &found) : 0;
}

static int check_filled(const struct agent *a, int rootfs_fd, struct err *e)
{
    struct stat st;
    for (const char *const *p = a->must_have; p && *p; p++)
        if (fs_stat_at(rootfs_fd, *p, true, &st) < 0)
            return err_set(e, ERR_STEP, "agent '%s' reported success, but the root has no '%s'",
                           a->name, *p);
    return 0;
}

/* The agent's own work, and what it must have left. */
static int fill_anew(const struct agent_input *in, int rootfs_fd, struct agent_result *out,
                     struct err *e)
{
    const struct agent *a = in->agent;
    if (a->fill(in, rootfs_fd, out, e) < 0 || check_filled(a, rootfs_fd, e) < 0)
        return -1;
    if (!out->facts)
        out->facts = json_object_new_object();
    if (!json_get_str(out->facts, "agent"))
        json_put_str(out->facts, "agent", a->name);
    return 0;
}

static time_t seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* A base that is made again this fast is not worth the packing and checksumming of every build. */
enum { WORTH_KEEPING_SECONDS = 5 };

static int fill(const struct agent_input *in, int rootfs_fd, struct agent_result *out,
                struct err *e)
{
    const struct agent *a = in->agent;
    auto_str struct str key = { 0 };
    time_t start = seconds_now();
    if (in->cache_dir && a->identity && a->identity(in, &key, e) < 0)
        return -1;
    if (!key.len)
        return fill_anew(in, rootfs_fd, out, e);
    if (cache_restore(in->cache_dir, key.data, rootfs_fd, &out->facts, e) < 0)
        return -1;
    if (out->facts)
        return check_filled(a, rootfs_fd, e);
    if (fill_anew(in, rootfs_fd, out, e) < 0)
        return -1;
    if (seconds_now() - start >= WORTH_KEEPING_SECONDS)
        cache_keep(in->cache_dir, key.data, rootfs_fd, out->facts);
    return 0;
}

/* The stage's agent, known since bootstrap_check. */
static const struct agent *checked_agent(const struct agent_input *in, struct err *e)
{
    const struct deffile_header *h = agent_header(in);
    const struct agent *a = h ? bootstrap_agent_find(h->value, NULL) : NULL;
    if (!a)
        err_set(e, ERR_BUG, "an agent is called that bootstrap_check has not seen");
    return a;
}

int bootstrap_plan(const struct agent_input *in, struct json_object **out, struct err *e)
{
    const struct agent *a = checked_agent(in, e);
    if (!a)
        return -1;
    const struct agent_input called = input_for(in, a);
    return a->plan ? a->plan(&called, out, e) : 0;
}

int bootstrap_run(const struct agent_input *in, int rootfs_fd, struct agent_result *out,
                  struct err *e)
{
    const struct agent *a = checked_agent(in, e);
    if (!a)
        return -1;
    const struct agent_input called = input_for(in, a);
    auto_err struct err why = { 0 };
    if (fill(&called, rootfs_fd, out, &why) == 0)
        return 0;
    json_object_put(out->facts);
    out->facts = NULL;
    if (why.code == ERR_FAILED)
        err_code_set(&why, ERR_STEP);
    auto_free char *file = mem_printf("%s:", in->def->name);
    if (!str_starts(why.msg ? why.msg : "", file))
        err_wrap(&why, "%s:%u", in->def->name, agent_header(in)->line);
    return err_move(e, &why);
}
