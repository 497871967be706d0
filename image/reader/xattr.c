/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

#include <linux/xattr.h>

enum {
    XATTR_MAGIC = (int)0xea020000,
    ENTRY_HEAD = 16,
    BLOCK_HEAD = 32,
    MAX_VALUE = READER_MAX_BLOCK,
    NAME_BYTES = 255 + 32, /* with prefix and NUL */
    INDEX_ACL_ACCESS = 2,
    INDEX_ACL_DEFAULT = 3,
};

/* Where a set of attributes lies: entries from ENTRIES on, values counted from VALUES. */
struct xattr_area {
    uint8_t buf[READER_MAX_BLOCK];
    size_t len, entries, values;
};

struct xattr {
    char name[NAME_BYTES]; /* as system calls spell it */
    size_t name_len;
    uint8_t index;
    const uint8_t *value;
    size_t value_len;
};

static const char *prefix(uint8_t index, bool *bare)
{
    *bare = index == INDEX_ACL_ACCESS || index == INDEX_ACL_DEFAULT;
    switch (index) {
    case 1:
        return XATTR_USER_PREFIX;
    case INDEX_ACL_ACCESS:
        return XATTR_NAME_POSIX_ACL_ACCESS;
    case INDEX_ACL_DEFAULT:
        return XATTR_NAME_POSIX_ACL_DEFAULT;
    case 4:
        return XATTR_TRUSTED_PREFIX;
    case 6:
        return XATTR_SECURITY_PREFIX;
    default:
        return NULL;
    }
}

/* The entry at *POS; advances. 1: one was read, 0: the list ended, -EUCLEAN. An entry of a kind
 * that we do not show, or whose value lies elsewhere, has name_len 0. */
static int next_entry(const struct xattr_area *a, size_t *pos, struct xattr *x)
{
    size_t at = *pos;
    if (at > a->len || a->len - at < 4 || le32_at(a->buf, at) == 0)
        return 0; /* the zeros may be left out where the area is full */
    if (a->len - at < ENTRY_HEAD)
        return -EUCLEAN;
    const uint8_t *raw = a->buf + at;
    size_t name_len = raw[0], value_at = a->values + le16_at(raw, 2);
    size_t total = (ENTRY_HEAD + name_len + 3) & ~(size_t)3;
    uint32_t value_len = le32_at(raw, 8);
    if (total > a->len - at || le32_at(raw, 4) != 0)
        return -EUCLEAN;
    if (value_len > 0 && (value_at > a->len || value_len > a->len - value_at))
        return -EUCLEAN;
    *pos = at + total;

    bool bare;
    const char *before = prefix(raw[1], &bare);
    x->name_len = 0;
    x->index = raw[1];
    x->value = a->buf + (value_len ? value_at : 0);
    x->value_len = value_len;
    if (!before || bare != (name_len == 0) || memchr(raw + ENTRY_HEAD, '\0', name_len))
        return 1;
    size_t n = strlen(before);
    memcpy(x->name, before, n);
    memcpy(x->name + n, raw + ENTRY_HEAD, name_len);
    x->name[n + name_len] = '\0';
    x->name_len = n + name_len;
    return 1;
}

/* Attributes behind the inode's own fields. 0: there are none. */
static int load_inode_area(const struct image_reader *r, const struct reader_inode *inode,
                           struct xattr_area *a)
{
    size_t start = 128 + (size_t)inode->extra_bytes;
    if (inode->extra_bytes == 0 || r->inode_bytes < start + 8)
        return 0;
    a->len = r->inode_bytes - start;
    int rc = reader_meta(r, inode->where + start, a->buf, a->len);
    if (rc < 0)
        return rc;
    a->entries = a->values = 4;
    return le32_at(a->buf, 0) == (uint32_t)XATTR_MAGIC;
}

static int load_block_area(const struct image_reader *r, const struct reader_inode *inode,
                           struct xattr_area *a)
{
    if (inode->xattr_block == 0)
        return 0;
    if (!reader_block_ok(r, inode->xattr_block))
        return -EUCLEAN;
    a->len = r->block_bytes;
    int rc = reader_meta(r, inode->xattr_block << r->block_bits, a->buf, a->len);
    if (rc < 0)
        return rc;
    if (le32_at(a->buf, 0) != (uint32_t)XATTR_MAGIC || le32_at(a->buf, 8) != 1)
        return -EUCLEAN;
    a->entries = BLOCK_HEAD;
    a->values = 0;
    return 1;
}

