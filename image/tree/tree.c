/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tree/tree.h"

#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

/* ── the table: child by parent and name ─────────────────────────────────────────────────────── */

/* Names come from archives that others wrote: the seed keeps them from choosing our collisions. */
static size_t bucket(const struct source *s, const struct source_node *parent, const char *name,
                     size_t len)
{
    uint64_t h = s->seed ^ ((uint64_t)(uintptr_t)parent >> 4) * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)name[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return (size_t)(h ^ h >> 29) & (s->table_size - 1);
}

static void table_put(struct source *s, struct source_node *n)
{
    size_t b = bucket(s, n->parent, n->name, strlen(n->name));
    n->next_hash = s->table[b];
    s->table[b] = n;
}

static void table_drop(struct source *s, struct source_node *n)
{
    struct source_node **at = &s->table[bucket(s, n->parent, n->name, strlen(n->name))];
    while (*at != n)
        at = &(*at)->next_hash;
    *at = n->next_hash;
}

static void table_grow(struct source *s)
{
    struct source_node **old = s->table;
    size_t old_size = s->table_size;
    s->table_size = old_size ? old_size * 2 : 256;
    s->table = mem_zero(s->table_size, sizeof *s->table);
    for (size_t i = 0; i < old_size; i++) {
        struct source_node *next;
        for (struct source_node *n = old[i]; n; n = next) {
            next = n->next_hash;
            table_put(s, n);
        }
    }
    free(old);
}

/* Not before somebody asks: a tree that is only read in and written out needs none. */
static void table_build(struct source *s)
{
    do
        table_grow(s);
    while (s->table_size <= s->n_nodes);
    for (struct source_node *n = s->root; n; n = source_next(n, false))
        if (n->parent)
            table_put(s, n);
}

struct source_node *source_find(struct source *s, const struct source_node *parent,
                                const char *name, size_t len)
{
    if (!s->table)
        table_build(s);
    struct source_node *n = s->table[bucket(s, parent, name, len)];
    while (n && (n->parent != parent || strlen(n->name) != len || memcmp(n->name, name, len) != 0))
        n = n->next_hash;
    return n;
}

/* ── nodes ───────────────────────────────────────────────────────────────────────────────────── */

static void node_free(struct source_node *n)
{
    for (size_t i = 0; i < n->n_xattrs; i++) {
        free(n->xattrs[i].name);
        free(n->xattrs[i].value);
    }
    free(n->xattrs);
    free(n->children);
    free(n->target);
    free(n);
}

struct source *source_new(const struct source_ops *ops, void *ctx)
{
    struct source *s = mem_zero(1, sizeof *s);
    if (getrandom(&s->seed, sizeof s->seed, GRND_NONBLOCK) < 0)
        s->seed = (uint64_t)(uintptr_t)s; /* address randomisation is the next best */
    s->root = mem_zero(1, sizeof *s->root + 1);
    s->root->mode = S_IFDIR | 0755;
    s->ops = ops;
    s->ctx = ctx;
    s->n_nodes = 1;
    return s;
}

