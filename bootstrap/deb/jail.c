/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/deb/deb.h"

#include "base/fs.h"
#include "base/mem.h"
#include "base/proc.h"
#include "bootstrap/value.h"
#include "jail/jail.h"

#define WGETRC "/debootstrap/wgetrc"

/* wget waits for a silent server for 15 minutes, twenty times over, unless told otherwise. */
static int write_wgetrc(int rootfs_fd, struct err *e)
{
    auto_str struct str text = { 0 };
    str_add(&text, "connect_timeout = 20\nread_timeout = 60\ntries = 3\n");
    return fs_write_at(rootfs_fd, WGETRC, &text, 0644, e);
}

/* The keys inside the root, where debootstrap cleans up after itself: the host's file may lie
 * anywhere. Those of a suite that is gone are in two files, and it takes a single one. */
static int write_keyring(const struct deb_plan *p, int rootfs_fd, struct err *e)
{
    auto_str struct str keys = { 0 };
    if (!p->verify)
        return 0;
    if (fs_read_file(p->keyring, 16u << 20, &keys, e) < 0 ||
        (p->old_keyring && fs_read_file(p->old_keyring, 16u << 20, &keys, e) < 0))
        return -1;
    return fs_write_at(rootfs_fd, DEB_KEYRING, &keys, 0644, e);
}

bool deb_jail_secret(const struct deb_plan *p, const char *const *proxy_env)
{
    auto_free char *public = value_url_public(p->mirror);
    bool secret = !str_eq(public, p->mirror);
    for (const char *const *v = proxy_env; v && *v && !secret; v++)
        secret = strchr(*v, '@') != NULL;
    return secret;
}

/* wget knows the lower-case names only. */
static void add_proxies(const char *const *proxy_env, struct strv *env)
{
    for (const char *const *p = proxy_env; p && *p; p++) {
        size_t len = strcspn(*p, "=");
        auto_free char *name = mem_strndup(*p, len);
        str_lower(name);
        if ((*p)[len] == '=' && !strv_env_get(env, name))
            strv_env_set(env, name, *p + len + 1);
    }
}

void deb_jail_env(const struct deb_plan *p, const char *const *proxy_env, bool ready,
                  struct strv *env)
{
    strv_add_all(env, proc_clean_env);
    /* "lxc" is debootstrap's word for: this /dev is ready, do not try device nodes first. */
    strv_env_set(env, "container", "lxc");
    strv_env_set(env, "WGETRC", CELL_TARGET WGETRC);
    if (ready)
        strv_env_set(env, "DEBOOTSTRAP_DIR", CELL_TARGET DEB_OWN_DIR);
    if (!deb_jail_secret(p, proxy_env))
        add_proxies(proxy_env, env);
}

/* Where debootstrap reports. */
static int place_report(void *ctx)
{
    (void)ctx;
    return dup2(1, 3) < 0 ? -1 : 0;
}

static void take_line(void *ctx, const char *line)
{
    deb_talk_line(ctx, line);
}

/* The directory that a mirror of files is in, or NULL. */
static const char *mirror_dir(const struct deb_plan *p)
{
    return str_starts(p->mirror, "file://") ? strchr(p->mirror + 7, '/') : NULL;
}

int deb_jail_run(const struct deb_jail *j, int rootfs_fd, struct deb_talk *talk, int *status,
                 struct err *e)
{
    auto_strv struct strv argv = { 0 };
    auto_strv struct strv env = { 0 };
    auto_free char *path = proc_find("debootstrap");
    if (!path)
        return err_set(e, ERR_HOST, "'debootstrap' is not installed on this host");
    if (!j->ready && deb_jail_secret(j->plan, j->proxy_env)) {
        err_set(e, ERR_INPUT,
                "debootstrap would show the password of the mirror or proxy to "
                "every package that it installs");
        return err_hint(e, "use a mirror whose Release is of the usual kind");
    }
    if (write_wgetrc(rootfs_fd, e) < 0 || write_keyring(j->plan, rootfs_fd, e) < 0)
        return -1;
    deb_plan_argv(j->plan, CELL_TARGET, CELL_TARGET DEB_KEYRING, &argv);
    free(argv.v[0]);
    argv.v[0] = steal_ptr(path);
    deb_jail_env(j->plan, j->proxy_env, j->ready, &env);
    const char *const shown[] = { mirror_dir(j->plan), NULL };
    const struct cell cell = {
        .root_fd = rootfs_fd, .host_programs = true, .shown = shown, .network = true
    };
    const struct proc_spec program = { .argv = (const char *const *)argv.v,
                                       .envp = (const char *const *)env.v,
                                       .cwd = "/",
                                       .stdin_fd = -1,
                                       .stdout_fd = -1,
                                       .stderr_fd = -1,
                                       .on_line = take_line,
                                       .before_exec = place_report,
                                       .ctx = talk };
    return cell_run(&cell, &program, status, e);
}
