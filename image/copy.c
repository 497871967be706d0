/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <string.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/stage.h"
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
        return err_wrap(e, "image '%s'", spec->image->path);
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
            return err_wrap(e, "image '%s'", spec->image->path);
    }
    r.grow = true;
    return rewrite_publish(spec->image, &r, r.edit.info.fs_bytes, e);
}

/* ── out ─────────────────────────────────────────────────────────────────────────────────────── */

struct copy_out {
    const struct image_copy_spec *spec;
    int image_fd;
    struct image_info info;
    struct place *to;
    bool into;  /* the destination is a directory that is there */
    int dir_fd; /* where the copies go */
};

/* One copy on its way out of the hidden directory. */
struct moving {
    const struct copy_out *c;
    int from_fd;
    struct err *e;
};

/* For messages. */
static char *shown_name(const struct copy_out *c, const char *name)
{
    return c->into ? path_join(c->spec->dest, name) : mem_strdup(c->spec->dest);
}

static int give_way(const struct moving *m, const char *name, const char *shown)
{
    struct stat old;
    struct err *e = m->e;
    int to_fd = m->c->dir_fd;
    if (!m->c->spec->replace) {
        err_set(e, ERR_FAILED, "'%s' exists already", shown);
        e->sys = EEXIST;
        return -1;
    }
    /* Exchanged first and looked at then: what is there cannot become something else between. */
    bool exchanged = renameat2(m->from_fd, name, to_fd, name, RENAME_EXCHANGE) == 0;
    if (!exchanged && errno != EINVAL && errno != ENOSYS)
        return err_sys(e, "cannot replace '%s'", shown);
    if (fstatat(exchanged ? m->from_fd : to_fd, name, &old, AT_SYMLINK_NOFOLLOW) < 0)
        return err_sys(e, "cannot replace '%s'", shown);
    if (S_ISDIR(old.st_mode)) {
        if (exchanged && renameat2(m->from_fd, name, to_fd, name, RENAME_EXCHANGE) < 0)
            return err_sys(e, "cannot put '%s' back", shown);
        err_set(e, ERR_FAILED, "'%s' exists already", shown);
        e->sys = EEXIST;
        return err_hint(e, "it is a directory: remove it first");
    }
    if (exchanged)
        return 0;
    if (unlinkat(to_fd, name, 0) < 0 || renameat(m->from_fd, name, to_fd, name) < 0)
        return err_sys(e, "cannot replace '%s'", shown);
    return 0;
}

static int move_out(const struct moving *m, const char *name, const char *shown)
{
    int to_fd = m->c->dir_fd;
    unsigned flags = defence("place") ? RENAME_NOREPLACE : 0;
    if (renameat2(m->from_fd, name, to_fd, name, flags) == 0)
        return 0;
    struct stat st;
    if (errno == EEXIST)
        return give_way(m, name, shown);
    if (errno != EINVAL && errno != ENOSYS)
        return err_sys(m->e, "cannot make '%s'", shown);
    if (fstatat(to_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) /* no such renames here (NFS) */
        return give_way(m, name, shown);
    return renameat(m->from_fd, name, to_fd, name) == 0 ? 0
                                                        : err_sys(m->e, "cannot make '%s'", shown);
}

/* A directory goes to another parent only where its ".." may be written. */
static int move_name(void *ctx, const char *name)
{
    const struct moving *m = ctx;
    struct stat st;
    auto_free char *shown = shown_name(m->c, name);
    auto_close int fd =
        openat(m->from_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    bool shut = fd >= 0 && fstat(fd, &st) == 0 && !(st.st_mode & S_IWUSR);
    if (shut && fchmod(fd, 0700) < 0)
        return err_sys(m->e, "cannot make '%s'", shown);
    int rc = move_out(m, name, shown);
    if (shut && fchmod(fd, st.st_mode & 07777) < 0 && rc == 0)
        rc = err_sys(m->e, "cannot set the mode of '%s'", shown);
    return rc;
}

/* Make the copy in a hidden directory that only we can enter, then move it to its name: it is whole
 * or not there, and whoever can write the destination cannot lay a link under our hands. */
static int put(const struct copy_out *c, struct source *source, const char *name, struct err *e)
{
    auto_err struct err why = { 0 };
    cleanup_with(stage_fini) struct stage stage = STAGE_INIT;
    const struct stage_spec spec = {
        .dir_fd = c->dir_fd,
        .dir = c->spec->dest,
        .name = name ? name : "content",
        .word = PLACE_COPY,
    };
    unsigned flags = c->spec->owners && geteuid() == 0 ? 0 : SOURCE_TO_HARMLESS;
    if (stage_plan(&spec, &stage, e) < 0)
        return -1;
    place_sweep(&stage.at);
    if (stage_make(&stage, e) < 0)
        return err_wrap(e, "cannot copy into '%s'", c->spec->dest);
    struct moving m = { c, stage.fd, &why };
    int rc = source_to_dir(source, stage.fd, flags, &why);
    auto_close int list_fd = openat(stage.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (rc == 0)
        rc = list_fd < 0 ? -1 : fs_each_name(list_fd, move_name, &m);
    if (rc < 0 && why.code == ERR_NONE)
        err_sys(&why, "cannot copy to '%s'", c->spec->dest);
    if (stage_remove(&stage, rc < 0 ? NULL : &why) < 0)
        log_warn("a part of the copy stays in '%s'", stage.name);
    return rc < 0 ? err_move(e, &why) : 0;
}

static int copy_one(struct copy_out *c, const char *path, struct err *e)
{
    auto_free char *own = entry_name(path);
    auto_free char *name = c->into || !own ? mem_strdup(own) : mem_strdup(c->to->name);
    auto_source_image struct source_image si = { 0 };
    const struct source_image_spec from = {
        .fd = c->image_fd, .info = &c->info, .path = path, .name = name
    };
    if (source_image_open(&from, &si, e) < 0)
        return err_wrap(e, "image '%s'", c->spec->image->path);
    return put(c, si.source, name, e);
}

/* The directory that the copies go into: what was found, what is made now for the content of one,
 * or the one that holds the new name. */
static int open_dest(struct copy_out *c, struct err *e)
{
    struct place *to = c->to;
    bool content = false;
    for (const char *const *path = c->spec->sources; *path; path++) {
        auto_free char *own = entry_name(*path);
        content = content || !own;
    }
    if (!c->into && content) {
        if (mkdirat(to->dir_fd, to->name, 0777) < 0)
            return err_sys(e, "cannot make directory '%s'", c->spec->dest);
        if (place_look(to, e) < 0)
            return -1;
        c->into = true;
    }
    c->dir_fd = c->into ? place_open_found(to, O_RDONLY | O_DIRECTORY, e)
                        : openat(to->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return c->dir_fd < 0 ? err_wrap(e, "cannot copy into '%s'", c->spec->dest) : 0;
}

int image_copy_out(const struct image_copy_spec *spec, struct err *e)
{
    struct copy_out c = { .spec = spec, .to = spec->to, .dir_fd = -1 };
    auto_close int fd = image_open_place(spec->image, &c.info, e);
    if (fd < 0)
        return -1;
    c.image_fd = fd;
    c.into = spec->to->exists && S_ISDIR(spec->to->st.st_mode);
    if (!c.into && count(spec->sources) > 1)
        return err_set(e, ERR_FAILED, "'%s' is no directory", spec->dest);
    int rc = open_dest(&c, e);
    for (const char *const *path = spec->sources; *path && rc == 0; path++)
        rc = copy_one(&c, *path, e);
    cleanup_fd(&c.dir_fd);
    return rc;
}
