/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_TREE_WALK_H
#define TESTS_IMAGE_TREE_WALK_H

/* Ask a tree everything about what its root leads to, whatever it is: for damaged images. Answers
 * must be possible ones; else WALK aborts. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/server/server.h"

enum { WALK_NODES = 64, WALK_ENTRIES = 400, WALK_CHUNK = 9000 };

struct walk {
    struct tree_walk walk;
    const struct image_tree *t;
    uint64_t todo[WALK_NODES];
    size_t n_todo;
    uint64_t dir;
    unsigned n_entries, n_answers; /* what was listed; what could be read */
};

static inline void walk_expect(int ok)
{
    if (!ok)
        abort();
}

static inline int walk_entry(struct tree_walk *base, const struct image_dirent *d, uint64_t node,
                             const struct image_stat *st)
{
    struct walk *w = (struct walk *)base;
    walk_expect(d->name_len > 0 && d->name_len <= 255 && !memchr(d->name, '/', d->name_len) &&
                !memchr(d->name, '\0', d->name_len));
    if (tree_is_dots(d->name, d->name_len))
        return 0;
    if (w->n_entries++ > WALK_ENTRIES)
        return 1;
    w->n_answers += st != NULL;
    if (w->n_todo < WALK_NODES)
        w->todo[w->n_todo++] = node;
    return 0;
}

static inline void walk_read(struct walk *w, uint64_t node, uint64_t size)
{
    static uint8_t buf[WALK_CHUNK];
    const uint64_t at[] = { 0, 3000, 11000, size / 2, size - WALK_CHUNK / 2, UINT64_MAX - 5 };
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        ssize_t n = w->t->ops->read(w->t, node, buf, sizeof buf, at[i]);
        walk_expect(n <= (ssize_t)sizeof buf);
        w->n_answers += n > 0;
        int64_t hole = w->t->ops->seek(w->t, node, at[i], true);
        walk_expect(hole < 0 || (uint64_t)hole <= size);
        int64_t data = w->t->ops->seek(w->t, node, at[i], false);
        walk_expect(data < 0 || (uint64_t)data < size);
    }
}

static inline void walk_xattrs(struct walk *w, uint64_t node)
{
    static char names[4096], value[4096];
    ssize_t n = w->t->ops->xattr_list(w->t, node, names, sizeof names);
    walk_expect(n <= (ssize_t)sizeof names);
    for (const char *x = names; n > 0 && x < names + n; x += strlen(x) + 1) {
        ssize_t len = w->t->ops->xattr(w->t, node, x, value, sizeof value);
        walk_expect(len <= (ssize_t)sizeof value);
        w->n_answers += len > 0;
    }
}

static inline void walk_node(struct walk *w, uint64_t node)
{
    static char target[4096];
    struct image_stat st;
    uint64_t found;
    if (w->t->ops->stat(w->t, node, &st) < 0)
        return;
    walk_xattrs(w, node);
    walk_read(w, node, st.size);
    ssize_t n = w->t->ops->link(w->t, node, target, sizeof target);
    walk_expect(n <= 4095 && n != 0);
    walk_expect(w->t->ops->list(w->t, node, 0, &w->walk) <= 0);
    walk_expect(w->t->ops->list(w->t, node, 1000, &w->walk) <= 0);
    static const char *const names[] = { "hello", "a", "zzz", "entry-with-a-name-77" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        w->n_answers += w->t->ops->lookup(w->t, node, names[i], &found, &st) == 0;
}

/* Number of answers that were no error. */
static inline unsigned walk_all(const struct image_tree *t)
{
    struct walk w = { .walk = { .plus = true, .entry = walk_entry }, .t = t };
    w.todo[w.n_todo++] = FUSE_ROOT_ID;
    for (size_t i = 0; i < w.n_todo; i++)
        walk_node(&w, w.todo[i]);
    return w.n_answers;
}

#endif
