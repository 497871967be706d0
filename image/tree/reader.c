/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tree/tree.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

enum { XATTR_BYTES = 1 << 16 };

/* A node per inode seen, by open addressing. */
struct ino_map {
    struct source_node **slots; /* by their data, which is the inode number */
    size_t size, used;
};

struct filling {
    const struct image_reader *r;
    struct source *s;
    struct ino_map seen;
    struct image_claims claims;
    struct source_node *dir; /* being read */
    struct err *e;
    char *names; /* XATTR_BYTES bytes each */
    char *value;
};

/* ── contents ────────────────────────────────────────────────────────────────────────────────── */

static int damaged(const struct source_node *n, const char *what, int64_t rc, struct err *e)
{
    auto_free char *path = source_path(n);
    auto_free char *shown = str_printable(path);
    err_set(e, rc == -EIO ? ERR_FAILED : ERR_INPUT, "cannot read %s of '%.400s' in the image: %s",
            what, shown, rc == -EUCLEAN ? "damaged" : strerror((int)-rc));
    return err_hint(e, "'hpcc check' tells what is wrong");
}

static ssize_t feed_read(void *ctx, const struct source_node *n, void *buf, size_t len,
                         uint64_t offset, struct err *e)
{
    ssize_t got = image_read_data(ctx, (uint32_t)n->data, buf, len, offset);
    return got < 0 ? damaged(n, "the content", got, e) : got;
}

static int64_t feed_seek(void *ctx, const struct source_node *n, uint64_t offset, bool hole,
                         struct err *e)
{
    int64_t at = image_read_seek(ctx, (uint32_t)n->data, offset, hole);
    if (at == -ENXIO || at > (int64_t)n->size)
        return (int64_t)n->size;
    return at < 0 ? damaged(n, "the blocks", at, e) : at;
}

static const struct source_ops reader_ops = { .read = feed_read, .seek = feed_seek };

/* ── the map ─────────────────────────────────────────────────────────────────────────────────── */

static struct source_node **slot_of(const struct ino_map *m, uint64_t ino)
{
    size_t i = (size_t)(ino * 0x9e3779b97f4a7c15u >> 24) & (m->size - 1);
    while (m->slots[i] && m->slots[i]->data != ino)
        i = (i + 1) & (m->size - 1);
    return &m->slots[i];
}

/* Where INO's node is or goes. */
static struct source_node **seen_slot(struct ino_map *m, uint64_t ino)
{
    if (m->used * 2 >= m->size) {
        struct ino_map bigger = { .size = m->size ? m->size * 2 : 1024, .used = m->used };
        bigger.slots = mem_zero(bigger.size, sizeof(struct source_node *));
        for (size_t i = 0; i < m->size; i++)
            if (m->slots[i])
                *slot_of(&bigger, m->slots[i]->data) = m->slots[i];
        free(m->slots);
        *m = bigger;
    }
    return slot_of(m, ino);
}

/* ── metadata ────────────────────────────────────────────────────────────────────────────────── */

static int take_xattrs(struct filling *f, struct source_node *n)
{
    uint32_t ino = (uint32_t)n->data;
    ssize_t len = image_read_xattr_list(f->r, ino, f->names, XATTR_BYTES);
    if (len < 0)
        return damaged(n, "the extended attributes", len, f->e);
    for (const char *x = f->names; x < f->names + len; x += strlen(x) + 1) {
        ssize_t got = image_read_xattr(f->r, ino, x, f->value, XATTR_BYTES);
        if (got < 0)
            return damaged(n, "the extended attributes", got, f->e);
        if (source_xattr_set(n, x, f->value, (size_t)got, f->e) < 0)
            return -1;
    }
    return 0;
}

static int take_target(struct filling *f, struct source_node *n)
{
    char target[SOURCE_LINK_MAX + 1];
    ssize_t len = image_read_link(f->r, (uint32_t)n->data, target, sizeof target);
    if (len < 0)
        return damaged(n, "the target", len, f->e);
    if (len == 0 || len > SOURCE_LINK_MAX || memchr(target, 0, (size_t)len))
        return damaged(n, "the target", -EUCLEAN, f->e);
    n->target = mem_strndup(target, (size_t)len);
    n->size = (uint64_t)len;
    return 0;
}

static int take_node(struct filling *f, struct source_node *n, const struct image_stat *st)
{
    n->mode = st->mode;
    n->uid = st->uid;
    n->gid = st->gid;
    n->rdev_major = st->rdev_major;
    n->rdev_minor = st->rdev_minor;
    n->size = S_ISREG(st->mode) ? st->size : 0;
    n->atime = st->atime;
    n->mtime = st->mtime;
    n->atime_nsec = st->atime_nsec;
    n->mtime_nsec = st->mtime_nsec;
    n->data = st->ino;
    if (S_ISLNK(st->mode) && take_target(f, n) < 0)
        return -1;
    return take_xattrs(f, n);
}

