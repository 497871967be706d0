/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/place.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/random.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

enum { MAX_LINKS = 40 };

/* ── finding it ── */

struct walk {
    int dir_fd;
    char *rest; /* of the path, still to be walked */
    unsigned n_links;
};

static void walk_fini(struct walk *w)
{
    cleanup_fd(&w->dir_fd);
    free(w->rest);
}

/* Go on in the directory FD. */
static int enter(struct walk *w, int fd)
{
    if (fd < 0)
        return -1;
    cleanup_fd(&w->dir_fd);
    w->dir_fd = fd;
    return 0;
}

static int open_dir(int dir_fd, const char *name, int more)
{
    return openat(dir_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC | more);
}

/* The rule and its reasons are told in the header. */
static bool may_follow(const struct stat *dir, const struct stat *link)
{
    uid_t me = geteuid();
    bool shared = dir->st_mode & (S_IWGRP | S_IWOTH);
    bool sticky_for_all = (dir->st_mode & S_ISVTX) && (dir->st_mode & S_IWOTH);
    if (!defence("links") || ((dir->st_uid == me || dir->st_uid == 0) && !shared))
        return true;
    if ((link->st_uid == me || link->st_uid == 0) && link->st_nlink == 1)
        return true;
    return me != 0 && (!sticky_for_all || link->st_uid == dir->st_uid);
}

/* Put the target of the link NAME before what is left. Judged and read by one descriptor. */
static int follow(struct walk *w, const char *name, struct err *e)
{
    char target[PATH_MAX];
    struct stat dir, link;
    auto_close int fd = openat(w->dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &link) < 0 || fstat(w->dir_fd, &dir) < 0)
        return err_sys(e, "cannot look at '%s'", name);
    errno = S_ISLNK(link.st_mode) ? ELOOP : ENOTDIR;
    if (!S_ISLNK(link.st_mode) || ++w->n_links > MAX_LINKS)
        return err_sys(e, "cannot follow '%s'", name);
    if (!may_follow(&dir, &link)) {
        err_set(e, ERR_FAILED, "'%s' is a symbolic link of another user, which is not followed",
                name);
        return err_hint(e, "give the path that it leads to");
    }
    ssize_t n = readlinkat(fd, "", target, sizeof target - 1);
    if (n < 0)
        return err_sys(e, "cannot read the link '%s'", name);
    target[n] = 0;
    if (target[0] == '/' && enter(w, open_dir(AT_FDCWD, "/", 0)) < 0)
        return err_sys(e, "cannot follow the link '%s'", name);
    char *rest = mem_printf("%s%s", target, w->rest); /* which starts with a slash, or is empty */
    free(w->rest);
    w->rest = rest;
    return 0;
}

/* Cut the next component off what is left; "." when there is none. */
static char *next_component(struct walk *w)
{
    const char *p = w->rest + strspn(w->rest, "/");
    size_t n = strcspn(p, "/");
    char *name = n ? mem_strndup(p, n) : mem_strdup(".");
    char *rest = mem_strdup(p + n);
    free(w->rest);
    w->rest = rest;
    return name;
}

/* O_DIRECTORY, so that an automounter is asked; then a link shows as ENOTDIR. */
static int descend(struct walk *w, const char *name, struct err *e)
{
    if (enter(w, open_dir(w->dir_fd, name, O_NOFOLLOW)) == 0)
        return 0;
    if (errno == ENOTDIR || errno == ELOOP)
        return follow(w, name, e);
    return err_sys(e, "cannot open directory '%s'", name);
}

/* The last component: 1 when it is found (or absent), 0 when a link was followed instead. */
static int arrive(struct walk *w, char *name, struct place *p, struct err *e)
{
    if (str_eq(name, "..")) { /* a directory by itself is the "." in it */
        if (descend(w, name, e) < 0)
            return -1;
        name[1] = 0;
    }
    free(p->name);
    p->name = mem_strdup(name);
    p->dir_fd = w->dir_fd;
    int rc = place_look(p, e);
    p->dir_fd = -1;
    if (rc < 0)
        return -1;
    if (p->exists && S_ISLNK(p->st.st_mode)) {
        p->linked = true;
        return follow(w, name, e);
    }
    if (*w->rest && !(p->exists && S_ISDIR(p->st.st_mode)))
        return err_set(e, ERR_INPUT, "'%s' is no directory", name);
    p->dir_fd = steal_fd(&w->dir_fd);
    return 1;
}

