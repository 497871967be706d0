/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/bootstrap.h"
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

static int run(const struct agent_input *in, const struct deb_plan *p, int rootfs_fd, bool ready,
               struct err *e)
{
    auto_deb_talk struct deb_talk talk = { .log_fd = in->log_fd };
    const struct deb_jail jail = { .plan = p, .proxy_env = in->proxy_env, .ready = ready };
    int status = 0;
    int rc = deb_jail_run(&jail, rootfs_fd, &talk, &status, e);
    if (rc == 0 && status != 0)
        rc = deb_talk_explain(&talk, p, status, e);
    deb_talk_end(&talk);
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
    deb_plan_argv(&p, "/", NULL, &argv);
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
    deb_plan_argv(&p, "/", NULL, &argv);
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
