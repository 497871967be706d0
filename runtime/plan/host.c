/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/plan/plan.h"

/* The impure part of planning: the caller and the host. */

static const struct plan_seen *find_seen(const struct runtime_plan *p, const char *path)
{
    for (size_t i = 0; i < p->n_seen; i++)
        if (str_eq(p->seen[i].path, path))
            return &p->seen[i];
    return NULL;
}

const struct stat *plan_seen(const struct runtime_plan *p, const char *path)
{
    const struct plan_seen *seen = find_seen(p, path);
    return seen && seen->st.st_mode ? &seen->st : NULL;
}

/* Each path once: planning asks again and again. */
static int look_at_host(void *ctx, const char *path)
{
    struct runtime_plan *p = ctx;
    const struct plan_seen *seen = find_seen(p, path);
    if (!seen) {
        p->seen = mem_grow(p->seen, p->n_seen, sizeof *p->seen);
        struct plan_seen *now = &p->seen[p->n_seen++];
        *now = (struct plan_seen){ .path = mem_strdup(path) };
        if (stat(path, &now->st) < 0)
            now->st.st_mode = 0;
        seen = now;
    }
    return !seen->st.st_mode ? 0 : S_ISDIR(seen->st.st_mode) ? 'd' : 'f';
}

/* The current directory by its physical path, if we can get back to it by that path. */
static char *current_dir(void)
{
    auto_free char *cwd = getcwd(NULL, 0);
    struct stat here, there;
    if (!cwd || cwd[0] != '/' || stat(".", &here) < 0)
        return NULL;
    auto_free char *inside = path_join(cwd, "."); /* looking there takes the right to enter */
    if (stat(inside, &there) < 0 || here.st_ino != there.st_ino || here.st_dev != there.st_dev)
        return NULL;
    return steal_ptr(cwd);
}

/* A user without passwd entry (a container's, LDAP out of reach) still has $HOME,
 * when it is his. */
static const char *home_without_passwd(const char *const *envp, uid_t uid)
{
    const char *home = strv_env_value(envp, "HOME");
    struct stat st;
    if (!home || home[0] != '/' || stat(home, &st) < 0 || st.st_uid != uid)
        return NULL;
    return home;
}

/* The caller as /etc/passwd and /etc/group know him, in PASSWD and GROUP; asking the name service,
 * which others need, takes longer than the rest of the plan. */
struct account {
    struct strv passwd; /* name, password, uid, gid, gecos, home, shell */
    struct strv group;  /* name, password, gid, members */
};

static void account_fini(struct account *a)
{
    strv_free(&a->passwd);
    strv_free(&a->group);
}

static void split_fields(struct strv *out, const char *line)
{
    for (const char *at = line;; at++) {
        size_t len = strcspn(at, ":");
        strv_take(out, mem_strndup(at, len));
        at += len;
        if (!*at)
            return;
    }
}

/* Reads no further than to the line. */
static void find_local(const char *file, unsigned id, size_t n_fields, struct strv *out)
{
    char buf[16384];
    ssize_t got = 1;
    auto_str struct str text = { 0 };
    auto_free char *line = NULL;
    auto_close int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    while (fd >= 0 && !line && got > 0 && text.len < PLAN_ACCOUNTS_MAX) {
        got = read(fd, buf, sizeof buf);
        str_add_n(&text, buf, got > 0 ? (size_t)got : 0);
        if (got == 0 || str_ends(str_text(&text), "\n"))
            line = plan_accounts_line(str_text(&text), id);
    }
    if (line)
        split_fields(out, line);
    if (out->n != n_fields)
        strv_free(out);
}

static void find_account(uid_t uid, gid_t gid, struct account *out)
{
    find_local("/etc/passwd", uid, 7, &out->passwd);
    find_local("/etc/group", gid, 4, &out->group);
    const struct passwd *pw = out->passwd.n ? NULL : getpwuid(uid);
    if (pw) {
        const char *const fields[] = { pw->pw_name,  "",         "",          "",
                                       pw->pw_gecos, pw->pw_dir, pw->pw_shell };
        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
            strv_add(&out->passwd, fields[i] ? fields[i] : "");
    }
    const struct group *gr = out->group.n ? NULL : getgrgid(gid);
    if (gr)
        strv_add(&out->group, gr->gr_name);
}

int plan_for_host(struct runtime_plan *p, const struct runtime_spec *spec, struct err *e)
{
    auto_free char *cwd = current_dir();
    uid_t uid = p->uid;
    cleanup_with(account_fini) struct account account = { 0 };
    find_account(uid, p->gid, &account);
    char *const *pw = account.passwd.v;
    auto_free char *made_up = mem_printf("u%u", uid);
    struct plan_host host = {
        .uid = uid,
        .gid = p->gid,
        .user = pw ? pw[0] : made_up,
        .home = pw ? pw[5] : home_without_passwd(spec->envp, uid),
        .shell = pw && *pw[6] ? pw[6] : NULL,
        .gecos = pw ? pw[4] : NULL,
        .group = account.group.n ? account.group.v[0] : NULL,
        .cwd = cwd,
        .look = look_at_host,
        .ctx = p,
    };
    return plan_build(p, spec, &host, e);
}
