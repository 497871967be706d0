/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/writer/pack_plan.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/mem.h"
#include "image/writer/ext_out.h"

/* The largest file of an ext3 with 4 KiB blocks, where i_blocks counts 512-byte sectors in 32 bits
 * (ext4_max_bitmap_size in the kernel). */
#define MAX_FILE_BYTES 2194719883264ull

void pack_plan_fini(struct pack_plan *p)
{
    while (p->fds.n)
        close(p->fds.open[--p->fds.n].fd);
    for (size_t i = 0; i < p->n_nodes; i++)
        pack_xattr_free(p->nodes[i].xattr);
    free(p->nodes);
    free(p->dirs);
    str_free(&p->text);
    pack_links_free(p->links);
    free(p->data);
    *p = (struct pack_plan){ 0 };
}

static size_t add_text(struct pack_plan *p, const char *text, size_t len)
{
    size_t at = p->text.len;
    str_add_n(&p->text, text, len);
    str_add_c(&p->text, 0);
    return at;
}

static struct pack_node *add_node(struct pack_plan *p)
{
    p->nodes = mem_grow(p->nodes, p->n_nodes, sizeof *p->nodes);
    struct pack_node *n = &p->nodes[p->n_nodes++];
    *n = (struct pack_node){ .n_links = 1, .first = (uint32_t)(p->n_nodes - 1) };
    return n;
}

static uint32_t add_dir(struct pack_plan *p, uint32_t node, uint32_t parent)
{
    p->dirs = mem_grow(p->dirs, p->n_dirs, sizeof *p->dirs);
    uint32_t dir = (uint32_t)p->n_dirs++;
    p->dirs[dir] = (struct pack_dir){ .node = node, .parent = parent };
    p->dirs[dir].depth = dir ? p->dirs[parent].depth + 1 : 0;
    p->nodes[node].dir = dir;
    return dir;
}

static int fail_at(const struct pack_plan *p, const struct pack_node *n, struct err *e)
{
    int saved = errno;
    auto_free char *path = pack_path(p, n);
    errno = saved;
    return err_sys(e, "cannot read '%s' of the tree", path);
}

static void take_stat(struct pack_plan *p, struct pack_node *n, const struct statx *st)
{
    n->mode = st->stx_mode;
    n->uid = st->stx_uid;
    n->gid = st->stx_gid;
    n->mtime = st->stx_mtime.tv_sec;
    n->mtime_ns = st->stx_mtime.tv_nsec;
    n->rdev_major = st->stx_rdev_major;
    n->rdev_minor = st->stx_rdev_minor;
    n->size = S_ISREG(n->mode) ? st->stx_size : 0;
    /* A mount point. st_dev tells it for directories only: overlayfs gives its files the numbers of
     * its layers. */
    bool mounted = (st->stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
    if (S_ISDIR(n->mode) && makedev(st->stx_dev_major, st->stx_dev_minor) != p->dev)
        mounted = true;
    n->hollow = mounted && n != p->nodes;
    if (n->hollow)
        n->size = 0;
}

static int read_target(struct pack_plan *p, int dir_fd, struct pack_node *n, struct err *e)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(dir_fd, pack_name(p, n), target, sizeof target);
    if (len < 0)
        return fail_at(p, n, e);
    if (len == 0 || len >= EXT_BLOCK) {
        auto_free char *path = pack_path(p, n);
        return err_set(e, ERR_INPUT, "the symlink '%s' is longer than an ext3 can hold", path);
    }
    n->target = add_text(p, target, (size_t)len);
    n->size = (uint64_t)len;
    return 0;
}

static int check_limits(const struct pack_plan *p, const struct pack_node *n, struct err *e)
{
    if (S_ISREG(n->mode) && n->size > MAX_FILE_BYTES) {
        auto_free char *path = pack_path(p, n);
        err_set(e, ERR_INPUT, "'%s' is larger than the 2 TiB of an ext3 file", path);
        return err_hint(e, "leave it out, and bind it into the container when you run");
    }
    if (n->n_links > PACK_MAX_LINKS) {
        auto_free char *path = pack_path(p, n);
        return err_set(e, ERR_INPUT, "'%s' has more than the %d links or subdirectories of an ext3",
                       path, PACK_MAX_LINKS);
    }
    return 0;
}

