/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "image/image.h"
#include "image/rewrite.h"
#include "image/tree/tree.h"

static size_t count(const char *const *list)
{
    size_t n = 0;
    while (list[n])
        n++;
    return n;
}

/* The last component of PATH; NULL when it means a directory's content ("/", "x/.", ".."). */
static char *entry_name(const char *path)
{
    auto_free char *name = path_base(path);
    if (str_eq(name, "/") || str_eq(name, ".") || str_eq(name, ".."))
        return NULL;
    return steal_ptr(name);
}

static int exists(const char *where, const char *name, struct err *e)
{
    err_set(e, ERR_FAILED, "'%s%s%s' exists already", where, str_ends(where, "/") ? "" : "/", name);
    if (e)
        e->sys = EEXIST;
    return -1;
}

/* ── in ──────────────────────────────────────────────────────────────────────────────────────── */

/* Directories of the host that sources are read below. */
struct open_dirs {
    int *fds;
    size_t n;
};

static void open_dirs_fini(struct open_dirs *d)
{
    while (d->n)
        close(d->fds[--d->n]);
    free(d->fds);
}

/* Where the copies go inside the image: DIR, and under which NAME (NULL: their own). */
struct target {
    struct source_node *dir;
    char *name;
};

static struct source_node *dir_of_ino(struct source *s, uint32_t ino)
{
    for (struct source_node *n = s->root; n; n = source_next(n, false))
        if (S_ISDIR(n->mode) && n->data == ino)
            return n;
    return NULL;
}

/* The node of the directory PATH, links followed inside the image; NULL: there is none. */
static struct source_node *find_dir(const struct rewrite *r, const char *path)
{
    uint32_t ino;
    if (image_read_path(r->tree.reader, path, true, &ino) < 0)
        return NULL;
    return dir_of_ino(r->tree.source, ino);
}

static int find_target(const struct rewrite *r, const struct image_copy_spec *spec,
                       struct target *out, struct err *e)
{
    out->dir = find_dir(r, spec->dest);
    if (out->dir)
        return 0;
    auto_free char *name = entry_name(spec->dest);
    auto_free char *parent = path_dir(spec->dest);
    bool must_be_dir = !name || str_ends(spec->dest, "/") || count(spec->sources) > 1;
    if (must_be_dir)
        return err_set(e, ERR_INPUT, "there is no directory '%s' in the image", spec->dest);
    out->dir = find_dir(r, parent);
    if (!out->dir)
        return err_set(e, ERR_INPUT, "there is no directory '%s' in the image", parent);
    out->name = steal_ptr(name);
    return 0;
}

static struct source *open_host(const char *path, struct open_dirs *dirs, struct err *e)
{
    auto_free char *name = entry_name(path);
    auto_free char *dir = name ? path_dir(path) : mem_strdup(path);
    int flags = (name ? O_PATH : O_RDONLY) | O_DIRECTORY | O_CLOEXEC;
    dirs->fds = mem_grow(dirs->fds, dirs->n, sizeof *dirs->fds);
    int fd = open(dir, flags);
    if (fd < 0) {
        err_sys(e, "cannot copy '%s'", path);
        return NULL;
    }
    dirs->fds[dirs->n++] = fd;
    struct stat st;
    if (name && fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        err_sys(e, "cannot copy '%s'", path);
        return NULL;
    }
    struct source *s = source_from_dir(fd, name, e);
    if (!s)
        err_wrap(e, "cannot copy '%s'", path);
    return s;
}

