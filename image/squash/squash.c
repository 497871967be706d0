/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/squash/squash.h"

#include <endian.h>
#include <string.h>

#include "base/mem.h"

struct squash *squash_take(const struct image_tree *t)
{
    struct squash *h = (struct squash *)t;
    pthread_mutex_lock(&h->lock);
    return h;
}

void squash_give(struct squash **h)
{
    pthread_mutex_unlock(&(*h)->lock);
}

/* ── metadata ── */

int squash_cursor_ok(struct squash *h, const sqfs_md_cursor *cur)
{
    sqfs_block *block;
    sqfs_off_t next = cur->block;
    /* Position 0 means an empty slot to the cache. */
    if (cur->block < (sqfs_off_t)sizeof h->fs.sb || cur->offset >= SQUASHFS_METADATA_SIZE)
        return -EUCLEAN;
    if (sqfs_md_cache(&h->fs, &next, &block) != SQFS_OK)
        return -EIO;
    return cur->offset < block->size ? 0 : -EUCLEAN;
}

int squash_table_get(struct squash *h, struct squash_table table, uint64_t idx, void *out,
                     size_t len)
{
    if (idx >= table.n || !table.table->blocks)
        return -EUCLEAN;
    uint64_t at = idx * len;
    sqfs_md_cursor cur = {
        .block = (sqfs_off_t)table.table->blocks[at / SQUASHFS_METADATA_SIZE],
        .offset = at % SQUASHFS_METADATA_SIZE,
    };
    int rc = squash_cursor_ok(h, &cur);
    if (rc < 0)
        return rc;
    return sqfs_md_read(&h->fs, &cur, out, len) == SQFS_OK ? 0 : -EIO;
}

/* ── inodes ── A node is the inode's position, moved so that 0 and 1 are free for FUSE. */

uint64_t squash_node_of(const struct squash *h, sqfs_inode_id id)
{
    return id == h->fs.sb.root_inode ? FUSE_ROOT_ID : id + 2;
}

int squash_inode_get(struct squash *h, uint64_t node, struct squash_inode *out)
{
    uint64_t id = node == FUSE_ROOT_ID ? h->fs.sb.root_inode : node - 2;
    sqfs_md_cursor cur = {
        .block = (sqfs_off_t)((id >> 16) + h->fs.sb.inode_table_start),
        .offset = id & 0xffff,
    };
    if (id >> 48)
        return -EUCLEAN;
    int rc = squash_cursor_ok(h, &cur);
    if (rc < 0)
        return rc;
    *out = (struct squash_inode){ 0 };
    if (sqfs_inode_get(&h->fs, &out->raw, id) != SQFS_OK)
        return -EIO;
    if (out->raw.base.inode_type != SQUASHFS_LREG_TYPE)
        return 0;
    /* What the library leaves out. */
    struct squashfs_lreg_inode large;
    if (sqfs_md_read(&h->fs, &cur, &large, sizeof large) != SQFS_OK)
        return -EIO;
    out->hole_bytes = le64toh(large.sparse);
    return 0;
}

static int id_get(struct squash *h, uint16_t idx, uint32_t *out)
{
    uint32_t id;
    int rc = squash_table_get(h, (struct squash_table){ &h->fs.id_table, h->fs.sb.no_ids }, idx,
                              &id, sizeof id);
    *out = rc < 0 ? 0 : le32toh(id);
    return rc;
}

static uint64_t blocks_of(uint64_t size, uint64_t hole_bytes)
{
    uint64_t stored = hole_bytes < size ? size - hole_bytes : 0;
    return stored / 512 + (stored % 512 != 0);
}

int squash_inode_stat(struct squash *h, const struct squash_inode *from, struct image_stat *out)
{
    const sqfs_inode *inode = &from->raw;
    *out = (struct image_stat){
        .ino = inode->base.inode_number,
        .mode = inode->base.mode,
        .nlink = (uint32_t)inode->nlink,
        .atime = inode->base.mtime,
        .mtime = inode->base.mtime,
        .ctime = inode->base.mtime,
    };
    switch (inode->base.mode & S_IFMT) {
    case S_IFREG:
        out->size = inode->xtra.reg.file_size;
        if (out->size > INT64_MAX)
            return -EUCLEAN;
        out->blocks = blocks_of(out->size, from->hole_bytes);
        break;
    case S_IFDIR:
        out->size = inode->xtra.dir.dir_size;
        break;
    case S_IFLNK:
        out->size = inode->xtra.symlink_size;
        break;
    case S_IFBLK:
    case S_IFCHR:
        out->rdev_major = (uint32_t)inode->xtra.dev.major;
        out->rdev_minor = (uint32_t)inode->xtra.dev.minor;
        break;
    default:
        break;
    }
    int rc = id_get(h, inode->base.uid, &out->uid);
    return rc < 0 ? rc : id_get(h, inode->base.guid, &out->gid);
}

static int squash_stat(const struct image_tree *t, uint64_t node, struct image_stat *out)
{
    auto_squash struct squash *h = squash_take(t);
    struct squash_inode inode;
    int rc = squash_inode_get(h, node, &inode);
    return rc < 0 ? rc : squash_inode_stat(h, &inode, out);
}