/* Fill in the node of NAME, which is the last one made. */
static int look_at(struct pack_plan *p, int dir_fd, struct pack_node *n, struct err *e)
{
    struct statx st;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
    if (statx(dir_fd, pack_name(p, n), flags, STATX_BASIC_STATS, &st) < 0)
        return fail_at(p, n, e);
    take_stat(p, n, &st);
    if (S_ISLNK(n->mode) && read_target(p, dir_fd, n, e) < 0)
        return -1;
    if (!S_ISDIR(n->mode) && st.stx_nlink > 1) {
        uint64_t dev = makedev(st.stx_dev_major, st.stx_dev_minor);
        n->first = pack_link_find(p, dev, st.stx_ino, n->first);
        if (&p->nodes[n->first] != n) {
            p->nodes[n->first].n_links++;
            return check_limits(p, &p->nodes[n->first], e);
        }
    }
    if (!n->hollow && pack_xattr_read(p, dir_fd, n, e) < 0)
        return -1;
    p->n_inodes++;
    return check_limits(p, n, e);
}

/* The same from the source's node TO, whose name CHILD may only be. */
static int look_at_source(struct pack_plan *p, struct source_node *child, struct pack_node *n,
                          struct err *e)
{
    struct source_node *f = source_file(child);
    n->from = f;
    n->mode = f->mode;
    n->uid = f->uid;
    n->gid = f->gid;
    n->mtime = f->mtime;
    n->mtime_ns = f->mtime_nsec;
    n->rdev_major = f->rdev_major;
    n->rdev_minor = f->rdev_minor;
    n->size = S_ISREG(f->mode) || S_ISLNK(f->mode) ? f->size : 0;
    if (S_ISLNK(f->mode)) {
        n->size = strlen(f->target);
        n->target = add_text(p, f->target, n->size);
    }
    if (f->n_names > 1) {
        n->first = pack_link_find(p, 0, (uintptr_t)f, n->first);
        if (&p->nodes[n->first] != n) {
            p->nodes[n->first].n_links++;
            return check_limits(p, &p->nodes[n->first], e);
        }
    }
    if (pack_xattr_take(p, n, e) < 0)
        return -1;
    p->n_inodes++;
    return check_limits(p, n, e);
}

static int by_name(const void *a, const void *b, void *text)
{
    return strcmp((const char *)text + *(const size_t *)a, (const char *)text + *(const size_t *)b);
}

struct names {
    size_t *at; /* offsets into the plan's text */
    size_t n;
};
static void names_fini(struct names *l)
{
    free(l->at);
}

static int list_names(struct pack_plan *p, int dir_fd, struct names *l)
{
    int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
    auto_dir DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        cleanup_fd(&fd);
        return -1;
    }
    rewinddir(d); /* the root's descriptor may have been read before */
    for (;;) {
        errno = 0;
        const struct dirent *de = readdir(d);
        if (!de)
            break;
        if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
            continue;
        l->at = mem_grow(l->at, l->n, sizeof *l->at);
        l->at[l->n++] = add_text(p, de->d_name, strlen(de->d_name));
    }
    if (errno)
        return -1;
    if (l->n)
        qsort_r(l->at, l->n, sizeof *l->at, by_name, p->text.data);
    return 0;
}

