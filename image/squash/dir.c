/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <endian.h>
#include <string.h>

#include "image/squash/squash.h"

/* Directories: runs of entries sorted by name, without the dot entries, and for long ones an index
 * of where runs begin. */

enum {
    COOKIE_DOTS = 2,  /* cookies 0 and 1 stand before "." and ".." */
    EMPTY_DIR = 3,    /* the size of a directory counts its dot entries as bytes */
    MAX_INDEX = 65536 /* entries; the count in an inode has 16 bits */
};

/* Where to begin: at the run that holds NAME, or, when it is NULL, the byte at OFFSET. */
struct target {
    const char *name;
    uint64_t offset;
};

/* The last run in the index that does not begin behind the target. */
static int use_index(struct squash *h, const sqfs_inode *inode, const struct target *to,
                     sqfs_dir *dir)
{
    sqfs_md_cursor cur = inode->next;
    size_t start = dir->cur.offset;
    for (unsigned i = 0; i < inode->xtra.dir.idx_count && i < MAX_INDEX; i++) {
        struct squashfs_dir_index idx;
        if (sqfs_md_read(&h->fs, &cur, &idx, sizeof idx) != SQFS_OK)
            return -EIO;
        size_t len = (size_t)le32toh(idx.size) + 1;
        if (len > SQUASH_MAX_NAME + 1)
            return -EUCLEAN;
        if (sqfs_md_read(&h->fs, &cur, h->name, len) != SQFS_OK)
            return -EIO;
        h->name[len] = '\0';
        uint32_t at = le32toh(idx.index);
        if (to->name ? strcmp(h->name, to->name) > 0 : at > to->offset)
            break;
        dir->cur.block = (sqfs_off_t)(le32toh(idx.start_block) + h->fs.sb.directory_table_start);
        dir->cur.offset = (start + at) % SQUASHFS_METADATA_SIZE;
        dir->offset = at;
    }
    return 0;
}

/* Position DIR at or before the target. */
static int open_dir(struct squash *h, const sqfs_inode *inode, const struct target *to,
                    sqfs_dir *dir)
{
    *dir = (sqfs_dir){
        .cur.block = (sqfs_off_t)(inode->xtra.dir.start_block + h->fs.sb.directory_table_start),
        .cur.offset = inode->xtra.dir.offset,
    };
    if (!S_ISDIR(inode->base.mode))
        return -ENOTDIR;
    if (inode->xtra.dir.dir_size <= EMPTY_DIR)
        return 0;
    dir->total = (sqfs_off_t)inode->xtra.dir.dir_size - EMPTY_DIR;
    int rc = use_index(h, inode, to, dir);
    return rc < 0 ? rc : squash_cursor_ok(h, &dir->cur);
}

/* Next entry: 1, at the end 0. */
static int next(struct squash *h, sqfs_dir *dir, sqfs_dir_entry *entry)
{
    sqfs_err code = SQFS_OK;
    sqfs_dentry_init(entry, h->name);
    if (!sqfs_dir_next(&h->fs, dir, entry, &code))
        return code == SQFS_OK ? 0 : -EIO;
    if (entry->name_size == 0 || entry->name_size > SQUASH_MAX_NAME ||
        memchr(h->name, '/', entry->name_size) || memchr(h->name, '\0', entry->name_size) ||
        tree_is_dots(h->name, entry->name_size))
        return -EUCLEAN;
    return 1;
}

static int entry_stat(struct squash *h, const sqfs_dir_entry *entry, struct image_stat *out)
{
    struct squash_inode inode;
    int rc = squash_inode_get(h, entry->inode + 2, &inode);
    return rc < 0 ? rc : squash_inode_stat(h, &inode, out);
}

int squash_lookup(const struct image_tree *t, uint64_t dir, const char *name, uint64_t *node,
                  struct image_stat *out)
{
    auto_squash struct squash *h = squash_take(t);
    const struct target to = { .name = name };
    size_t len = strlen(name);
    struct squash_inode inode;
    sqfs_dir d;
    sqfs_dir_entry entry;
    if (len > SQUASH_MAX_NAME)
        return -ENAMETOOLONG;
    int rc = squash_inode_get(h, dir, &inode);
    if (rc == 0)
        rc = open_dir(h, &inode.raw, &to, &d);
    if (rc < 0)
        return rc;
    while ((rc = next(h, &d, &entry)) == 1) {
        if ((unsigned char)h->name[0] > (unsigned char)name[0])
            return -ENOENT;
        if (entry.name_size != len || memcmp(h->name, name, len) != 0)
            continue;
        *node = squash_node_of(h, entry.inode);
        return entry_stat(h, &entry, out);
    }
    return rc < 0 ? rc : -ENOENT;
}

static int list_dots(const sqfs_inode *inode, uint64_t *cookie, struct tree_walk *walk)
{
    static const char dots[] = "..";
    bool root = inode->xtra.dir.parent_inode == 0;
    for (; *cookie < COOKIE_DOTS; ++*cookie) {
        const struct image_dirent d = {
            .name = dots,
            .name_len = *cookie + 1,
            .ino = *cookie == 0 || root ? inode->base.inode_number : inode->xtra.dir.parent_inode,
            .type = DT_DIR,
            .next_cookie = *cookie + 1,
        };
        if (walk->entry(walk, &d, 0, NULL))
            return 1;
    }
    return 0;
}

static uint8_t type_of(const sqfs_dir_entry *entry)
{
    static const uint8_t types[] = {
        [SQUASHFS_DIR_TYPE] = DT_DIR,     [SQUASHFS_REG_TYPE] = DT_REG,
        [SQUASHFS_SYMLINK_TYPE] = DT_LNK, [SQUASHFS_BLKDEV_TYPE] = DT_BLK,
        [SQUASHFS_CHRDEV_TYPE] = DT_CHR,  [SQUASHFS_FIFO_TYPE] = DT_FIFO,
        [SQUASHFS_SOCKET_TYPE] = DT_SOCK,
    };
    return entry->type > 0 && entry->type < (int)sizeof types ? types[entry->type] : DT_UNKNOWN;
}

int squash_list(const struct image_tree *t, uint64_t dir, uint64_t cookie, struct tree_walk *walk)
{
    auto_squash struct squash *h = squash_take(t);
    struct squash_inode inode;
    sqfs_dir d;
    sqfs_dir_entry entry;
    int rc = squash_inode_get(h, dir, &inode);
    if (rc < 0)
        return rc;
    if (!S_ISDIR(inode.raw.base.mode))
        return -ENOTDIR;
    if (list_dots(&inode.raw, &cookie, walk))
        return 0;
    const struct target to = { .offset = cookie - COOKIE_DOTS };
    rc = open_dir(h, &inode.raw, &to, &d);
    if (rc < 0)
        return rc;
    while ((rc = next(h, &d, &entry)) == 1) {
        if ((uint64_t)entry.offset < to.offset)
            continue;
        const struct image_dirent ent = {
            .name = h->name,
            .name_len = entry.name_size,
            .ino = entry.inode_number,
            .type = type_of(&entry),
            .next_cookie = (uint64_t)entry.next_offset + COOKIE_DOTS,
        };
        struct image_stat st;
        bool known = walk->plus && entry_stat(h, &entry, &st) == 0;
        if (walk->entry(walk, &ent, squash_node_of(h, entry.inode), known ? &st : NULL))
            return 0;
    }
    return rc;
}
