/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/writer/pack_plan.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "image/writer/ext_out.h"

/* The largest file of an ext3 with 4 KiB blocks, where i_blocks counts 512-byte sectors in 32 bits
 * (ext4_max_bitmap_size in the kernel). */
#define MAX_FILE_BYTES 2194719883264ull

void pack_plan_fini(struct pack_plan *p)
{
    for (size_t i = 0; i < p->n_nodes; i++) {
        pack_xattr_free(p->nodes[i].xattr);
        if (p->nodes[i].n_links > 1)
            source_file(p->nodes[i].from)->mark = 0;
    }
    free(p->nodes);
    free(p->dirs);
    free(p->data);
    *p = (struct pack_plan){ 0 };
}

char *pack_path(const struct pack_node *n)
{
    auto_free char *path = source_path(n->from);
    return str_printable(path);
}

static struct pack_node *add_node(struct pack_plan *p, struct source_node *from)
{
    p->nodes = mem_grow(p->nodes, p->n_nodes, sizeof *p->nodes);
    struct pack_node *n = &p->nodes[p->n_nodes++];
    *n = (struct pack_node){ .from = from, .first = (uint32_t)(p->n_nodes - 1) };
    return n;
}

static uint32_t add_dir(struct pack_plan *p, uint32_t node, uint32_t parent)
{
    p->dirs = mem_grow(p->dirs, p->n_dirs, sizeof *p->dirs);
    uint32_t dir = (uint32_t)p->n_dirs++;
    p->dirs[dir] = (struct pack_dir){ .node = node, .parent = parent };
    p->nodes[node].dir = dir;
    return dir;
}

static int check_limits(const struct pack_node *n, struct err *e)
{
    if (S_ISREG(n->from->mode) && pack_file(n)->size > MAX_FILE_BYTES) {
        auto_free char *path = pack_path(n);
        err_set(e, ERR_INPUT, "'%s' is larger than the 2 TiB of an ext3 file", path);
        return err_hint(e, "leave it out, and bind it into the container when you run");
    }
    if (n->n_links > PACK_MAX_LINKS) {
        auto_free char *path = pack_path(n);
        return err_set(e, ERR_INPUT, "'%s' has more than the %d links or subdirectories of an ext3",
                       path, PACK_MAX_LINKS);
    }
    return 0;
}

/* Fill in N, whose name is there. The first name of a file that is met gives it its index, which
 * the file's mark keeps (plus one). */
static int look_at(struct pack_plan *p, struct pack_node *n, struct err *e)
{
    struct source_node *f = source_file(n->from);
    if (f->n_names > 1 && f->mark) {
        n->first = (uint32_t)f->mark - 1;
        return 0;
    }
    if (f->n_names > 1)
        f->mark = n->first + 1;
    n->n_links = f->n_names;
    p->n_inodes++;
    return pack_xattr_take(n, e) < 0 ? -1 : check_limits(n, e);
}

/* After the node N of an entry of DIR is filled in: count what depends on its place. */
static int entered(struct pack_plan *p, uint32_t dir, struct pack_node *n, struct err *e)
{
    if (S_ISDIR(n->from->mode)) {
        n->n_links = 2;
        p->nodes[p->dirs[dir].node].n_links++;
    }
    if (dir == 0 && str_eq(pack_name(n), "lost+found")) {
        if (!S_ISDIR(n->from->mode))
            return err_set(e, ERR_INPUT, "'/lost+found' of the tree is not a directory");
        p->lost_found = n->first;
    }
    if (p->n_nodes > UINT32_MAX / 2)
        return err_set(e, ERR_INPUT, "the tree has more files than an ext3 can hold");
    return 0;
}

/* Make a node of each entry of DIR. */
static int read_dir(struct pack_plan *p, uint32_t dir, struct err *e)
{
    const uint32_t self = p->dirs[dir].node;
    struct source_node *from = p->nodes[self].from;
    if (source_sort_dir(from, e) < 0)
        return -1;
    p->dirs[dir].first = (uint32_t)p->n_nodes;
    p->dirs[dir].n = from->n_children;
    for (uint32_t i = 0; i < from->n_children; i++) {
        struct pack_node *n = add_node(p, from->children[i]);
        n->parent = dir;
        if (look_at(p, n, e) < 0 || entered(p, dir, n, e) < 0)
            return -1;
    }
    return check_limits(&p->nodes[self], e);
}

/* The walk goes down into a directory's subdirectories in their order, before its siblings. Those
 * still to be read wait on a stack, the next one on top. */
static int walk(struct pack_plan *p, struct err *e)
{
    auto_free uint32_t *stack = NULL;
    size_t n = 0;
    for (uint32_t node = 0;;) {
        uint32_t dir = add_dir(p, node, node ? p->nodes[node].parent : 0);
        if (read_dir(p, dir, e) < 0)
            return -1;
        const struct pack_dir *d = &p->dirs[dir];
        for (uint32_t i = d->first + d->n; i-- > d->first;) {
            if (!S_ISDIR(p->nodes[i].from->mode))
                continue;
            stack = mem_grow(stack, n, sizeof *stack);
            stack[n++] = i;
        }
        if (n == 0)
            return 0;
        node = stack[--n];
    }
}

int pack_plan(struct source *s, struct pack_plan *out, struct err *e)
{
    auto_pack_plan struct pack_plan p = { .source = s };
    struct pack_node *root = add_node(&p, s->root);
    if (look_at(&p, root, e) < 0)
        return -1;
    root->n_links = 2;
    if (walk(&p, e) < 0)
        return -1;
    if (!p.lost_found) {
        p.n_inodes++;
        p.nodes[0].n_links++;
    }
    *out = p;
    p = (struct pack_plan){ 0 };
    return 0;
}

void pack_number(struct pack_plan *p)
{
    uint32_t next = PACK_LOST_FOUND_INO + 1;
    for (size_t i = 0; i < p->n_dirs; i++) {
        uint32_t node = p->dirs[i].node;
        bool lost_found = p->lost_found && node == p->lost_found;
        p->nodes[node].ino = i == 0 ? EXT2_ROOT_INO : lost_found ? PACK_LOST_FOUND_INO : next++;
    }
    for (size_t i = 0; i < p->n_dirs; i++)
        for (uint32_t n = p->dirs[i].first; n < p->dirs[i].first + p->dirs[i].n; n++)
            if (!S_ISDIR(p->nodes[n].from->mode) && p->nodes[n].first == n)
                p->nodes[n].ino = next++;
}