static bool usable_name(const char *name, size_t len)
{
    if (len == 0 || len > SOURCE_NAME_MAX || memchr(name, '/', len) || memchr(name, 0, len))
        return false;
    return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

static unsigned depth_of(const struct source_node *n)
{
    unsigned depth = 0;
    for (; n->parent; n = n->parent)
        depth++;
    return depth;
}

static int add_refused(const struct source_node *parent, const char *name, size_t len,
                       const char *why, struct err *e)
{
    auto_free char *raw = mem_strndup(name, len < 300 ? len : 300);
    auto_free char *dir = source_path(parent);
    auto_free char *text = mem_printf("%s/%s", str_eq(dir, "/") ? "" : dir, raw);
    auto_free char *shown = str_printable(text);
    return err_set(e, ERR_INPUT, "'%.400s' %s", shown, why);
}

struct source_node *source_add(struct source *s, struct source_node *parent, const char *name,
                               size_t len, uint32_t mode, struct err *e)
{
    if (usable_name(name, len) && source_find(s, parent, name, len)) {
        add_refused(parent, name, len, "is there twice", e);
        return NULL;
    }
    return source_append(s, parent, name, len, mode, e);
}

struct source_node *source_append(struct source *s, struct source_node *parent, const char *name,
                                  size_t len, uint32_t mode, struct err *e)
{
    const char *why = NULL;
    if (!usable_name(name, len))
        why = len > SOURCE_NAME_MAX ? "has a name longer than 255 bytes" : "is not a file name";
    else if (!S_ISDIR(parent->mode))
        why = "lies below something that is not a directory";
    else if (s->n_nodes >= SOURCE_NODES_MAX)
        why = "is one file more than an image may hold (16 million)";
    else if (S_ISDIR(mode) && depth_of(parent) >= SOURCE_DEPTH_MAX)
        why = "lies too deep (more than 2048 directories)";
    if (why) {
        add_refused(parent, name, len, why, e);
        return NULL;
    }
    struct source_node *n = mem_zero(1, sizeof *n + len + 1);
    memcpy(n->name, name, len);
    n->parent = parent;
    n->mode = mode;
    n->n_names = S_ISDIR(mode) ? 0 : 1;
    parent->children = mem_grow(parent->children, parent->n_children, sizeof *parent->children);
    n->index = parent->n_children;
    parent->children[parent->n_children++] = n;
    if (s->table && s->n_nodes >= s->table_size)
        table_grow(s);
    if (s->table)
        table_put(s, n);
    s->n_nodes++;
    return n;
}

int source_link(struct source_node *n, struct source_node *to, struct err *e)
{
    to = source_file(to);
    if (S_ISDIR(to->mode) || to->n_names >= SOURCE_HARD_LINKS_MAX || to == n) {
        auto_free char *path = source_path(n);
        auto_free char *shown = str_printable(path);
        const char *why = to == n             ? "is a hard link to itself"
                          : S_ISDIR(to->mode) ? "is a hard link to a directory"
                                              : "is one hard link more than ext3 allows (65000)";
        return err_set(e, ERR_INPUT, "'%.400s' %s", shown, why);
    }
    n->link = to;
    n->mode = to->mode;
    n->next_name = to->next_name ? to->next_name : to;
    to->next_name = n;
    to->n_names++;
    return 0;
}

/* N leaves the ring of names of its file. Was it the one that carries the metadata, the next name
 * takes over. */
static void leave_ring(struct source_node *n)
{
    if (!n->next_name)
        return;
    struct source_node *before = n->next_name;
    while (before->next_name != n)
        before = before->next_name;
    struct source_node *heir = n->next_name;
    before->next_name = heir == before ? NULL : heir;
    if (n->link) {
        n->link->n_names--;
        return;
    }
    heir->link = NULL;
    heir->n_names = n->n_names - 1;
    heir->mode = n->mode;
    heir->uid = n->uid;
    heir->gid = n->gid;
    heir->rdev_major = n->rdev_major;
    heir->rdev_minor = n->rdev_minor;
    heir->size = n->size;
    heir->atime = n->atime;
    heir->mtime = n->mtime;
    heir->atime_nsec = n->atime_nsec;
    heir->mtime_nsec = n->mtime_nsec;
    heir->data = n->data;
    heir->mark = n->mark;
    heir->target = steal_ptr(n->target);
    heir->xattrs = steal_ptr(n->xattrs);
    heir->n_xattrs = n->n_xattrs;
    n->n_xattrs = 0;
    for (struct source_node *o = heir->next_name; o && o != heir; o = o->next_name)
        o->link = heir;
}

void source_remove(struct source *s, struct source_node *n)
{
    struct source_node *stop = n->parent;
    while (n != stop) {
        if (n->n_children) { /* leaves first: the last child is the cheapest to take out */
            n = n->children[n->n_children - 1];
            continue;
        }
        struct source_node *parent = n->parent;
        struct source_node *last = parent->children[--parent->n_children];
        parent->children[n->index] = last;
        last->index = n->index;
        if (s->table)
            table_drop(s, n);
        leave_ring(n);
        node_free(n);
        s->n_nodes--;
        n = parent;
    }
}

void source_free(struct source *s)
{
    if (!s)
        return;
    struct source_node *n = s->root;
    while (n) { /* no rings, no table: all goes */
        if (n->n_children) {
            n = n->children[--n->n_children];
            continue;
        }
        struct source_node *parent = n->parent;
        node_free(n);
        n = parent;
    }
    if (s->ops && s->ops->close)
        s->ops->close(s->ctx);
    free(s->table);
    free(s);
}

void source_times_copy(const struct source_node *from, struct source_node *to)
{
    to->atime = from->atime;
    to->mtime = from->mtime;
    to->atime_nsec = from->atime_nsec;
    to->mtime_nsec = from->mtime_nsec;
}

int source_xattr_set(struct source_node *n, const char *name, const void *value, size_t len,
                     struct err *e)
{
    size_t total = strlen(name) + 1 + len;
    size_t at = n->n_xattrs;
    for (size_t i = n->n_xattrs; i-- > 0;) {
        int order = strcmp(n->xattrs[i].name, name);
        if (order == 0)
            at = i;
        else
            total += strlen(n->xattrs[i].name) + 1 + n->xattrs[i].len;
        if (order > 0 && at == i + 1)
            at = i;
    }
    if (total > SOURCE_XATTR_MAX || strlen(name) > SOURCE_NAME_MAX) {
        auto_free char *path = source_path(n);
        auto_free char *shown = str_printable(path);
        return err_set(e, ERR_INPUT, "'%.400s' has more than 64 KiB of extended attributes", shown);
    }
    if (at < n->n_xattrs && str_eq(n->xattrs[at].name, name)) {
        free(n->xattrs[at].value);
    } else {
        n->xattrs = mem_grow(n->xattrs, n->n_xattrs, sizeof *n->xattrs);
        memmove(n->xattrs + at + 1, n->xattrs + at, (n->n_xattrs - at) * sizeof *n->xattrs);
        n->xattrs[at].name = mem_strdup(name);
        n->n_xattrs++;
    }
    n->xattrs[at].value = mem_dup(len ? value : "", len ? len : 1);
    n->xattrs[at].len = len;
    return 0;
}

/* ── order ───────────────────────────────────────────────────────────────────────────────────── */

static int by_name(const void *a, const void *b)
{
    const struct source_node *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

int source_sort_dir(struct source_node *dir, struct err *e)
{
    bool sorted = true;
    for (uint32_t i = 1; i < dir->n_children && sorted; i++)
        sorted = by_name(&dir->children[i - 1], &dir->children[i]) < 0;
    if (sorted)
        return 0;
    qsort(dir->children, dir->n_children, sizeof *dir->children, by_name);
    for (uint32_t i = 0; i < dir->n_children; i++)
        dir->children[i]->index = i;
    for (uint32_t i = 1; i < dir->n_children; i++) {
        const char *name = dir->children[i]->name;
        if (str_eq(dir->children[i - 1]->name, name))
            return add_refused(dir, name, strlen(name), "is there twice", e);
    }
    return 0;
}

struct source_node *source_next(const struct source_node *n, bool skip)
{
    if (n->n_children && !skip)
        return n->children[0];
    while (n->parent && n->index + 1 == n->parent->n_children)
        n = n->parent;
    return n->parent ? n->parent->children[n->index + 1] : NULL;
}

void source_sort(struct source *s)
{
    for (struct source_node *n = s->root; n; n = source_next(n, false))
        (void)!source_sort_dir(n, NULL); /* source_add let nothing in twice */
}

int source_data_check(const struct source *s, uint64_t data, struct err *e)
{
    if (!s->max_data || data <= s->max_data)
        return 0;
    err_set(e, ERR_INPUT, "its files claim more data than it has room for: it is damaged");
    return err_hint(e, "'hpcc check' tells what is wrong");
}

char *source_path(const struct source_node *n)
{
    if (!n->parent)
        return mem_strdup("/");
    size_t len = 0;
    for (const struct source_node *p = n; p->parent; p = p->parent)
        len += strlen(p->name) + 1;
    char *path = mem_alloc(len + 1);
    path[len] = 0;
    for (const struct source_node *p = n; p->parent; p = p->parent) {
        size_t name_len = strlen(p->name);
        len -= name_len + 1;
        path[len] = '/';
        memcpy(path + len + 1, p->name, name_len);
    }
    return path;
}
