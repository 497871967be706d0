/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <string.h>

#include "image/squash/squash.h"

enum {
    MAX_VALUE = 65536,   /* XATTR_SIZE_MAX */
    MAX_ENTRIES = 65536, /* of an inode: its names would not fit into a list */
};

static const char *const prefixes[] = {
    [SQUASHFS_XATTR_USER] = "user.",
    [SQUASHFS_XATTR_TRUSTED] = "trusted.",
    [SQUASHFS_XATTR_SECURITY] = "security.",
};

struct iter {
    struct squash *h;
    sqfs_md_cursor cur;
    uint32_t left;
    const char *prefix; /* NULL: of a kind that we do not know */
    size_t name_len;    /* of what follows the prefix, in h->name */
    bool elsewhere;     /* the value: what is here is only its position */
    sqfs_md_cursor value;
    size_t value_len;
};

static int open_iter(struct iter *it, const sqfs_inode *inode)
{
    struct squash *h = it->h;
    struct squashfs_xattr_id id;
    if (inode->xattr == SQUASHFS_INVALID_XATTR || h->fs.xattr_info.xattr_ids == 0)
        return 0;
    struct squash_table table = { &h->fs.xattr_table, h->fs.xattr_info.xattr_ids };
    int rc = squash_table_get(h, table, inode->xattr, &id, sizeof id);
    if (rc < 0)
        return rc;
    sqfs_md_cursor_inode(&it->cur, le64toh(id.xattr),
                         (sqfs_off_t)h->fs.xattr_info.xattr_table_start);
    it->left = le32toh(id.count);
    if (it->left > MAX_ENTRIES)
        return -EUCLEAN;
    return it->left ? squash_cursor_ok(h, &it->cur) : 0;
}

/* Length of the value at CUR, which is moved behind it; OUT is where its bytes are. */
static int pass_value(struct iter *it, sqfs_md_cursor *cur, sqfs_md_cursor *out, size_t *len)
{
    uint32_t size;
    if (sqfs_md_read(&it->h->fs, cur, &size, sizeof size) != SQFS_OK)
        return -EIO;
    *len = le32toh(size);
    *out = *cur;
    if (*len > MAX_VALUE)
        return -EUCLEAN;
    return sqfs_md_read(&it->h->fs, cur, NULL, *len) == SQFS_OK ? 0 : -EIO;
}

/* Values that several inodes share lie elsewhere. */
static int go_to_value(struct iter *it)
{
    uint64_t ref;
    sqfs_md_cursor cur;
    if (!it->elsewhere)
        return 0;
    if (it->value_len != sizeof ref)
        return -EUCLEAN;
    if (sqfs_md_read(&it->h->fs, &it->value, &ref, sizeof ref) != SQFS_OK)
        return -EIO;
    sqfs_md_cursor_inode(&cur, le64toh(ref), (sqfs_off_t)it->h->fs.xattr_info.xattr_table_start);
    int rc = squash_cursor_ok(it->h, &cur);
    return rc < 0 ? rc : pass_value(it, &cur, &it->value, &it->value_len);
}

/* Next entry: 1, at the end 0. */
static int next(struct iter *it)
{
    struct squashfs_xattr_entry entry;
    if (it->left == 0)
        return 0;
    it->left--;
    if (sqfs_md_read(&it->h->fs, &it->cur, &entry, sizeof entry) != SQFS_OK)
        return -EIO;
    unsigned type = le16toh(entry.type);
    unsigned kind = type & SQUASHFS_XATTR_PREFIX_MASK;
    it->prefix = kind < ARRAY_LEN(prefixes) ? prefixes[kind] : NULL;
    it->name_len = le16toh(entry.size);
    if (it->name_len == 0 || it->name_len > SQUASH_MAX_NAME)
        return -EUCLEAN;
    if (sqfs_md_read(&it->h->fs, &it->cur, it->h->name, it->name_len) != SQFS_OK)
        return -EIO;
    if (memchr(it->h->name, '\0', it->name_len))
        return -EUCLEAN;
    it->elsewhere = type & SQUASHFS_XATTR_VALUE_OOL;
    int rc = pass_value(it, &it->cur, &it->value, &it->value_len);
    return rc < 0 ? rc : 1;
}

static int start(struct iter *it, const struct image_tree *t, uint64_t node)
{
    struct squash_inode inode;
    it->h = squash_take(t);
    int rc = squash_inode_get(it->h, node, &inode);
    return rc < 0 ? rc : open_iter(it, &inode.raw);
}

static void iter_fini(struct iter *it)
{
    squash_give(&it->h);
}

static bool is_named(const struct iter *it, const char *name)
{
    size_t len = it->prefix ? strlen(it->prefix) : 0;
    return len && strncmp(name, it->prefix, len) == 0 && strlen(name + len) == it->name_len &&
           memcmp(name + len, it->h->name, it->name_len) == 0;
}

ssize_t squash_xattr(const struct image_tree *t, uint64_t node, const char *name, void *buf,
                     size_t len)
{
    cleanup_with(iter_fini) struct iter it = { 0 };
    int rc = start(&it, t, node);
    while (rc >= 0 && (rc = next(&it)) == 1) {
        if (!is_named(&it, name))
            continue;
        rc = go_to_value(&it);
        if (rc < 0 || len == 0)
            return rc < 0 ? rc : (ssize_t)it.value_len;
        if (it.value_len > len)
            return -ERANGE;
        rc = sqfs_md_read(&it.h->fs, &it.value, buf, it.value_len) == SQFS_OK ? 0 : -EIO;
        return rc < 0 ? rc : (ssize_t)it.value_len;
    }
    return rc < 0 ? rc : -ENODATA;
}

ssize_t squash_xattr_list(const struct image_tree *t, uint64_t node, char *buf, size_t len)
{
    cleanup_with(iter_fini) struct iter it = { 0 };
    size_t total = 0;
    int rc = start(&it, t, node);
    while (rc >= 0 && (rc = next(&it)) == 1) {
        if (!it.prefix)
            continue;
        size_t before = strlen(it.prefix), size = before + it.name_len + 1;
        if (len && size > len - total)
            return -ERANGE;
        if (len) {
            memcpy(buf + total, it.prefix, before);
            memcpy(buf + total + before, it.h->name, it.name_len);
            buf[total + size - 1] = '\0';
        }
        total += size;
    }
    return rc < 0 ? rc : (ssize_t)total;
}
