/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "bootstrap/bootstrap.h"
#include "bootstrap/cache.h"
#include "bootstrap/deb/deb.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/value.h"
#include "bootstrap/vault.h"

/* Debian and Ubuntu by the host's own debootstrap: executed with an argument list, never
 * reimplemented and never through a shell string. */

static const struct agent_key keys[] = {
    { "OSVersion", AGENT_KEY_REQUIRED, "name of the suite, e.g. bookworm, trixie, jammy, noble" },
    { "MirrorURL", AGENT_KEY_OPTIONAL,
      "directory that holds dists/, e.g. https://host/debian; absent: the host's own apt mirror" },
    { "Include", AGENT_KEY_OPTIONAL, "packages besides the base, e.g. python3 ca-certificates" },
    { "Exclude", AGENT_KEY_OPTIONAL, "packages to leave out of the base" },
    { "Components", AGENT_KEY_OPTIONAL, "parts of the archive, e.g. main universe; absent: main" },
    { "Variant", AGENT_KEY_OPTIONAL, "minbase (default), buildd or standard" },
    { "Arch", AGENT_KEY_OPTIONAL, "e.g. amd64 or arm64; absent: the host's" },
    { "Keyring", AGENT_KEY_OPTIONAL,
      "file of keys that may sign; absent: the distribution's, from the host" },
    { 0 },
};

static int check(const struct agent_input *in, struct deffile *def, struct err *e)
{
    if (!deb_plan_check(in, &deb_host_here, def))
        return 0; /* told in DEF */
    auto_deb_plan struct deb_plan p = { 0 };
    return deb_plan_make(in, &deb_host_here, &p, e);
}

/* The two keyrings of a suite that is gone as one file, inside the root where debootstrap cleans up
 * after itself: it takes a single one. */
static int join_keyrings(const struct deb_plan *p, int rootfs_fd, struct err *e)
{
    auto_str struct str keys_of_both = { 0 };
    if (fs_read_file(p->keyring, 16u << 20, &keys_of_both, e) < 0 ||
        fs_read_file(p->old_keyring, 16u << 20, &keys_of_both, e) < 0)
        return -1;
    return fs_write_at(rootfs_fd, "/debootstrap/keyring.gpg", &keys_of_both, 0644, e);
}

/* wget waits for a silent server for 15 minutes, twenty times over, unless told otherwise. */
static int write_wgetrc(int rootfs_fd, struct err *e)
{
    auto_str struct str text = { 0 };
    str_add(&text, "connect_timeout = 20\nread_timeout = 60\ntries = 3\n");
    return fs_write_at(rootfs_fd, "/debootstrap/wgetrc", &text, 0644, e);
}

static void make_env(const struct agent_input *in, const struct deb_jail *jail, bool ready,
                     struct strv *env)
{
    strv_add_all(env, proc_clean_env);
    /* "lxc" is debootstrap's word for: this /dev is ready, do not try device nodes first. */
    strv_env_set(env, "container", "lxc");
    auto_free char *rc = mem_printf("%s/debootstrap/wgetrc", jail->target);
    strv_env_set(env, "WGETRC", rc);
    auto_free char *own = mem_printf("%s" DEB_OWN_DIR, jail->target);
    if (ready)
        strv_env_set(env, "DEBOOTSTRAP_DIR", own);
    for (const char *const *p = in->proxy_env; p && *p; p++) {
        /* wget knows the lower-case names only */
        size_t len = strcspn(*p, "=");
        auto_free char *name = mem_strndup(*p, len);
        str_lower(name);
        if ((*p)[len] == '=' && !strv_env_get(env, name))
            strv_env_set(env, name, *p + len + 1);
    }
}

struct session {
    struct deb_talk talk;
    struct deb_jail jail;
};

static void take_line(void *ctx, const char *line)
{
    deb_talk_line(&((struct session *)ctx)->talk, line);
}

static int enter(void *ctx)
{
    return deb_jail_enter(&((const struct session *)ctx)->jail);
}

static int run(const struct agent_input *in, const struct deb_plan *p, int rootfs_fd,
               bool prefetched, struct err *e)
{
    auto_free struct session *s = mem_zero(1, sizeof *s);
    s->talk.log_fd = in->log_fd;
    if (deb_jail_init(&s->jail, rootfs_fd, e) < 0 || fs_mkdirs_at(rootfs_fd, "/dev", 0755, e) < 0 ||
        write_wgetrc(rootfs_fd, e) < 0 || (p->old_keyring && join_keyrings(p, rootfs_fd, e) < 0))
        return -1;
    auto_free char *joined = mem_printf("%s/debootstrap/keyring.gpg", s->jail.target);
    /* debootstrap checks every file's checksum on each use of this cache */
    auto_free char *cache =
        in->cache_dir && !prefetched ? cache_subdir(in->cache_dir, "deb") : NULL;
    auto_strv struct strv argv = { 0 };
    auto_strv struct strv env = { 0 };
    deb_plan_argv(p, s->jail.target, p->old_keyring ? joined : NULL, cache, &argv);
    make_env(in, &s->jail, prefetched, &env);
    struct proc_spec spec = { .argv = (const char *const *)argv.v,
                              .envp = (const char *const *)env.v,
                              .cwd = "/",
                              .stdin_fd = -1,
                              .stdout_fd = -1,
                              .stderr_fd = -1,
                              .on_line = take_line,
                              .before_exec = enter,
                              .ctx = s,
                              .die_with_us = true };
    int status = 0;
    int rc = proc_run(&spec, &status, e);
    if (rc == 0 && status != 0)
        rc = deb_talk_explain(&s->talk, p, status, e);
    deb_talk_end(&s->talk);
    deb_talk_fini(&s->talk);
    return rc;
}