static int walk(struct walk *w, struct place *p, struct err *e)
{
    for (;;) {
        auto_free char *name = next_component(w);
        bool last = !w->rest[strspn(w->rest, "/")];
        int rc = last ? arrive(w, name, p, e) : descend(w, name, e);
        if (rc != 0)
            return rc;
    }
}

int place_open(const char *path, struct place *out, struct err *e)
{
    auto_place struct place p = PLACE_INIT;
    cleanup_with(walk_fini) struct walk w = { .dir_fd = -1, .rest = mem_strdup(path) };
    if (!*path)
        return err_set(e, ERR_INPUT, "'' does not name a file");
    if (enter(&w, open_dir(AT_FDCWD, *path == '/' ? "/" : ".", 0)) < 0)
        return err_sys(e, "cannot find '%s'", path);
    if (walk(&w, &p, e) < 0)
        return err_wrap(e, "cannot find '%s'", path);
    p.path = mem_strdup(path);
    *out = p;
    p = (struct place)PLACE_INIT;
    return 0;
}

/* Where a link was followed, the directory is not the one that the path tells. */
static char *path_beside(const struct place *p, const char *suffix)
{
    char link[64], dir[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", p->dir_fd);
    ssize_t n = p->linked ? readlink(link, dir, sizeof dir - 1) : -1;
    if (n < 0)
        return mem_printf("%s%s", p->path, suffix);
    dir[n] = 0;
    return mem_printf("%s/%s%s", dir, p->name, suffix);
}

int place_beside(const struct place *p, const char *suffix, struct place *out, struct err *e)
{
    auto_place struct place beside = {
        .path = path_beside(p, suffix),
        .dir_fd = fcntl(p->dir_fd, F_DUPFD_CLOEXEC, 3),
        .found_fd = -1,
        .name = mem_printf("%s%s", p->name, suffix),
    };
    if (beside.dir_fd < 0)
        return err_sys(e, "cannot look at '%s'", beside.path);
    if (place_look(&beside, e) < 0)
        return -1;
    *out = beside;
    beside = (struct place)PLACE_INIT;
    return 0;
}

void place_close(struct place *p)
{
    cleanup_fd(&p->dir_fd);
    cleanup_fd(&p->found_fd);
    free(p->name);
    free(p->path);
    *p = (struct place)PLACE_INIT;
}

/* ── what is there ── */

/* O_DIRECTORY first, which asks an automounter. */
static int open_found(const struct place *p)
{
    int fd = open_dir(p->dir_fd, p->name, O_NOFOLLOW);
    if (fd >= 0 || (errno != ENOTDIR && errno != ELOOP))
        return fd;
    return openat(p->dir_fd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

int place_look(struct place *p, struct err *e)
{
    cleanup_fd(&p->found_fd);
    p->found_fd = open_found(p);
    p->exists = p->found_fd >= 0;
    if (p->exists ? fstat(p->found_fd, &p->st) < 0 : errno != ENOENT)
        return err_sys(e, "cannot look at '%s'", p->path ? p->path : p->name);
    return 0;
}

static int replaced(const struct place *p, struct err *e)
{
    err_set(e, ERR_FAILED, "'%s' was just replaced by another process", p->path);
    return err_hint(e, "look at the new one, then try again");
}

int place_check(const struct place *p, struct err *e)
{
    struct stat now;
    bool there = fstatat(p->dir_fd, p->name, &now, AT_SYMLINK_NOFOLLOW) == 0;
    if (!there && (errno != ENOENT || p->exists))
        return err_sys(e, "cannot look at '%s'", p->path);
    if (!there)
        return 0;
    errno = EEXIST;
    if (!p->exists)
        return err_sys(e, "cannot make '%s'", p->path);
    return now.st_dev == p->st.st_dev && now.st_ino == p->st.st_ino ? 0 : replaced(p, e);
}

int place_open_found(const struct place *p, int flags, struct err *e)
{
    struct stat now;
    errno = ENOENT;
    if (!p->exists)
        return err_sys(e, "cannot open '%s'", p->path);
    if (!S_ISREG(p->st.st_mode) && !S_ISDIR(p->st.st_mode))
        return err_set(e, ERR_INPUT, "'%s' is neither a file nor a directory", p->path);
    auto_close int fd =
        openat(p->dir_fd, p->name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP)
        return replaced(p, e);
    if (fd < 0 || fstat(fd, &now) < 0)
        return err_sys(e, "cannot open '%s'", p->path);
    if (now.st_dev != p->st.st_dev || now.st_ino != p->st.st_ino)
        return replaced(p, e);
    return steal_fd(&fd);
}

/* ── names beside it ── */

static char *temp_prefix(const struct place *p, const char *word)
{
    return mem_printf(".%.180s.hpcc-%s-", p->name, word);
}

char *place_temp_name(const struct place *p, const char *word)
{
    uint64_t random = 0;
    auto_free char *prefix = temp_prefix(p, word);
    if (defence("stage") && getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        random = (uint64_t)getpid(); /* the name is then guessed more easily, which stops us at
                                        worst: an existing one is never accepted */
    return mem_printf("%s%016" PRIx64, prefix, random);
}

bool place_is_ours(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return false;
    errno = EPERM;
    if (st.st_uid != geteuid())
        return false;
    return S_ISREG(st.st_mode) || (S_ISDIR(st.st_mode) && (st.st_mode & 0777) == 0700);
}

/* Whether NAME is one that place_temp_name gives (older versions ended it with a process id). */
static bool is_temp_name(const struct place *p, const char *name)
{
    static const char *const words[] = { PLACE_DRAFT, PLACE_STAGE, PLACE_COPY, PLACE_CHANGES };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        auto_free char *prefix = temp_prefix(p, words[i]);
        if (!str_starts(name, prefix))
            continue;
        const char *rest = name + strlen(prefix);
        return *rest && !rest[strspn(rest, "0123456789abcdef")];
    }
    return false;
}

struct sweep {
    const struct place *p;
    const char *except; /* our own, or NULL */
    bool judged;        /* nobody else names things here: what has such a name is what it says */
    char *busy;
};

static int remove_left(const struct sweep *s, const char *name, int fd, struct err *e)
{
    struct stat st, now;
    if (fstat(fd, &st) < 0)
        return err_sys(e, "cannot look at '%s'", name);
    if (S_ISDIR(st.st_mode))
        return fs_remove_opened(s->p->dir_fd, name, fd, e);
    errno = ENOENT;
    if (fstatat(s->p->dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) < 0 || now.st_dev != st.st_dev ||
        now.st_ino != st.st_ino || unlinkat(s->p->dir_fd, name, 0) < 0)
        return err_sys(e, "cannot remove '%s'", name);
    return 0;
}

static int sweep_name(void *ctx, const char *name)
{
    struct sweep *s = ctx;
    auto_err struct err why = { 0 };
    if (str_eq(name, s->except) || !is_temp_name(s->p, name))
        return 0;
    auto_close int fd =
        openat(s->p->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || !place_is_ours(fd))
        return 0;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK && !s->busy)
            s->busy = mem_strdup(name);
        return 0; /* or there are no locks here, and it cannot be judged */
    }
    if (!s->judged)
        return 0;
    if (remove_left(s, name, fd, &why) < 0)
        log_verbose("what a killed process left beside '%s' stays: %s", s->p->path, why.msg);
    else
        log_info("removed '%s', which a killed process left", name);
    return 0;
}

/* Whether what is ours in the directory FD has its name from us: whoever may rename there can give a
 * directory of ours, full of other things, the name of one that was left. */
static bool names_are_ours(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return false;
    mode_t others = geteuid() == 0 ? S_IWGRP | S_IWOTH : S_IWOTH;
    bool renamed = (st.st_mode & others) && !(st.st_mode & S_ISVTX);
    return ((st.st_uid == geteuid() || st.st_uid == 0) && !renamed) || !defence("sweep");
}

char *place_sweep_but(const struct place *p, const char *except)
{
    struct sweep s = { .p = p, .except = except };
    auto_close int fd = openat(p->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s.judged = fd >= 0 && names_are_ours(fd);
    if (fd < 0 || fs_each_name(fd, sweep_name, &s) < 0)
        log_debug("what killed processes left beside '%s' cannot be seen: %s", p->path,
                  strerror(errno));
    return s.busy;
}

void place_sweep(const struct place *p)
{
    auto_free char *busy = place_sweep_but(p, NULL);
    (void)busy;
}