/* After the node N of an entry of DIR is filled in: count what depends on its place. */
static int entered(struct pack_plan *p, uint32_t dir, struct pack_node *n, struct err *e)
{
    if (S_ISDIR(n->mode)) {
        n->n_links = 2;
        p->nodes[p->dirs[dir].node].n_links++;
    }
    if (dir == 0 && str_eq(pack_name(p, n), "lost+found")) {
        if (!S_ISDIR(n->mode))
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
    int dir_fd = pack_dir_fd(p, dir);
    cleanup_with(names_fini) struct names names = { 0 };
    if (dir_fd < 0 || list_names(p, dir_fd, &names) < 0)
        return fail_at(p, &p->nodes[self], e);
    p->dirs[dir].first = (uint32_t)p->n_nodes;
    p->dirs[dir].n = (uint32_t)names.n;
    for (size_t i = 0; i < names.n; i++) {
        struct pack_node *n = add_node(p);
        n->name = names.at[i];
        n->parent = dir;
        if (look_at(p, dir_fd, n, e) < 0 || entered(p, dir, n, e) < 0)
            return -1;
    }
    return check_limits(p, &p->nodes[self], e);
}

static int read_source_dir(struct pack_plan *p, uint32_t dir, struct err *e)
{
    const uint32_t self = p->dirs[dir].node;
    const struct source_node *from = p->nodes[self].from;
    p->dirs[dir].first = (uint32_t)p->n_nodes;
    p->dirs[dir].n = (uint32_t)from->n_children;
    for (size_t i = 0; i < from->n_children; i++) {
        struct source_node *child = from->children[i];
        struct pack_node *n = add_node(p);
        n->name = add_text(p, child->name, strlen(child->name));
        n->parent = dir;
        if (look_at_source(p, child, n, e) < 0 || entered(p, dir, n, e) < 0)
            return -1;
    }
    return check_limits(p, &p->nodes[self], e);
}

/* The walk goes down into a directory's subdirectories in their order, before its siblings. Those
 * still to be read wait on a stack, the next one on top. */
static int walk(struct pack_plan *p, struct err *e)
{
    auto_free uint32_t *stack = NULL;
    size_t n = 0;
    for (uint32_t node = 0;;) {
        uint32_t dir = add_dir(p, node, node ? p->nodes[node].parent : 0);
        int rc = 0;
        if (p->source)
            rc = read_source_dir(p, dir, e);
        else if (!p->nodes[node].hollow)
            rc = read_dir(p, dir, e);
        if (rc < 0)
            return -1;
        const struct pack_dir *d = &p->dirs[dir];
        for (uint32_t i = d->first + d->n; i-- > d->first;) {
            if (!S_ISDIR(p->nodes[i].mode))
                continue;
            stack = mem_grow(stack, n, sizeof *stack);
            stack[n++] = i;
        }
        if (n == 0)
            return 0;
        node = stack[--n];
    }
}

/* Add the root, and all below it. */
static int plan_tree(struct pack_plan *p, struct err *e)
{
    p->data = mem_alloc(PACK_READ_BYTES);
    struct pack_node *root = add_node(p);
    root->name = add_text(p, ".", 1);
    root->n_links = 2;
    int rc = p->source ? look_at_source(p, p->source->root, root, e)
                       : look_at(p, p->fds.rootfs_fd, root, e);
    if (rc < 0 || walk(p, e) < 0)
        return -1;
    if (!p->lost_found) {
        p->n_inodes++;
        p->nodes[0].n_links++;
    }
    return 0;
}

int pack_plan(int rootfs_fd, struct pack_plan *out, struct err *e)
{
    auto_pack_plan struct pack_plan p = { .fds.rootfs_fd = rootfs_fd };
    struct stat st;
    if (fstat(rootfs_fd, &st) < 0)
        return err_sys(e, "cannot read the tree");
    p.dev = st.st_dev;
    p.proc = access("/proc/self/fd", X_OK) == 0;
    if (plan_tree(&p, e) < 0)
        return -1;
    *out = p;
    p = (struct pack_plan){ 0 };
    return 0;
}

int pack_plan_source(struct source *s, struct pack_plan *out, struct err *e)
{
    auto_pack_plan struct pack_plan p = { .fds.rootfs_fd = -1, .source = s };
    source_sort(s);
    if (plan_tree(&p, e) < 0)
        return -1;
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
            if (!S_ISDIR(p->nodes[n].mode) && p->nodes[n].first == n)
                p->nodes[n].ino = next++;
}
