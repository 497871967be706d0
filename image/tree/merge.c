/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tree/tree.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

/* Root's overlays keep their marks as trusted.*, those of user namespaces as user.*. */
static const char *const marks[] = { "trusted.overlay.", "user.overlay." };
static const char *const opaque_marks[] = { "trusted.overlay.opaque", "user.overlay.opaque" };

static bool is_mark(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(marks); i++)
        if (str_starts(name, marks[i]))
            return true;
    return false;
}

static bool is_opaque(const struct source_node *n)
{
    for (size_t i = 0; i < n->n_xattrs; i++) {
        const struct source_xattr *x = &n->xattrs[i];
        for (size_t k = 0; k < ARRAY_LEN(opaque_marks); k++)
            if (str_eq(x->name, opaque_marks[k]) && x->len == 1 && *(const char *)x->value == 'y')
                return true;
    }
    return false;
}

static bool is_whiteout(const struct source_node *n)
{
    return S_ISCHR(n->mode) && n->rdev_major == 0 && n->rdev_minor == 0;
}

/* What a node that gives way leaves to the one that comes. */
struct heirloom {
    bool any; /* there was one of the same type */
    uint32_t uid, gid;
    struct source_xattr *xattrs;
    size_t n_xattrs;
};

static void heirloom_fini(struct heirloom *h)
{
    for (size_t i = 0; i < h->n_xattrs; i++) {
        free(h->xattrs[i].name);
        free(h->xattrs[i].value);
    }
    free(h->xattrs);
}

/* An overlay in a user namespace does not see these, so it could not copy them up. */
static bool unseen(const char *name)
{
    return (str_starts(name, "trusted.") || str_starts(name, "security.")) &&
           !str_eq(name, "security.capability") && !is_mark(name);
}

static void inherit(const struct source_merge_spec *spec, struct source_node *old,
                    const struct source_node *heir, struct heirloom *out)
{
    if (!old || (source_file(old)->mode & S_IFMT) != (heir->mode & S_IFMT))
        return;
    const struct source_node *o = source_file(old);
    out->any = true;
    out->uid = o->uid;
    out->gid = o->gid;
    for (size_t i = 0; i < o->n_xattrs && !spec->how->owners; i++) {
        const struct source_xattr *x = &o->xattrs[i];
        if (!unseen(x->name))
            continue;
        out->xattrs = mem_grow(out->xattrs, out->n_xattrs, sizeof *out->xattrs);
        out->xattrs[out->n_xattrs++] =
            (struct source_xattr){ mem_strdup(x->name), mem_dup(x->value, x->len ? x->len : 1),
                                   x->len };
    }
}

/* ── metadata ────────────────────────────────────────────────────────────────────────────────── */

static void drop_xattrs(struct source_node *n)
{
    for (size_t i = 0; i < n->n_xattrs; i++) {
        free(n->xattrs[i].name);
        free(n->xattrs[i].value);
    }
    n->n_xattrs = 0;
}

/* Capabilities that were set in a user namespace name its root (version 3, little endian); in the
 * image they are the file's, whoever runs it. */
static int set_capability(struct source_node *n, const struct source_xattr *x, struct err *e)
{
    enum { V2_BYTES = 20, V3_BYTES = 24, AT_VERSION = 3, V2 = 2, V3 = 3 };
    uint8_t cap[V3_BYTES];
    if (x->len != V3_BYTES || ((const uint8_t *)x->value)[AT_VERSION] != V3)
        return source_xattr_set(n, x->name, x->value, x->len, e);
    memcpy(cap, x->value, sizeof cap);
    cap[AT_VERSION] = V2;
    return source_xattr_set(n, x->name, cap, V2_BYTES, e);
}

