/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"

enum {
    MAX_LINKS = 40,
    MAX_ENTRIES = 4096, /* of a directory that is covered: each costs a mount */
};

void newroot_init(struct newroot *r)
{
    *r = (struct newroot){ .session_fd = -1 };
    mounter_open(&r->m);
}

int newroot_open(struct newroot *r, struct err *e)
{
    const struct mount_fs session = { .type = "tmpfs",
                                      .source = "hpcc",
                                      .options = "mode=0755",
                                      .attrs = MOUNT_NOSUID | MOUNT_NODEV };
    struct stat st;
    if (mounter_root_fs(&r->m, &session, e) < 0)
        return -1;
    r->session_fd = steal_fd(&r->m.root_fd);
    if (fstat(r->session_fd, &st) < 0 || mkdirat(r->session_fd, MOUNTER_BASE, 0755) < 0)
        return err_sys(e, "cannot prepare the new root");
    r->session_dev = st.st_dev;
    r->m.base_fd = r->session_fd;
    return 0;
}

void newroot_close(struct newroot *r)
{
    mounter_close(&r->m);
    cleanup_fd(&r->session_fd);
    strv_free(&r->covers);
    r->m.base_fd = r->session_fd = -1;
}

/* ── what is missing ── */

struct missing {
    char *dir;      /* what exists of the path: a directory, or there is no way on; free of links */
    int fd;         /* it, O_PATH; -1: not opened yet */
    struct stat st; /* it, when it has been opened */
    char *rest;     /* what has to be made below it; "" when nothing is missing */
};

static void missing_fini(struct missing *w)
{
    free(w->dir);
    free(w->rest);
    fds_spend(w->fd);
}

/* Take the first word of what is left. */
static char *next_word(char **left)
{
    char *at = *left + strspn(*left, "/");
    size_t len = strcspn(at, "/");
    char *word = len ? mem_strndup(at, len) : NULL;
    char *rest = mem_strdup(at + len + strspn(at + len, "/"));
    free(*left);
    *left = rest;
    return word;
}

