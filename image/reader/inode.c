/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

/* Flags that may be set: those that tell something to writers, and those of features we read. The
 * others change what the blocks mean (inline data, encryption, verity, compression …), and an image
 * may set them though its superblock does not announce the feature. */
static uint32_t allowed_flags(const struct image_reader *r)
{
    enum {
        SECRM = 0x1,
        UNRM = 0x2,
        COMPR = 0x4, /* a wish, never honoured */
        SYNC = 0x8,
        IMMUTABLE = 0x10,
        APPEND = 0x20,
        NODUMP = 0x40,
        NOATIME = 0x80,
        NOCOMPR = 0x400,
        INDEX = 0x1000,
        JOURNAL_DATA = 0x4000,
        NOTAIL = 0x8000,
        DIRSYNC = 0x10000,
        TOPDIR = 0x20000,
        EOFBLOCKS = 0x400000,
        DAX = 0x2000000,
        PROJINHERIT = 0x20000000,
    };
    uint32_t ok = SECRM | UNRM | COMPR | SYNC | IMMUTABLE | APPEND | NODUMP | NOATIME | NOCOMPR |
                  INDEX | JOURNAL_DATA | NOTAIL | DIRSYNC | TOPDIR | EOFBLOCKS | DAX | PROJINHERIT;
    if (r->has_extents)
        ok |= FLAG_EXTENTS;
    if (r->has_huge_file)
        ok |= FLAG_HUGE_FILE;
    return ok;
}

/* Old numbers are 8:8 bits in the first word, new ones 12:20 in the second,
 * as in linux/kdev_t.h. */
static void take_device(struct image_stat *st, const uint8_t *block)
{
    uint32_t old = le32_at(block, 0), new = le32_at(block, 4);
    if (old) {
        st->rdev_major = (old >> 8) & 0xff;
        st->rdev_minor = old & 0xff;
    } else {
        st->rdev_major = (new & 0xfff00) >> 8;
        st->rdev_minor = (new & 0xff) | ((new >> 12) & 0xfff00);
    }
}

/* A time: 32 signed bits, and where the inode is large enough two more bits of seconds below 30 of
 * nanoseconds. */
static int64_t take_time(const uint8_t *raw, size_t lo, size_t extra, uint32_t *nsec)
{
    int64_t t = (int32_t)le32_at(raw, lo);
    *nsec = 0;
    if (extra) {
        uint32_t x = le32_at(raw, extra);
        t += (int64_t)(x & 3) << 32;
        *nsec = x >> 2;
        if (*nsec > 999999999)
            *nsec = 999999999;
    }
    return t;
}

static void take_times(const uint8_t *raw, uint32_t extra_bytes, struct image_stat *st)
{
    /* Field ends: ctime_extra 8, mtime_extra 12, atime_extra 16 bytes after the first 128. */
    st->atime = take_time(raw, 8, extra_bytes >= 16 ? 140 : 0, &st->atime_nsec);
    st->ctime = take_time(raw, 12, extra_bytes >= 8 ? 132 : 0, &st->ctime_nsec);
    st->mtime = take_time(raw, 16, extra_bytes >= 12 ? 136 : 0, &st->mtime_nsec);
}

static int take_size(const struct image_reader *r, const uint8_t *raw, struct reader_inode *out)
{
    struct image_stat *st = &out->st;
    st->size = le32_at(raw, 4);
    if (S_ISREG(st->mode))
        st->size |= (uint64_t)le32_at(raw, 108) << 32;
    st->blocks = le32_at(raw, 28);
    if (r->has_huge_file)
        st->blocks |= (uint64_t)le16_at(raw, 116) << 32;
    if (out->flags & FLAG_HUGE_FILE)
        st->blocks <<= r->block_bits - 9;

    if (S_ISREG(st->mode) && st->size > reader_max_bytes(r, out->flags & FLAG_EXTENTS))
        return -EUCLEAN;
    if (S_ISDIR(st->mode) && (st->size == 0 || st->size % r->block_bytes != 0 ||
                              st->size > READER_MAX_DIR || st->size >> r->block_bits > r->n_blocks))
        return -EUCLEAN;
    if (S_ISLNK(st->mode) && (st->size == 0 || st->size > READER_MAX_LINK))
        return -EUCLEAN;
    return 0;
}

static int decode(const struct image_reader *r, const uint8_t *raw, struct reader_inode *out)
{
    struct image_stat *st = &out->st;
    st->mode = le16_at(raw, 0);
    st->uid = le16_at(raw, 2) | (uint32_t)le16_at(raw, 120) << 16;
    st->gid = le16_at(raw, 24) | (uint32_t)le16_at(raw, 122) << 16;
    st->nlink = le16_at(raw, 26);
    st->generation = le32_at(raw, 100);
    out->flags = le32_at(raw, 32);
    out->xattr_block = le32_at(raw, 104);
    if (r->has_64bit)
        out->xattr_block |= (uint64_t)le16_at(raw, 118) << 32;
    memcpy(out->block, raw + 40, sizeof out->block);
    if (r->inode_bytes > 128)
        out->extra_bytes = le16_at(raw, 128);
    if (out->extra_bytes > r->inode_bytes - 128 || out->extra_bytes % 4 != 0)
        return -EUCLEAN;
    take_times(raw, out->extra_bytes, st);

    if (st->mode == 0 || st->nlink == 0) /* free, yet somebody names it */
        return -EUCLEAN;
    if (out->flags & ~allowed_flags(r))
        return -EUCLEAN;
    switch (st->mode & S_IFMT) {
    case S_IFCHR:
    case S_IFBLK:
        take_device(st, out->block);
        st->size = 0;
        return 0;
    case S_IFIFO:
    case S_IFSOCK:
        st->size = 0;
        return 0;
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
        return take_size(r, raw, out);
    default:
        return -EUCLEAN;
    }
}

int reader_inode_load_any(const struct image_reader *r, uint32_t ino, struct reader_inode *out)
{
    if (ino == 0 || ino > r->n_inodes)
        return -EUCLEAN;
    uint32_t group = (ino - 1) / r->inodes_per_group, index = (ino - 1) % r->inodes_per_group;
    uint8_t raw[READER_RAW_INODE];
    size_t len = r->inode_bytes < sizeof raw ? r->inode_bytes : sizeof raw;

    memset(out, 0, sizeof *out);
    out->where = (r->inode_tables[group] << r->block_bits) + (uint64_t)index * r->inode_bytes;
    out->st.ino = ino;
    int rc = reader_meta(r, out->where, raw, len);
    return rc < 0 ? rc : decode(r, raw, out);
}

int reader_inode_load(const struct image_reader *r, uint32_t ino, struct reader_inode *out)
{
    if (ino < r->first_ino && ino != IMAGE_ROOT_INO)
        return -EUCLEAN;
    return reader_inode_load_any(r, ino, out);
}

int image_read_stat(const struct image_reader *r, uint32_t ino, struct image_stat *out)
{
    struct reader_inode inode;
    int rc = reader_inode_load(r, ino, &inode);
    if (rc == 0)
        *out = inode.st;
    return rc;
}
