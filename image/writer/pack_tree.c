/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <string.h>

#include "base/mem.h"
#include "image/writer/pack_plan.h"

char *pack_path(const struct pack_plan *p, const struct pack_node *n)
{
    size_t len = 1;
    for (const struct pack_node *at = n; at != p->nodes; at = &p->nodes[p->dirs[at->parent].node])
        len += strlen(pack_name(p, at)) + 1;
    auto_free char *path = mem_zero(len + 1, 1);
    path[0] = '/';
    size_t end = len == 1 ? 1 : len - 1;
    for (const struct pack_node *at = n; at != p->nodes; at = &p->nodes[p->dirs[at->parent].node]) {
        const char *name = pack_name(p, at);
        end -= strlen(name);
        memcpy(path + end, name, strlen(name));
        path[--end] = '/';
    }
    return str_printable(path);
}

static void drop_from(struct pack_fds *f, unsigned keep)
{
    while (f->n > keep)
        close(f->open[--f->n].fd);
}

/* Take FD in; when there is no place left the oldest goes, and is opened again when needed. */
static void push(struct pack_fds *f, uint32_t dir, int fd)
{
    if (f->n == ARRAY_LEN(f->open)) {
        close(f->open[0].fd);
        f->n--;
        memmove(f->open, f->open + 1, f->n * sizeof f->open[0]);
    }
    f->open[f->n++] = (struct pack_fd){ .dir = dir, .fd = fd };
}

/* The nearest open ancestor of DIR (or DIR): its descriptor; *AT says which it is. */
static int nearest(struct pack_plan *p, uint32_t dir, uint32_t *at)
{
    struct pack_fds *f = &p->fds;
    for (uint32_t d = dir; d != 0; d = p->dirs[d].parent)
        for (unsigned i = f->n; i-- > 0;)
            if (f->open[i].dir == d) {
                drop_from(f, i + 1);
                *at = d;
                return f->open[i].fd;
            }
    drop_from(f, 0);
    *at = 0;
    return f->rootfs_fd;
}

int pack_dir_fd(struct pack_plan *p, uint32_t dir)
{
    uint32_t at;
    int fd = nearest(p, dir, &at);
    size_t n_missing = p->dirs[dir].depth - p->dirs[at].depth;
    auto_free uint32_t *missing = mem_zero(n_missing + 1, sizeof *missing);
    for (uint32_t d = dir, i = (uint32_t)n_missing; i > 0; d = p->dirs[d].parent)
        missing[--i] = d;
    for (size_t i = 0; i < n_missing; i++) {
        const char *name = pack_name(p, &p->nodes[p->dirs[missing[i]].node]);
        fd = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return -1;
        push(&p->fds, missing[i], fd);
    }
    return fd;
}

struct pack_links {
    struct link {
        uint64_t dev, id;
        uint32_t node; /* plus one; 0 is free */
    } * slots;
    size_t n, cap; /* cap is a power of two */
};

void pack_links_free(struct pack_links *l)
{
    if (l)
        free(l->slots);
    free(l);
}

static struct link *link_slot(const struct pack_links *l, uint64_t dev, uint64_t id)
{
    size_t i = (id * 0x9e3779b97f4a7c15ull ^ dev) >> 20;
    for (;; i++) {
        struct link *s = &l->slots[i & (l->cap - 1)];
        if (s->node == 0 || (s->id == id && s->dev == dev))
            return s;
    }
}

uint32_t pack_link_find(struct pack_plan *p, uint64_t dev, uint64_t id, uint32_t node)
{
    if (!p->links)
        p->links = mem_zero(1, sizeof *p->links);
    struct pack_links *l = p->links;
    if (l->n * 2 >= l->cap) {
        struct pack_links bigger = { .cap = l->cap ? l->cap * 2 : 256, .n = l->n };
        bigger.slots = mem_zero(bigger.cap, sizeof *bigger.slots);
        for (size_t i = 0; i < l->cap; i++)
            if (l->slots[i].node)
                *link_slot(&bigger, l->slots[i].dev, l->slots[i].id) = l->slots[i];
        free(l->slots);
        *l = bigger;
    }
    struct link *s = link_slot(l, dev, id);
    if (s->node == 0) {
        *s = (struct link){ .dev = dev, .id = id, .node = node + 1 };
        l->n++;
    }
    return s->node - 1;
}
