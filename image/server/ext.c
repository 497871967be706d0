/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/mem.h"
#include "image/server/server.h"

/* ext behind the server: our own reader. */

struct ext_tree {
    struct image_tree tree;
    struct image_reader *reader;
};

static const struct image_reader *reader_of(const struct image_tree *t)
{
    return ((const struct ext_tree *)t)->reader;
}

/* The root is node 1 to FUSE and inode 2 to ext;
 * inode 1 is never shown, so the others keep theirs. */
static uint32_t ino_of(uint64_t node)
{
    if (node == FUSE_ROOT_ID)
        return IMAGE_ROOT_INO;
    return node <= UINT32_MAX ? (uint32_t)node : 0;
}

static uint64_t node_of(uint32_t ino)
{
    return ino == IMAGE_ROOT_INO ? FUSE_ROOT_ID : ino;
}

static int ext_stat(const struct image_tree *t, uint64_t node, struct image_stat *out)
{
    return image_read_stat(reader_of(t), ino_of(node), out);
}

static int ext_lookup(const struct image_tree *t, uint64_t dir, const char *name, uint64_t *node,
                      struct image_stat *out)
{
    uint32_t ino = 0;
    int rc = image_read_lookup(reader_of(t), ino_of(dir), name, strlen(name), &ino);
    if (rc < 0)
        return rc;
    *node = node_of(ino);
    return image_read_stat(reader_of(t), ino, out);
}

static ssize_t ext_read(const struct image_tree *t, uint64_t node, void *buf, size_t len,
                        uint64_t offset)
{
    return image_read_data(reader_of(t), ino_of(node), buf, len, offset);
}

static ssize_t ext_link(const struct image_tree *t, uint64_t node, char *buf, size_t len)
{
    return image_read_link(reader_of(t), ino_of(node), buf, len);
}

struct ext_walk {
    const struct image_reader *reader;
    struct tree_walk *walk;
};

static int ext_entry(void *ctx, const struct image_dirent *d)
{
    const struct ext_walk *w = ctx;
    struct image_stat st;
    bool told = w->walk->plus && !tree_is_dots(d->name, d->name_len) &&
                image_read_stat(w->reader, d->ino, &st) == 0;
    return w->walk->entry(w->walk, d, node_of(d->ino), told ? &st : NULL);
}

static int ext_list(const struct image_tree *t, uint64_t dir, uint64_t cookie,
                    struct tree_walk *walk)
{
    struct ext_walk w = { .reader = reader_of(t), .walk = walk };
    return image_read_dir(w.reader, ino_of(dir), cookie, ext_entry, &w);
}

static ssize_t ext_xattr(const struct image_tree *t, uint64_t node, const char *name, void *buf,
                         size_t len)
{
    return image_read_xattr(reader_of(t), ino_of(node), name, buf, len);
}

static ssize_t ext_xattr_list(const struct image_tree *t, uint64_t node, char *buf, size_t len)
{
    return image_read_xattr_list(reader_of(t), ino_of(node), buf, len);
}

static int64_t ext_seek(const struct image_tree *t, uint64_t node, uint64_t offset, bool hole)
{
    return image_read_seek(reader_of(t), ino_of(node), offset, hole);
}

static void ext_fs_stat(const struct image_tree *t, struct image_fs_stat *out)
{
    image_read_fs_stat(reader_of(t), out);
}

static void ext_close(struct image_tree *t)
{
    image_reader_close(((struct ext_tree *)t)->reader);
    free(t);
}

static const struct tree_ops ops = {
    .stat = ext_stat,
    .lookup = ext_lookup,
    .read = ext_read,
    .link = ext_link,
    .list = ext_list,
    .xattr = ext_xattr,
    .xattr_list = ext_xattr_list,
    .seek = ext_seek,
    .fs_stat = ext_fs_stat,
    .close = ext_close,
};

int image_tree_open_ext(int fd, uint64_t offset, struct image_tree **out, struct err *e)
{
    struct image_reader *reader = NULL;
    if (image_reader_open(fd, offset, &reader, e) < 0)
        return -1;
    struct ext_tree *t = mem_zero(1, sizeof *t);
    *t = (struct ext_tree){ .tree.ops = &ops, .reader = reader };
    *out = &t->tree;
    return 0;
}

void image_tree_close(struct image_tree *t)
{
    if (t)
        t->ops->close(t);
}