/* All attributes of an inode, one after the other: those behind it, then those of its block. */
struct walk {
    const struct image_reader *r;
    struct reader_inode inode;
    struct xattr_area area;
    int areas; /* looked for so far */
    size_t pos;
};

static int walk_start(struct walk *w, const struct image_reader *r, uint32_t ino)
{
    w->r = r;
    w->areas = 0;
    w->area.len = w->pos = 0; /* an area at its end */
    return reader_inode_load(r, ino, &w->inode);
}

/* 1: *X is the next one that is shown, lent until the next call; 0: there are no more; or a
 * negative errno. */
static int walk_next(struct walk *w, struct xattr *x)
{
    for (;;) {
        int rc = next_entry(&w->area, &w->pos, x);
        if (rc < 0 || (rc == 1 && x->name_len))
            return rc;
        if (rc == 1)
            continue;
        if (w->areas == 2)
            return 0;
        w->area.len = w->pos = 0;
        rc = w->areas++ == 0 ? load_inode_area(w->r, &w->inode, &w->area)
                             : load_block_area(w->r, &w->inode, &w->area);
        if (rc < 0)
            return rc;
        if (rc == 1)
            w->pos = w->area.entries;
        else
            w->area.len = 0;
    }
}

/* An ACL as ext stores it (short entries where no id is needed) into the form of the system calls
 * (linux/posix_acl_xattr.h), or -EUCLEAN. OUT holds MAX_VALUE * 2 bytes. */
static ssize_t convert_acl(const uint8_t *in, size_t len, uint8_t *out)
{
    enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };
    const uint32_t version = htole32(2), no_id = 0xffffffff;
    if (len < 4 || le32_at(in, 0) != 1)
        return -EUCLEAN;
    size_t n = 4;
    memcpy(out, &version, 4);
    for (size_t at = 4; at < len;) {
        if (len - at < 4)
            return -EUCLEAN;
        uint16_t tag = le16_at(in, at);
        bool has_id = tag == USER || tag == GROUP;
        if (!has_id && tag != USER_OBJ && tag != GROUP_OBJ && tag != MASK && tag != OTHER)
            return -EUCLEAN;
        if (le16_at(in, at + 2) > 7 || (has_id && len - at < 8))
            return -EUCLEAN;
        memcpy(out + n, in + at, 4);
        memcpy(out + n + 4, has_id ? (const void *)(in + at + 4) : &no_id, 4);
        n += 8;
        at += has_id ? 8 : 4;
    }
    return (ssize_t)n;
}

static ssize_t give_value(const struct xattr *x, void *buf, size_t len)
{
    uint8_t acl[MAX_VALUE * 2 + 8];
    const uint8_t *value = x->value;
    size_t n = x->value_len;
    if (x->index == INDEX_ACL_ACCESS || x->index == INDEX_ACL_DEFAULT) {
        ssize_t converted = convert_acl(x->value, x->value_len, acl);
        if (converted < 0)
            return converted;
        value = acl;
        n = (size_t)converted;
    }
    if (len == 0)
        return (ssize_t)n;
    if (n > len)
        return -ERANGE;
    memcpy(buf, value, n);
    return (ssize_t)n;
}

ssize_t image_read_xattr(const struct image_reader *r, uint32_t ino, const char *name, void *buf,
                         size_t len)
{
    struct walk w;
    struct xattr x;
    int rc = walk_start(&w, r, ino);
    if (rc < 0)
        return rc;
    while ((rc = walk_next(&w, &x)) == 1)
        if (strcmp(x.name, name) == 0)
            return give_value(&x, buf, len);
    return rc < 0 ? rc : -ENODATA;
}

ssize_t image_read_xattr_list(const struct image_reader *r, uint32_t ino, char *buf, size_t len)
{
    struct walk w;
    struct xattr x;
    size_t total = 0;
    int rc = walk_start(&w, r, ino);
    if (rc < 0)
        return rc;
    while ((rc = walk_next(&w, &x)) == 1) {
        if (len && x.name_len + 1 > len - total)
            return -ERANGE;
        if (len)
            memcpy(buf + total, x.name, x.name_len + 1);
        total += x.name_len + 1;
    }
    return rc < 0 ? rc : (ssize_t)total;
}