static int take_xattrs(const struct source_merge_spec *spec, const struct source_node *f,
                       struct source_node *n, const struct heirloom *old, struct err *e)
{
    drop_xattrs(n);
    for (size_t i = 0; i < old->n_xattrs; i++)
        if (source_xattr_set(n, old->xattrs[i].name, old->xattrs[i].value, old->xattrs[i].len, e) <
            0)
            return -1;
    for (size_t i = 0; i < f->n_xattrs; i++) {
        const struct source_xattr *x = &f->xattrs[i];
        if (is_mark(x->name))
            continue;
        bool cap = str_eq(x->name, "security.capability") && !spec->how->owners;
        int rc = cap ? set_capability(n, x, e) : source_xattr_set(n, x->name, x->value, x->len, e);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int take_metadata(const struct source_merge_spec *spec, const struct source_node *f,
                         struct source_node *n, const struct heirloom *old, struct err *e)
{
    const struct image_merge_spec *how = spec->how;
    n->mode = f->mode;
    n->uid = how->owners ? f->uid : old->any ? old->uid : how->uid;
    n->gid = how->owners ? f->gid : old->any ? old->gid : how->gid;
    n->rdev_major = f->rdev_major;
    n->rdev_minor = f->rdev_minor;
    n->size = f->size;
    source_times_copy(f, n);
    if (f->target && !n->target)
        n->target = mem_strdup(f->target);
    return take_xattrs(spec, f, n, old, e);
}

/* Both names, so that root's kernel and a user's see the same. */
static int set_opaque(struct source_node *n, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(opaque_marks); i++)
        if (source_xattr_set(n, opaque_marks[i], "y", 1, e) < 0)
            return -1;
    return 0;
}

/* ── nodes ───────────────────────────────────────────────────────────────────────────────────── */

static int merge_dir(const struct source_merge_spec *spec, struct source_node *f,
                     struct source_node *dir, struct source_node *old, struct err *e)
{
    cleanup_with(heirloom_fini) struct heirloom left = { 0 };
    bool hides = is_opaque(f) || (old && !S_ISDIR(source_file(old)->mode));
    inherit(spec, old, f, &left);
    struct source_node *n = old;
    if (old && !hides) {
        hides = is_opaque(old);
    } else {
        if (old)
            source_remove(spec->base, old);
        n = source_add(spec->base, dir, f->name, strlen(f->name), S_IFDIR, e);
    }
    if (!n || take_metadata(spec, f, n, &left, e) < 0)
        return -1;
    f->mark = (uint64_t)(uintptr_t)n;
    return hides && spec->how->layer ? set_opaque(n, e) : 0;
}

static int merge_file(struct source_graft *g, const struct source *upper,
                      const struct source_merge_spec *spec, struct source_node *f, struct err *e)
{
    cleanup_with(heirloom_fini) struct heirloom left = { 0 };
    struct source_node *file = source_file(f);
    struct source_node *dir = (struct source_node *)(uintptr_t)f->parent->mark;
    struct source_node *old = source_find(spec->base, dir, f->name, strlen(f->name));
    if (S_ISDIR(f->mode))
        return merge_dir(spec, f, dir, old, e);
    inherit(spec, old, file, &left);
    if (old)
        source_remove(spec->base, old);
    if (is_whiteout(file) && !spec->how->layer)
        return 0;
    struct source_node *n =
        source_add(spec->base, dir, f->name, strlen(f->name), file->mode & S_IFMT, e);
    if (!n)
        return -1;
    /* The kernel may give all whiteouts one inode: as marks they are nobody's further name. */
    if (file->mark && !is_whiteout(file))
        return source_link(n, (struct source_node *)(uintptr_t)file->mark, e);
    file->mark = (uint64_t)(uintptr_t)n;
    if (S_ISREG(file->mode))
        source_graft_content(g, upper, file, n);
    return take_metadata(spec, file, n, &left, e);
}

/* The upper directory itself was made by us: what it has of its own is mode and times. */
static void merge_top(const struct source_merge_spec *spec, const struct source_node *f)
{
    struct source_node *n = spec->dir;
    n->mode = f->mode;
    if (spec->how->owners) {
        n->uid = f->uid;
        n->gid = f->gid;
    }
    source_times_copy(f, n);
}

int source_merge(struct source_graft *g, struct source **take_upper,
                 const struct source_merge_spec *spec, struct err *e)
{
    struct source *upper = source_graft_adopt(g, take_upper);
    merge_top(spec, upper->root);
    upper->root->mark = (uint64_t)(uintptr_t)spec->dir;
    for (struct source_node *n = source_next(upper->root, false); n; n = source_next(n, false))
        if (merge_file(g, upper, spec, n, e) < 0)
            return -1;
    return 0;
}