/* ── the walk ────────────────────────────────────────────────────────────────────────────────── */

static int add_name(struct filling *f, struct source_node *dir, const char *name, size_t len,
                    uint32_t ino)
{
    struct image_stat st;
    int rc = image_read_stat(f->r, ino, &st);
    if (rc < 0) {
        auto_free char *text = mem_strndup(name, len);
        auto_free char *shown = str_printable(text);
        damaged(dir, "the entries", rc, f->e);
        return err_wrap(f->e, "'%s'", shown);
    }
    struct source_node *n = source_add(f->s, dir, name, len, st.mode, f->e);
    if (!n)
        return -1;
    struct source_node **slot = seen_slot(&f->seen, ino);
    if (*slot && S_ISDIR(st.mode))
        return damaged(n, "the directory (it has two names)", -EUCLEAN, f->e);
    if (*slot)
        return source_link(n, *slot, f->e);
    n->data = ino;
    *slot = n;
    f->seen.used++;
    return take_node(f, n, &st);
}

static int entry(void *ctx, const struct image_dirent *d)
{
    struct filling *f = ctx;
    if (d->name_len <= 2 && memcmp(d->name, "..", d->name_len) == 0)
        return 0;
    return add_name(f, f->dir, d->name, d->name_len, d->ino) < 0;
}

static int read_dir(struct filling *f, struct source_node *dir)
{
    struct err inner = { 0 };
    struct err *outer = f->e;
    f->dir = dir;
    f->e = &inner;
    int rc = image_read_claim(f->r, (uint32_t)dir->data, &f->claims);
    if (rc == 0)
        rc = image_read_dir(f->r, (uint32_t)dir->data, 0, entry, f);
    f->e = outer;
    if (inner.code != ERR_NONE)
        return err_move(outer, &inner);
    return rc < 0 ? damaged(dir, "the entries", rc, outer) : 0;
}

static void drop_lost_found(struct source *s)
{
    struct source_node *n = source_find(s, s->root, "lost+found", 10);
    if (n && S_ISDIR(n->mode) && !n->n_children)
        source_remove(s, n);
}

/* In order of finding, which is breadth first: no recursion, and each directory is read whole. */
static int read_tree(struct filling *f, struct source_node *top)
{
    struct source_node **queue = mem_grow(NULL, 0, sizeof *queue);
    size_t end = 1;
    int rc = 0;
    queue[0] = top;
    for (size_t at = 0; rc == 0 && at < end; at++) {
        struct source_node *dir = queue[at];
        rc = read_dir(f, dir);
        for (size_t i = 0; rc == 0 && i < dir->n_children; i++) {
            if (!S_ISDIR(dir->children[i]->mode))
                continue;
            queue = mem_grow(queue, end, sizeof *queue);
            queue[end++] = dir->children[i];
        }
    }
    free(queue);
    return rc;
}

static int fill(struct filling *f, uint32_t ino, const char *name)
{
    struct source_node *top = f->s->root;
    if (name) {
        if (add_name(f, top, name, strlen(name), ino) < 0)
            return -1;
        top = f->s->root->children[0];
        return S_ISDIR(top->mode) ? read_tree(f, top) : 0;
    }
    struct image_stat st;
    int rc = image_read_stat(f->r, ino, &st);
    if (rc < 0 || !S_ISDIR(st.mode))
        return damaged(top, "the root", rc < 0 ? rc : -EUCLEAN, f->e);
    top->data = ino;
    *seen_slot(&f->seen, ino) = top;
    f->seen.used++;
    if (take_node(f, top, &st) < 0 || read_tree(f, top) < 0)
        return -1;
    drop_lost_found(f->s);
    return 0;
}

struct source *source_from_reader(const struct image_reader *r, uint32_t ino, const char *name,
                                  struct err *e)
{
    auto_source struct source *s = source_new(&reader_ops, (void *)(uintptr_t)r);
    struct image_fs_stat fs;
    image_read_fs_stat(r, &fs);
    s->max_data = fs.blocks * fs.block_bytes;
    auto_free char *names = mem_alloc(XATTR_BYTES), *value = mem_alloc(XATTR_BYTES);
    struct err mine = { 0 };
    struct filling f = { .r = r, .s = s, .e = &mine, .names = names, .value = value };
    int rc = fill(&f, ino, name);
    free(f.seen.slots);
    image_claims_fini(&f.claims);
    if (rc == 0)
        return steal_ptr(s);
    err_move(e, &mine);
    return NULL;
}
