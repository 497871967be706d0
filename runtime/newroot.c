/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/newroot.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "runtime/fds.h"

enum {
    MAX_LINKS = 40,
    MAX_ENTRIES = 4096, /* of a directory that is covered: each costs a mount */
};

int newroot_open(struct newroot *r, struct err *e)
{
    struct mount_fs session = { .type = "tmpfs",
                                .source = "hpcc",
                                .options = "mode=0755",
                                .attrs = MOUNT_NOSUID | MOUNT_NODEV };
    struct stat st;
    *r = (struct newroot){ .session_fd = -1 };
    mounter_open(&r->m);
    if (mounter_root_fs(&r->m, &session, e) < 0)
        return -1;
    r->session_fd = steal_fd(&r->m.root_fd);
    if (fstat(r->session_fd, &st) < 0 || mkdirat(r->session_fd, MOUNTER_BASE, 0755) < 0)
        return err_sys(e, "cannot prepare the new root");
    r->session_dev = st.st_dev;
    r->m.base_fd =
        openat(r->session_fd, MOUNTER_BASE, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return r->m.base_fd < 0 ? err_sys(e, "cannot prepare the new root") : 0;
}

void newroot_close(struct newroot *r)
{
    mounter_close(&r->m);
    cleanup_fd(&r->m.base_fd);
    cleanup_fd(&r->session_fd);
    strv_free(&r->covers);
    r->m.base_fd = r->session_fd = -1;
}

/* ── what is missing ── */

struct missing {
    char *dir;  /* the deepest directory that exists */
    char *rest; /* what has to be made below it; "" when nothing is missing */
};

static void missing_fini(struct missing *w)
{
    free(w->dir);
    free(w->rest);
}

/* The text of the symlink PATH. */
static char *link_text(int root_fd, const char *path)
{
    char buf[4096];
    auto_close int fd = fs_open_at(root_fd, path, O_PATH | O_NOFOLLOW, 0, NULL);
    ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", buf, sizeof buf - 1);
    return n < 0 ? mem_strdup("") : mem_strndup(buf, (size_t)n);
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

static void go_up(char **done)
{
    char *dir = path_dir(*done);
    free(*done);
    *done = dir;
}

/* Split PATH where it ends to exist: DIR is free of links, so that it names what will be covered.
 * A dangling link is followed to where it points, since that is where the kernel would look. */
static int find_missing(int root_fd, const char *path, struct missing *out, struct err *e)
{
    auto_free char *left = mem_strdup(path);
    auto_free char *done = mem_strdup("/");
    for (unsigned links = 0; links <= MAX_LINKS;) {
        auto_free char *word = next_word(&left);
        struct stat st;
        if (!word || strcmp(word, ".") == 0) { /* not str_eq: GCC 12 at -O2 would have it freed */
            if (word)
                continue;
            out->dir = steal_ptr(done);
            out->rest = mem_strdup("");
            return 0;
        }
        if (str_eq(word, "..")) {
            go_up(&done);
            continue;
        }
        auto_free char *here = path_join(done, word);
        if (fs_stat_at(root_fd, here, false, &st) < 0) {
            out->dir = steal_ptr(done);
            out->rest = *left ? path_join(word, left) : steal_ptr(word);
            return 0;
        }
        if (S_ISLNK(st.st_mode)) {
            auto_free char *text = link_text(root_fd, here);
            char *all = path_join(text, left);
            free(left);
            left = all;
            links++;
            if (text[0] != '/')
                continue;
            free(done);
            done = mem_strdup("/");
            continue;
        }
        free(done);
        done = steal_ptr(here);
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
};

static void cover_fini(struct cover *c)
{
    fds_spend(c->old_fd);
    fds_spend(c->new_fd);
    strv_free(&c->binds);
}

/* A place to bind one entry on; links are copied as they are. */
static int stand_in(struct cover *c, const char *name, struct err *e)
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
        if (symlinkat(buf, c->new_fd, name) < 0)
            return err_sys(e, "cannot prepare '%s'", name);
        return 0;
    }
    if (S_ISDIR(st.st_mode)) {
        if (mkdirat(c->new_fd, name, 0755) < 0)
            return err_sys(e, "cannot prepare '%s'", name);
    } else {
        auto_close int fd = openat(c->new_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
        if (fd < 0)
            return err_sys(e, "cannot prepare '%s'", name);
    }
    strv_add(&c->binds, name);
    return 0;
}

static int make_stand_ins(struct cover *c, struct err *e)
{
    int dup_fd = openat(c->old_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_dir DIR *d = dup_fd < 0 ? NULL : fdopendir(dup_fd);
    if (!d)
        return err_sys(e, "cannot read directory '%s' of the image", c->path);
    for (struct dirent *de; (de = readdir(d));) {
        if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
            continue;
        if (c->binds.n >= MAX_ENTRIES) {
            err_set(e, ERR_INPUT,
                    "cannot add a mount point to directory '%s' of the image: it has "
                    "more than %d entries",
                    c->path, MAX_ENTRIES);
            return err_hint(e, "choose another target, or make the mount point in the image");
        }
        if (stand_in(c, de->d_name, e) < 0)
            return -1;
    }
    return 0;
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

static int cover(struct newroot *r, const char *path, struct err *e)
{
    cleanup_with(cover_fini) struct cover c = { .r = r, .path = path, .old_fd = -1, .new_fd = -1 };
    auto_free char *name = mem_printf("u%zu", r->covers.n);
    struct stat st;
    c.old_fd = fs_open_at(r->m.root_fd, path, O_PATH | O_DIRECTORY, 0, e);
    if (c.old_fd < 0)
        return -1;
    if (mkdirat(r->session_fd, name, 0755) < 0 || fstat(c.old_fd, &st) < 0)
        return err_sys(e, "cannot prepare '%s'", path);
    c.new_fd = openat(r->session_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (c.new_fd < 0 || fchmod(c.new_fd, (st.st_mode & 01777) | 0700) < 0)
        return err_sys(e, "cannot prepare '%s'", path);
    if (make_stand_ins(&c, e) < 0)
        return -1;
    int rc = str_eq(path, "/") ? mounter_root_bind(&r->m, c.new_fd, 0, e)
                               : mounter_bind(&r->m, c.new_fd, path, 0, e);
    if (rc < 0)
        return -1;
    strv_add(&r->covers, path);
    return show_entries(&c, e);
}

static int make_below(struct newroot *r, const struct missing *w, bool file, struct err *e)
{
    auto_free char *full = path_join(w->dir, w->rest);
    if (!file)
        return fs_mkdirs_at(r->m.root_fd, full, 0755, e);
    auto_free char *dir = path_dir(full);
    if (fs_mkdirs_at(r->m.root_fd, dir, 0755, e) < 0)
        return -1;
    auto_close int fd = fs_open_at(r->m.root_fd, full, O_WRONLY | O_CREAT | O_EXCL, 0444, e);
    return fd < 0 ? -1 : 0;
}

int newroot_provide(struct newroot *r, const char *path, bool file, struct err *e)
{
    cleanup_with(missing_fini) struct missing w = { 0 };
    struct stat st;
    if (fs_stat_at(r->m.root_fd, path, true, &st) == 0)
        return 0;
    if (find_missing(r->m.root_fd, path, &w, e) < 0)
        return -1;
    if (!*w.rest)
        return 0;
    if (fs_stat_at(r->m.root_fd, w.dir, true, &st) < 0)
        return err_sys(e, "cannot look at '%s' in the image", w.dir);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_INPUT, "cannot make mount point '%s': '%s' is not a directory", path,
                       w.dir);
    if (st.st_dev != r->session_dev && cover(r, w.dir, e) < 0)
        return err_wrap(e, "mount point '%s'", path);
    return make_below(r, &w, file, e);
}

int newroot_seal(struct newroot *r, struct err *e)
{
    for (size_t i = 0; i < r->covers.n; i++)
        if (mounter_restrict(&r->m, r->covers.v[i], MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV, e) < 0)
            return -1;
    return 0;
}

int newroot_file(struct newroot *r, const char *name, const struct str *data, struct err *e)
{
    auto_close int fd =
        openat(r->session_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 || fs_write_full(fd, data->data, data->len) < 0)
        return err_sys(e, "cannot write '%s'", name);
    return steal_fd(&fd);
}