int image_copy_in(const struct image_copy_spec *spec, struct err *e)
{
    cleanup_with(open_dirs_fini) struct open_dirs dirs = { 0 };
    auto_rewrite struct rewrite r = REWRITE_INIT;
    struct target to = { 0 };
    if (rewrite_open(spec->image, IMAGE_LOCK_REPLACE, &r, e) < 0)
        return -1;
    if (find_target(&r, spec, &to, e) < 0)
        return err_wrap(e, "image '%s'", spec->image);
    auto_free char *name = to.name;
    struct source_graft *g = source_graft_new(r.tree.source);
    const struct source_graft_spec graft = {
        .dir = to.dir, .name = name, .replace = spec->replace, .owners = spec->owners
    };
    for (const char *const *path = spec->sources; *path; path++) {
        auto_source struct source *s = open_host(*path, &dirs, e);
        if (!s)
            return -1;
        if (name && s->root->n_children != 1)
            return err_set(e, ERR_INPUT, "there is no directory '%s' in the image", spec->dest);
        if (source_graft_add(g, &s, &graft, e) < 0)
            return err_wrap(e, "image '%s'", spec->image);
    }
    r.grow = true;
    return rewrite_publish(spec->image, &r, r.edit.info.fs_bytes, e);
}

/* ── out ─────────────────────────────────────────────────────────────────────────────────────── */

/* A place on the host. */
struct host_place {
    int dir_fd;
    const char *dir; /* for messages */
    const char *name;
};

/* Write SOURCE, which is the one entry of that name, whole or not at all. */
static int put_entry(struct source *source, const struct host_place *to, bool replace,
                     struct err *e)
{
    struct stat st;
    int dir_fd = to->dir_fd;
    const char *name = to->name, *where = to->dir;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!replace)
            return exists(where, name, e);
        if (S_ISDIR(st.st_mode)) {
            exists(where, name, e);
            return err_hint(e, "it is a directory: remove it first");
        }
        if (unlinkat(dir_fd, name, 0) < 0)
            return err_sys(e, "cannot replace '%s/%s'", where, name);
    }
    if (source_to_dir(source, dir_fd, false, e) == 0)
        return 0;
    auto_err struct err ignored = { 0 };
    if ((!e || e->sys != EEXIST) && fs_remove_tree(dir_fd, name, &ignored) < 0)
        err_hint(e, "a part of it is left in '%s/%s'", where, name);
    return -1;
}

struct copy_out {
    const struct image_copy_spec *spec;
    int image_fd;
    struct image_info info;
    bool into; /* dest is a directory that is there */
};

static int copy_one(const struct copy_out *c, const char *path, struct err *e)
{
    auto_free char *own = entry_name(path);
    auto_free char *name = c->into || !own ? mem_strdup(own) : entry_name(c->spec->dest);
    auto_free char *dir = c->into || !own ? mem_strdup(c->spec->dest) : path_dir(c->spec->dest);
    if (!own && !c->into && mkdir(dir, 0777) < 0)
        return err_sys(e, "cannot make directory '%s'", dir);
    auto_close int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return err_sys(e, "cannot copy into '%s'", dir);
    auto_source_image struct source_image si = { 0 };
    const struct source_image_spec from = {
        .fd = c->image_fd, .info = &c->info, .path = path, .name = name
    };
    if (source_image_open(&from, &si, e) < 0)
        return err_wrap(e, "image '%s'", c->spec->image);
    if (!name)
        return source_to_dir(si.source, dir_fd, false, e);
    const struct host_place to = { .dir_fd = dir_fd, .dir = dir, .name = name };
    return put_entry(si.source, &to, c->spec->replace, e);
}

int image_copy_out(const struct image_copy_spec *spec, struct err *e)
{
    struct stat st;
    struct copy_out c = { .spec = spec };
    auto_close int fd = image_open(spec->image, &c.info, e);
    if (fd < 0)
        return -1;
    c.image_fd = fd;
    c.into = stat(spec->dest, &st) == 0 && S_ISDIR(st.st_mode);
    if (!c.into && (count(spec->sources) > 1 || str_ends(spec->dest, "/")))
        return err_set(e, ERR_FAILED, "'%s' is no directory", spec->dest);
    for (const char *const *path = spec->sources; *path; path++)
        if (copy_one(&c, *path, e) < 0)
            return -1;
    return 0;
}
