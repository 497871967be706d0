/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/proc.h"
#include "image/edit.h"
#include "image/writer/writer.h"

/* Only zeros become holes here: blocks of zeros as they are, free blocks by what they are worth.
 * A hole reads as zeros, so an image killed half way holds what it held before. */

enum { CHUNK = 1 << 20 };

struct compact {
    int fd;
    uint64_t size; /* of the file */
    uint8_t *buf;
};

static void compact_fini(struct compact *c)
{
    free(c->buf);
}

static int punch(const struct compact *c, uint64_t at, uint64_t len)
{
    return fallocate(c->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len);
}

/* Punch the blocks of zeros among LEN bytes at AT, run by run. */
static int punch_zeros(const struct compact *c, uint64_t at, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = 0;
        while (i + n + EXT_BLOCK <= len && ext_is_zero(c->buf + i + n, EXT_BLOCK))
            n += EXT_BLOCK;
        if (n && punch(c, at + i, n) < 0)
            return -1;
        i += n ? n : EXT_BLOCK;
    }
    return 0;
}

/* Every stretch of data from START on. */
static int punch_all_zeros(const struct compact *c)
{
    uint64_t at = 0;
    while (at < c->size) {
        off_t data = lseek(c->fd, (off_t)at, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? 0 : -1;
        at = (uint64_t)data & ~(uint64_t)(EXT_BLOCK - 1);
        uint64_t left = c->size - at;
        ssize_t got = fs_pread_full(c->fd, c->buf, left < CHUNK ? (size_t)left : CHUNK, at);
        if (got <= 0)
            return got < 0 ? -1 : 0;
        if (punch_zeros(c, at, (size_t)got) < 0)
            return -1;
        at += CHUNK;
    }
    return 0;
}

static uint32_t le32_of(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The geometry of an ext2 or ext3 like ours: 4 KiB blocks, plain descriptors, bitmaps that are
 * valid. In others (and in one that was not unmounted cleanly) only zeros are looked for. */
struct geometry {
    uint32_t n_blocks, per_group;
};

static bool read_geometry(const struct compact *c, struct geometry *g)
{
    uint8_t super[1024];
    if (fs_pread_full(c->fd, super, sizeof super, 1024) != (ssize_t)sizeof super)
        return false;
    enum { BLOCKS = 0x04, LOG_SIZE = 0x18, PER_GROUP = 0x20, INCOMPAT = 0x60, RO_COMPAT = 0x64 };
    g->n_blocks = le32_of(super + BLOCKS);
    g->per_group = le32_of(super + PER_GROUP);
    return le32_of(super + LOG_SIZE) == EXT_BLOCK_BITS - EXT2_MIN_BLOCK_LOG_SIZE &&
           (le32_of(super + INCOMPAT) & ~(uint32_t)EXT2_FEATURE_INCOMPAT_FILETYPE) == 0 &&
           (le32_of(super + RO_COMPAT) & ~(uint32_t)(EXT2_FEATURE_RO_COMPAT_SPARSE_SUPER |
                                                     EXT2_FEATURE_RO_COMPAT_LARGE_FILE)) == 0 &&
           g->per_group == 8 * EXT_BLOCK && (uint64_t)g->n_blocks * EXT_BLOCK <= c->size;
}

/* Punch the runs of free blocks of one group, whose first block is FIRST; MAP is its bitmap. */
static int punch_group(const struct compact *c, const struct geometry *g, uint64_t first,
                       const uint8_t *map)
{
    uint64_t n = g->n_blocks - first < g->per_group ? g->n_blocks - first : g->per_group;
    for (uint64_t i = 0; i < n;) {
        uint64_t len = 0;
        while (i + len < n && !(map[(i + len) / 8] >> ((i + len) % 8) & 1))
            len++;
        if (len && punch(c, (first + i) * EXT_BLOCK, len * EXT_BLOCK) < 0)
            return -1;
        i += len ? len : 1;
    }
    return 0;
}

/* Read by hand rather than with libext2fs: these bytes may be hostile, and what they can do here is
 * harm their own image. */
static int punch_free(const struct compact *c)
{
    struct geometry g;
    uint8_t desc[32], map[EXT_BLOCK];
    if (!read_geometry(c, &g))
        return 0;
    for (uint64_t first = 0, i = 0; first < g.n_blocks; first += g.per_group, i++) {
        if (fs_pread_full(c->fd, desc, sizeof desc, EXT_BLOCK + i * sizeof desc) < 0 ||
            fs_pread_full(c->fd, map, sizeof map, (uint64_t)le32_of(desc) * EXT_BLOCK) !=
                (ssize_t)sizeof map)
            return -1;
        if (punch_group(c, &g, first, map) < 0)
            return -1;
    }
    return 0;
}

static uint64_t disk_bytes(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

int image_compact(const struct place *p, uint64_t *freed_bytes, struct err *e)
{
    auto_edit struct edit ed = EDIT_INIT;
    /* A damaged image may call blocks free that it uses. */
    if (image_check(p, e) < 0 || edit_open(p, IMAGE_LOCK_WRITE, &ed, e) < 0)
        return -1;
    cleanup_with(compact_fini) struct compact c = { .fd = ed.fd,
                                                    .size = ed.info.file_bytes,
                                                    .buf = mem_alloc(CHUNK) };
    uint64_t before = disk_bytes(ed.fd);
    if (punch(&c, c.size, EXT_BLOCK) < 0 && errno == EOPNOTSUPP) {
        err_set(e, ERR_HOST, "the file system of '%s' cannot punch holes", p->path);
        return err_hint(e, "copy it with 'cp --sparse=always'");
    }
    /* Only e2fsck has compared the bitmaps with what is in use; and behind a launcher of
     * Singularity 2.x blocks are not where the file's blocks are. */
    auto_free char *e2fsck = proc_find("e2fsck");
    if ((e2fsck && ed.info.fs_offset == 0 && punch_free(&c) < 0) || punch_all_zeros(&c) < 0)
        return err_sys(e, "cannot punch holes into '%s'", p->path);
    if (fsync(ed.fd) < 0)
        return err_sys(e, "cannot write '%s'", p->path);
    uint64_t after = disk_bytes(ed.fd);
    *freed_bytes = before > after ? before - after : 0;
    return 0;
}