/* Put the text of the symlink that W is before what is left. Returns whether it is absolute. */
static bool follow(const struct missing *w, char **left)
{
    char text[4096];
    ssize_t n = readlinkat(w->fd, "", text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    char *all = path_join(text, *left);
    free(*left);
    *left = all;
    return text[0] == '/';
}

/* Go to DIR, which W takes, without opening it. */
static void go_to(struct missing *w, char *dir)
{
    fds_spend(w->fd);
    free(w->dir);
    *w = (struct missing){ .dir = dir, .fd = -1 };
}

static int open_here(int root_fd, struct missing *w)
{
    if (w->fd < 0)
        w->fd = fs_open_at(root_fd, w->dir, O_PATH | O_NOFOLLOW, 0, NULL);
    return w->fd < 0 ? -1 : fstat(w->fd, &w->st);
}

/* Split PATH where it ends to exist; DIR names what will be covered. A dangling link is followed to
 * where it points, since that is where the kernel would look. */
static int find_missing(int root_fd, const char *path, struct missing *out, struct err *e)
{
    auto_free char *left = mem_strdup(path);
    go_to(out, mem_strdup("/"));
    for (unsigned links = 0; links <= MAX_LINKS;) {
        auto_free char *word = next_word(&left);
        if (word && strcmp(word, ".") == 0) /* not str_eq: GCC 12 at -O2 would have it freed */
            continue;
        if (word && strcmp(word, "..") == 0) {
            go_to(out, path_dir(out->dir));
            continue;
        }
        cleanup_with(missing_fini) struct missing next = { .fd = -1 };
        next.dir = word ? path_join(out->dir, word) : NULL;
        if (!word || open_here(root_fd, &next) < 0) {
            out->rest = !word ? mem_strdup("") : *left ? path_join(word, left) : steal_ptr(word);
            if (out->fd < 0 && open_here(root_fd, out) < 0)
                return err_sys(e, "cannot look at '%s' in the image", out->dir);
            return 0;
        }
        if (S_ISLNK(next.st.st_mode)) {
            links++;
            if (follow(&next, &left))
                go_to(out, mem_strdup("/"));
            continue;
        }
        struct missing before = *out;
        *out = next;
        next = before;
    }
    return err_set(e, ERR_INPUT, "too many links on the way to '%s' in the image", path);
}

/* ── the underlay ── */

struct cover {
    struct newroot *r;
    const char *path; /* of the covered directory */
    int old_fd;       /* that directory */
    int new_fd;       /* its stand-in in the session */
    struct strv binds;
    struct err why; /* of making them */
};

static void cover_fini(struct cover *c)
{
    fds_spend(c->old_fd);
    fds_spend(c->new_fd);
    strv_free(&c->binds);
    err_clear(&c->why);
}

/* A place to bind one entry on; links are copied as they are. */
static int make_stand_in(struct cover *c, const char *name)
{
    struct stat st;
    if (fstatat(c->old_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0; /* gone, or damaged: then it is not shown */
    if (S_ISLNK(st.st_mode)) {
        char buf[4096];
        ssize_t n = readlinkat(c->old_fd, name, buf, sizeof buf - 1);
        if (n < 0)
            return 0;
        buf[n] = 0;
        return symlinkat(buf, c->new_fd, name);
    }
    strv_add(&c->binds, name);
    if (S_ISDIR(st.st_mode))
        return mkdirat(c->new_fd, name, 0755);
    auto_spent int fd = openat(c->new_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    return fd < 0 ? -1 : 0;
}

static int stand_in(void *ctx, const char *name)
{
    struct cover *c = ctx;
    if (c->binds.n >= MAX_ENTRIES) {
        err_set(&c->why, ERR_INPUT,
                "cannot add a mount point to directory '%s' of the image: it has more than %d "
                "entries",
                c->path, MAX_ENTRIES);
        return err_hint(&c->why, "choose another target, or make the mount point in the image");
    }
    return make_stand_in(c, name) < 0 ? err_sys(&c->why, "cannot prepare '%s'", name) : 0;
}

static int make_stand_ins(struct cover *c, struct err *e)
{
    auto_spent int fd = openat(c->old_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fs_each_name(fd, stand_in, c) == 0)
        return 0;
    return c->why.code ? err_move(e, &c->why)
                       : err_sys(e, "cannot read directory '%s' of the image", c->path);
}

static int show_entries(struct cover *c, struct err *e)
{
    for (size_t i = 0; i < c->binds.n; i++) {
        const char *name = c->binds.v[i];
        auto_close int src = openat(c->old_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        auto_free char *dst = path_join(c->path, name);
        if (src < 0)
            continue;
        if (mounter_bind(&c->r->m, src, dst, 0, e) < 0)
            return -1;
    }
    return 0;
}

/* Make PATH below DIR_FD, a directory of the session, where nobody but us makes anything. */
static int make_path(int dir_fd, const char *path, bool file, struct err *e)
{
    auto_free char *left = mem_strdup(path);
    int at = dir_fd;
    for (;;) {
        auto_free char *name = next_word(&left);
        if (file && !*left) {
            auto_spent int made =
                openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444);
            return made < 0 ? err_sys(e, "cannot prepare '%s'", path) : 0;
        }
        if (mkdirat(at, name, 0755) < 0)
            return err_sys(e, "cannot prepare '%s'", path);
        if (!*left)
            return 0;
        at = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (at < 0)
            return err_sys(e, "cannot prepare '%s'", path);
        fds_spend(at);
    }
}

static char *cover_name(size_t i)
{
    return mem_printf("u%zu", i);
}

/* Cover W's directory by one that has the missing path too. */
static int cover(struct newroot *r, struct missing *w, bool file, struct err *e)
{
    cleanup_with(cover_fini) struct cover c = { .r = r, .path = w->dir, .new_fd = -1 };
    auto_free char *name = cover_name(r->covers.n);
    c.old_fd = w->fd;
    w->fd = -1;
    if (mkdirat(r->session_fd, name, (w->st.st_mode & 01777) | 0700) < 0)
        return err_sys(e, "cannot prepare '%s'", w->dir);
    c.new_fd = openat(r->session_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c.new_fd < 0)
        return err_sys(e, "cannot prepare '%s'", w->dir);
    if (make_stand_ins(&c, e) < 0 || make_path(c.new_fd, w->rest, file, e) < 0)
        return -1;
    unsigned attrs = MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV;
    int rc = str_eq(w->dir, "/") ? mounter_root_bind(&r->m, c.new_fd, attrs, e)
                                 : mounter_bind(&r->m, c.new_fd, w->dir, attrs, e);
    if (rc < 0)
        return -1;
    strv_add(&r->covers, w->dir);
    return show_entries(&c, e);
}

/* W's directory is of the session already: what is shown of it is read-only, so go there by the
 * session. */
static int add_to_cover(struct newroot *r, const struct missing *w, bool file, struct err *e)
{
    size_t best = 0, best_len = 0;
    for (size_t i = 0; i < r->covers.n; i++)
        if (path_within(w->dir, r->covers.v[i]) && strlen(r->covers.v[i]) >= best_len) {
            best = i;
            best_len = strlen(r->covers.v[i]);
        }
    auto_free char *name = cover_name(best);
    auto_free char *dir = path_join(name, w->dir + best_len);
    auto_close int fd = fs_open_at(r->session_fd, dir, O_PATH | O_DIRECTORY, 0, e);
    return fd < 0 ? -1 : make_path(fd, w->rest, file, e);
}

int newroot_provide(struct newroot *r, const char *path, bool file, struct err *e)
{
    cleanup_with(missing_fini) struct missing w = { .fd = -1 };
    if (find_missing(r->m.root_fd, path, &w, e) < 0)
        return -1;
    if (!*w.rest)
        return 0;
    if (!S_ISDIR(w.st.st_mode))
        return err_set(e, ERR_INPUT, "cannot make mount point '%s': '%s' is not a directory", path,
                       w.dir);
    int rc = w.st.st_dev == r->session_dev ? add_to_cover(r, &w, file, e) : cover(r, &w, file, e);
    return rc < 0 ? err_wrap(e, "mount point '%s'", path) : 0;
}

int newroot_file(struct newroot *r, const char *name, const struct str *data, struct err *e)
{
    auto_close int fd =
        openat(r->session_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 || fs_write_full(fd, data->data, data->len) < 0)
        return err_sys(e, "cannot write '%s'", name);
    return steal_fd(&fd);
}
