/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tree/tree.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

/* A file that came from another tree. Its node's data is GRAFTED and the index here. */
struct scion {
    const struct source *source;
    const struct source_node *node;
};
#define GRAFTED (1ull << 63)

struct source_graft {
    struct source *base;
    const struct source_ops *ops; /* the base's own */
    void *ctx;
    struct scion *scions;
    size_t n_scions;
    struct source **added;
    size_t n_added;
};

/* ── contents ────────────────────────────────────────────────────────────────────────────────── */

static ssize_t graft_read(void *ctx, const struct source_node *n, void *buf, size_t len,
                          uint64_t offset, struct err *e)
{
    const struct source_graft *g = ctx;
    if (!(n->data & GRAFTED))
        return g->ops->read(g->ctx, n, buf, len, offset, e);
    const struct scion *x = &g->scions[n->data & ~GRAFTED];
    return x->source->ops->read(x->source->ctx, x->node, buf, len, offset, e);
}

static int64_t graft_seek(void *ctx, const struct source_node *n, uint64_t offset, bool hole,
                          struct err *e)
{
    const struct source_graft *g = ctx;
    const struct source_ops *ops = g->ops;
    void *ops_ctx = g->ctx;
    if (n->data & GRAFTED) {
        const struct scion *x = &g->scions[n->data & ~GRAFTED];
        ops = x->source->ops;
        ops_ctx = x->source->ctx;
        n = x->node;
    }
    if (ops->seek)
        return ops->seek(ops_ctx, n, offset, hole, e);
    return hole ? (int64_t)n->size : (int64_t)offset;
}

static void graft_close(void *ctx)
{
    struct source_graft *g = ctx;
    for (size_t i = 0; i < g->n_added; i++)
        source_free(g->added[i]);
    if (g->ops && g->ops->close)
        g->ops->close(g->ctx);
    free(g->added);
    free(g->scions);
    free(g);
}

static const struct source_ops graft_ops = { .read = graft_read,
                                             .seek = graft_seek,
                                             .close = graft_close };

struct source_graft *source_graft_new(struct source *base)
{
    struct source_graft *g = mem_zero(1, sizeof *g);
    g->base = base;
    g->ops = base->ops;
    g->ctx = base->ctx;
    base->ops = &graft_ops;
    base->ctx = g;
    return g;
}

/* ── nodes ───────────────────────────────────────────────────────────────────────────────────── */

static int clash(const struct source_node *dir, const char *name, const char *what, struct err *e)
{
    auto_free char *path = source_path(dir);
    auto_free char *shown = str_printable(path);
    err_set(e, ERR_FAILED, "'%.300s%s%.255s' %s", shown, dir->parent ? "/" : "", name, what);
    if (e)
        e->sys = EEXIST;
    return -1;
}

void source_graft_content(struct source_graft *g, const struct source *from,
                          const struct source_node *f, struct source_node *n)
{
    g->scions = mem_grow(g->scions, g->n_scions, sizeof *g->scions);
    n->data = GRAFTED | g->n_scions;
    g->scions[g->n_scions++] = (struct scion){ from, f };
}

static int take_metadata(const struct source_node *f, struct source_node *n, bool owners,
                         struct err *e)
{
    n->mode = f->mode;
    if (owners) {
        n->uid = f->uid;
        n->gid = f->gid;
    } else if (!S_ISDIR(f->mode)) { /* setgid on a directory is no privilege */
        n->mode &= ~(uint32_t)(S_ISUID | S_ISGID);
    }
    n->rdev_major = f->rdev_major;
    n->rdev_minor = f->rdev_minor;
    n->size = f->size;
    source_times_copy(f, n);
    n->target = mem_strdup(f->target);
    for (size_t i = 0; i < f->n_xattrs; i++) {
        const struct source_xattr *x = &f->xattrs[i];
        if (!owners && str_eq(x->name, "security.capability"))
            continue;
        if (source_xattr_set(n, x->name, x->value, x->len, e) < 0)
            return -1;
    }
    return 0;
}

/* The node that F becomes: a new one, or the directory that is there. F's mark gets its address. */
static int add_node(struct source_graft *g, const struct source *from, struct source_node *f,
                    const struct source_graft_spec *spec, struct err *e)
{
    struct source_node *file = source_file(f);
    struct source_node *dir = (struct source_node *)(uintptr_t)f->parent->mark;
    const char *name = !f->parent->parent && spec->name ? spec->name : f->name;
    struct source_node *old = source_find(g->base, dir, name, strlen(name));
    if (old && S_ISDIR(old->mode) != S_ISDIR(f->mode))
        return clash(dir, name, S_ISDIR(f->mode) ? "is a file there" : "is a directory there", e);
    if (old && S_ISDIR(f->mode)) {
        f->mark = (uint64_t)(uintptr_t)old;
        return 0;
    }
    if (old && !spec->replace)
        return clash(dir, name, "exists already", e);
    if (old)
        source_remove(g->base, old);
    struct source_node *n = source_add(g->base, dir, name, strlen(name), f->mode & S_IFMT, e);
    if (!n)
        return -1;
    if (!S_ISDIR(f->mode) && file->mark)
        return source_link(n, (struct source_node *)(uintptr_t)file->mark, e);
    file->mark = (uint64_t)(uintptr_t)n;
    source_graft_content(g, from, file, n);
    return take_metadata(file, n, spec->owners, e);
}

struct source *source_graft_adopt(struct source_graft *g, struct source **take)
{
    struct source *from = steal_ptr(*take);
    g->added = mem_grow(g->added, g->n_added, sizeof(struct source *));
    g->added[g->n_added++] = from;
    source_sort(from);
    for (struct source_node *n = from->root; n; n = source_next(n, false))
        n->mark = 0;
    return from;
}

int source_graft_add(struct source_graft *g, struct source **take,
                     const struct source_graft_spec *spec, struct err *e)
{
    struct source *from = source_graft_adopt(g, take);
    from->root->mark = (uint64_t)(uintptr_t)spec->dir;
    for (struct source_node *n = source_next(from->root, false); n; n = source_next(n, false))
        if (add_node(g, from, n, spec, e) < 0)
            return -1;
    return 0;
}
