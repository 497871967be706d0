/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/defence.h"
#include "runtime/accounts.h"
#include "runtime/plan.h"

/* The impure part of planning: look at the caller, the host and the image. */

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
        p->seen = mem_resize(p->seen, p->n_seen + 1, sizeof *p->seen);
        struct plan_seen *now = &p->seen[p->n_seen++];
        *now = (struct plan_seen){ .path = mem_strdup(path) };
        if (stat(path, &now->st) < 0)
            now->st.st_mode = 0;
        seen = now;
    }
    return !seen->st.st_mode ? 0 : S_ISDIR(seen->st.st_mode) ? 'd' : 'f';
}

const char *plan_env_of(const char *const *envp, const char *name)
{
    size_t len = strlen(name);
    for (; envp && *envp; envp++)
        if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
            return *envp + len + 1;
    return NULL;
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

/* A user without passwd entry (a container's, LDAP out of reach) still has $HOME, when it is his.
 */
static const char *home_without_passwd(const char *const *envp, uid_t uid)
{
    const char *home = plan_env_of(envp, "HOME");
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

static bool ends_line(const struct str *text)
{
    return text->len && text->data[text->len - 1] == '\n';
}

/* Reads no further than to the line. */
static void find_local(const char *file, unsigned id, size_t n_fields, struct strv *out)
{
    char buf[16384];
    ssize_t got = 1;
    auto_str struct str text = { 0 };
    auto_free char *line = NULL;
    auto_close int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    while (fd >= 0 && !line && got > 0 && text.len < ACCOUNTS_MAX) {
        got = read(fd, buf, sizeof buf);
        str_add_n(&text, buf, got > 0 ? (size_t)got : 0);
        if (got == 0 || ends_line(&text))
            line = accounts_line(str_text(&text), id);
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

static int make_for_host(struct runtime_plan *p, const struct runtime_spec *spec, struct err *e)
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

/* The descriptor is what gets mounted, so the names that lead to it do not matter. */
bool plan_only_root_writes(int fd, const struct stat *st)
{
    struct statfs fs;
    if (!defence("trust"))
        return true;
    return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH)) && fstatfs(fd, &fs) == 0 &&
           fs.f_type != FUSE_SUPER_MAGIC;
}

static int no_squashfs(const struct runtime_plan *p, struct err *e)
{
    err_set(e, ERR_HOST, "cannot run '%s': this hpcc was built without libsquashfuse",
            p->image_path);
    return err_hint(e,
                    "install libsquashfuse-dev and build hpcc again, or unpack the image: "
                    "'unsquashfs -o %llu -d DIR IMAGE' and 'hpcc run DIR'",
                    (unsigned long long)p->image.fs_offset);
}

/* It must still be the file that was checked. */
int plan_reopen_writable(const char *path, int *fd, struct err *e)
{
    struct stat a, b;
    auto_close int new_fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (new_fd < 0)
        return err_sys(e, "cannot open image '%s' for writing", path);
    if (fstat(new_fd, &a) < 0 || fstat(*fd, &b) < 0 || a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return err_set(e, ERR_FAILED, "image '%s' was replaced just now", path);
    close(*fd);
    *fd = steal_fd(&new_fd);
    return 0;
}

/* --writable on an image file. */
static int choose_writer(struct runtime_plan *p, struct err *e)
{
    if (p->image.kind != IMAGE_EXT) {
        err_set(e, ERR_INPUT, "cannot write to '%s': it is a squashfs image, which never changes",
                p->image_path);
        return err_hint(e, "'--overlay DIR' keeps changes beside it, '--writable-tmpfs' in memory");
    }
    if (p->root == PLAN_ROOT_LOOP)
        return plan_reopen_writable(p->image_path, &p->image_fd, e);
    p->merge = PLAN_MERGE_IMAGE;
    return 0;
}

static int choose_root(struct runtime_plan *p, const struct runtime_spec *spec, struct err *e)
{
    if (fstat(p->image_fd, &p->image_stat) < 0)
        return err_sys(e, "cannot look at image '%s'", p->image_path);
    p->owner_uid = p->image_stat.st_uid;
    p->owner_gid = p->image_stat.st_gid;
    bool by_kernel =
        p->uid == 0 && !p->userns && plan_only_root_writes(p->image_fd, &p->image_stat);
    switch (p->image.kind) {
    case IMAGE_DIR:
        p->root = PLAN_ROOT_DIR;
        return 0;
    case IMAGE_EXT:
    case IMAGE_SQUASHFS:
    case IMAGE_SIF:
        p->root = by_kernel ? PLAN_ROOT_LOOP : PLAN_ROOT_FUSE;
        p->drop_to_owner = p->uid == 0;
        break;
    }
    if (p->image.kind != IMAGE_EXT && p->root == PLAN_ROOT_FUSE) {
        p->squashfs_server = spec->squashfs_server ? spec->squashfs_server() : NULL;
        if (!p->squashfs_server)
            return no_squashfs(p, e);
    }
    return p->flags & RUNTIME_WRITABLE ? choose_writer(p, e) : 0;
}

/* Where FD lies by the kernel's own account; NULL where it is deleted, or out of reach. */
static char *path_of(int fd)
{
    char link[32], text[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, text, sizeof text);
    if (n <= 0 || n == sizeof text || text[0] != '/')
        return NULL;
    auto_free char *path = mem_strndup(text, (size_t)n);
    return str_ends(path, " (deleted)") ? NULL : steal_ptr(path);
}

static int open_image(struct runtime_plan *p, const char *path, struct err *e)
{
    p->image_fd = image_open(path, &p->image, e);
    if (p->image_fd < 0)
        return -1;
    p->image_path = path_of(p->image_fd);
    if (!p->image_path)
        p->image_path = realpath(path, NULL);
    if (!p->image_path)
        p->image_path = mem_strdup(path);
    return 0;
}

/* Only its owner may put a new file in the image's place as its own. */
static int check_owner(const struct runtime_plan *p, struct err *e)
{
    if (p->merge != PLAN_MERGE_IMAGE || p->uid == 0 || p->owner_uid == p->uid)
        return 0;
    err_set(e, ERR_FAILED, "cannot write to the image '%s' itself: it is another user's",
            p->image_path);
    return err_hint(e, "'--overlay DIR' keeps changes beside it, '--writable-tmpfs' in memory");
}

int runtime_plan_make(const struct runtime_spec *spec, struct runtime_plan **out, struct err *e)
{
    auto_runtime_plan struct runtime_plan *p = mem_zero(1, sizeof *p);
    p->image_fd = -1;
    p->stage_fd = -1;
    p->flags = spec->flags;
    p->uid = geteuid();
    p->gid = getegid();
    p->userns = p->uid != 0 || (p->flags & (RUNTIME_USERNS | RUNTIME_FAKEROOT));
    if (open_image(p, spec->image_path, e) < 0 || choose_root(p, spec, e) < 0 ||
        plan_layers(p, spec, e) < 0 || make_for_host(p, spec, e) < 0 || check_owner(p, e) < 0)
        return -1;
    *out = steal_ptr(p);
    return 0;
}

void runtime_plan_free(struct runtime_plan *p)
{
    cleanup_fd(&p->image_fd);
    for (size_t i = 0; i < p->n_ops; i++) {
        free(p->ops[i].src);
        free(p->ops[i].dst);
    }
    free(p->ops);
    char *const texts[] = { p->image_path,   p->user,  p->home,     p->shell,
                            p->gecos,        p->group, p->hostname, p->cwd,
                            p->shell_inside, p->app,   p->job,      p->squashfs_server };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < p->n_seen; i++)
        free(p->seen[i].path);
    free(p->seen);
    plan_layers_free(p);
    strv_free(&p->env);
    strv_free(&p->env_after);
    strv_free(&p->argv);
    strv_free(&p->keep_fds);
    free(p);
}