static struct json_object *facts_of(const struct deb_plan *p, const struct deb_release *r,
                                    int rootfs_fd, struct err *e)
{
    auto_json struct json_object *packages = deb_root_packages(rootfs_fd, e);
    if (!packages)
        return NULL;
    struct json_object *facts = json_object_new_object();
    auto_free char *mirror = value_url_public(p->mirror);
    json_put_str(facts, "agent", "debootstrap");
    json_put_str(facts, "suite", p->suite);
    json_put_str(facts, "codename", r->codename);
    json_put_str(facts, "arch", p->arch);
    json_put_str(facts, "mirror", mirror);
    json_put_bool(facts, "verified", p->verify);
    if (r->key)
        json_put_str(facts, "signed_by", r->key);
    json_put(facts, "packages", steal_ptr(packages));
    return facts;
}

static void announce(const struct agent_input *in, const struct deb_plan *p)
{
    auto_free char *mirror = value_url_public(p->mirror);
    if (p->asked) {
        auto_free char *notice = vault_notice(p->asked, p->mirror);
        log_warn("%s", notice);
    } else if (!deffile_header_value(in->stage, "mirrorurl")) {
        log_info("fetching %s '%s' from '%s'", p->family, p->suite, mirror);
    }
    if (!p->verify)
        log_warn("--no-verify: the signature of '%s' is NOT CHECKED, anything may be installed",
                 mirror);
}

static int judge_release(const struct agent_input *in, const struct deb_plan *p,
                         struct deb_release *r, struct err *e)
{
    auto_err struct err why = { 0 };
    if (deb_release_get(p, in->proxy_env, time(NULL), r, &why) == 0)
        return 0;
    value_blame(in, why.code == ERR_INPUT ? "osversion" : "mirrorurl", &why);
    return err_move(e, &why);
}

/* The Release names the checksums of the package lists, and these of the packages: same Release,
 * same request, same root. */
static int identity(const struct agent_input *in, struct str *key, struct err *e)
{
    auto_deb_plan struct deb_plan p = { 0 };
    auto_deb_release struct deb_release r = { 0 };
    if (deb_plan_make(in, &deb_host_here, &p, e) < 0)
        return -1;
    announce(in, &p);
    if (judge_release(in, &p, &r, e) < 0)
        return -1;
    static const char *const programs[] = { "/usr/sbin/debootstrap",
                                            "/usr/share/debootstrap/functions" };
    auto_strv struct strv argv = { 0 };
    deb_plan_argv(&p, "/", NULL, NULL, &argv);
    auto_free char *request = strv_join(&argv, "\n");
    auto_free char *release = digest_text(&r.raw);
    str_addf(key, "debootstrap\n%s\nrelease %s\n", request, release);
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        auto_free char *sum = digest_file(programs[i], NULL);
        str_addf(key, "%s\n", sum ? sum : "elsewhere");
    }
    return 0;
}

static int fill(const struct agent_input *in, int rootfs_fd, struct agent_result *out,
                struct err *e)
{
    auto_deb_plan struct deb_plan p = { 0 };
    auto_deb_release struct deb_release r = { 0 };
    if (deb_plan_make(in, &deb_host_here, &p, e) < 0)
        return -1;
    if (!in->cache_dir) /* else identity has said it */
        announce(in, &p);
    if (judge_release(in, &p, &r, e) < 0)
        return -1;
    auto_err struct err why = { 0 };
    bool prefetched = false;
    if (deb_prefetch(in, &p, &r, rootfs_fd, &prefetched, &why) < 0) {
        if (why.sys == ENOSPC)
            return deb_talk_disk_full(&p, e);
        value_blame(in, why.code == ERR_INPUT ? "include" : "mirrorurl", &why);
        return err_move(e, &why);
    }
    if (run(in, &p, rootfs_fd, prefetched, &why) < 0) {
        if (why.code == ERR_INPUT)
            value_blame(in, "include", &why);
        return err_move(e, &why);
    }
    if (deb_release_same(&r, p.suite, rootfs_fd, e) < 0 || deb_root_tidy(&p, rootfs_fd, e) < 0)
        return -1;
    out->facts = facts_of(&p, &r, rootfs_fd, e);
    return out->facts ? 0 : -1;
}

static int plan(const struct agent_input *in, struct json_object **out, struct err *e)
{
    auto_deb_plan struct deb_plan p = { 0 };
    if (deb_plan_make(in, &deb_host_here, &p, e) < 0)
        return -1;
    announce(in, &p);
    auto_strv struct strv argv = { 0 };
    auto_free char *mirror = value_url_public(p.mirror);
    free(p.mirror);
    p.mirror = steal_ptr(mirror);
    deb_plan_argv(&p, "/", NULL, NULL, &argv);
    struct json_object *doc = json_object_new_object();
    struct json_object *words = json_object_new_array();
    json_put_str(doc, "suite", p.suite);
    json_put_str(doc, "arch", p.arch);
    json_put_str(doc, "mirror", p.mirror);
    json_put_bool(doc, "verified", p.verify);
    json_put_str(doc, "keyring", p.keyring);
    for (size_t i = 0; i < argv.n; i++)
        json_add(words, json_object_new_string(argv.v[i]));
    json_put(doc, "command", words);
    *out = doc;
    return 0;
}

static const char *const must_have[] = { "/bin/sh", "/usr/bin/dpkg", "/var/lib/dpkg/status",
                                         "/etc/passwd", NULL };

const struct agent agent_debootstrap = {
    .name = "debootstrap",
    .help = "Debian and Ubuntu, through the host's debootstrap",
    .keys = keys,
    .check = check,
    .fill = fill,
    .identity = identity,
    .plan = plan,
    .must_have = must_have,
    .needs_root_map = true,
};