static ssize_t squash_link(const struct image_tree *t, uint64_t node, char *buf, size_t len)
{
    auto_squash struct squash *h = squash_take(t);
    struct squash_inode inode;
    int rc = squash_inode_get(h, node, &inode);
    if (rc < 0)
        return rc;
    if (!S_ISLNK(inode.raw.base.mode))
        return -EINVAL;
    size_t size = inode.raw.xtra.symlink_size;
    if (size == 0 || size > SQUASH_MAX_LINK)
        return -EUCLEAN;
    if (size > len)
        return -ERANGE;
    sqfs_md_cursor cur = inode.raw.next;
    return sqfs_md_read(&h->fs, &cur, buf, size) == SQFS_OK ? (ssize_t)size : -EIO;
}

static void squash_fs_stat(const struct image_tree *t, struct image_fs_stat *out)
{
    const sqfs *fs = &((const struct squash *)t)->fs;
    *out = (struct image_fs_stat){
        .blocks = fs->sb.bytes_used / 4096 + 1,
        .inodes = fs->sb.inodes,
        .block_bytes = 4096,
    };
}

/* ── open ── */

static void tables_close(sqfs *fs)
{
    sqfs_table_destroy(&fs->xattr_table); /* the library forgets this one */
    sqfs_destroy(fs);
}

static void squash_close(struct image_tree *t)
{
    struct squash *h = (struct squash *)t;
    squash_cache_free(h->cache);
    pthread_mutex_destroy(&h->lock);
    tables_close(&h->fs);
    free(h);
}

static const struct tree_ops ops = {
    .stat = squash_stat,
    .lookup = squash_lookup,
    .read = squash_read,
    .link = squash_link,
    .list = squash_list,
    .xattr = squash_xattr,
    .xattr_list = squash_xattr_list,
    .seek = squash_seek,
    .fs_stat = squash_fs_stat,
    .close = squash_close,
};

/* What the library takes on trust. Numbers of the superblock in memory are in our byte order. */
static int check_super(const struct squashfs_super_block *sb, uint64_t room, struct err *e)
{
    if (sb->block_log < 12 || sb->block_log > 20 || sb->block_size != UINT32_C(1) << sb->block_log)
        return err_set(e, ERR_INPUT, "damaged squashfs: its block size is %u", sb->block_size);
    if (sb->bytes_used > room) {
        err_set(e, ERR_INPUT, "truncated squashfs: %llu bytes of %llu are there",
                (unsigned long long)room, (unsigned long long)sb->bytes_used);
        return err_hint(e, "copied halfway? copy the image again");
    }
    if (sb->inode_table_start > sb->bytes_used || sb->directory_table_start > sb->bytes_used)
        return err_set(e, ERR_INPUT, "damaged squashfs: a table lies outside of it");
    return 0;
}

static int told(sqfs_err code, const sqfs *fs, struct err *e)
{
    switch (code) {
    case SQFS_BADVERSION:
        return err_set(e, ERR_INPUT, "squashfs of version %u.%u, only 4.0 is read", fs->sb.s_major,
                       fs->sb.s_minor);
    case SQFS_BADCOMP:
        return err_set(e, ERR_HOST, "libsquashfuse cannot unpack its compression (number %u)",
                       fs->sb.compression);
    case SQFS_BADFORMAT:
        return err_set(e, ERR_INPUT, "not a squashfs, or truncated");
    default:
        return err_set(e, ERR_INPUT, "damaged squashfs: its tables cannot be read");
    }
}

/* On failure the library has freed what it had. */
static int tables_open(sqfs *fs, int fd, uint64_t offset, struct err *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(e, "cannot look at the image");
    uint64_t size = (uint64_t)st.st_size;
    if (offset > size)
        return err_set(e, ERR_INPUT, "not a squashfs, or truncated");
    sqfs_err code = sqfs_init(fs, fd, offset);
    if (code != SQFS_OK) {
        sqfs_table_destroy(&fs->xattr_table);
        /* Its tables lie at the end: what was cut off is told as such. */
        if (code == SQFS_ERR && fs->sb.bytes_used > size - offset)
            return check_super(&fs->sb, size - offset, e);
        return told(code, fs, e);
    }
    if (fs->sb.s_magic != SQUASHFS_MAGIC)
        code = SQFS_BADFORMAT;
    int rc = code != SQFS_OK ? told(code, fs, e) : check_super(&fs->sb, size - offset, e);
    if (rc < 0)
        tables_close(fs);
    return rc;
}

int image_tree_open_squashfs(int fd, uint64_t offset, struct image_tree **out, struct err *e)
{
    struct squash *h = mem_zero(1, sizeof *h);
    if (tables_open(&h->fs, fd, offset, e) < 0) {
        free(h);
        return -1;
    }
    h->tree.ops = &ops;
    h->cache = squash_cache_new(h->fs.sb.block_size);
    pthread_mutex_init(&h->lock, NULL);
    auto_image_tree struct image_tree *t = &h->tree;
    sqfs_cache_destroy(&h->fs.md_cache); /* the library's is of eight blocks */
    if (sqfs_block_cache_init(&h->fs.md_cache, SQUASH_MD_BLOCKS) != SQFS_OK)
        return err_set(e, ERR_FAILED, "no memory to read the image");
    struct image_stat root;
    if (squash_stat(t, FUSE_ROOT_ID, &root) < 0 || !S_ISDIR(root.mode))
        return err_set(e, ERR_INPUT, "damaged squashfs: it has no root directory");
    *out = steal_ptr(t);
    return 0;
}
