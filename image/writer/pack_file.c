/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "image/writer/ext_out.h"
#include "image/writer/pack_dir.h"
#include "image/writer/pack_plan.h"

static int fail(const struct pack_plan *p, const struct pack_node *n, struct err *e)
{
    int saved = errno;
    auto_free char *path = pack_path(p, n);
    errno = saved;
    return err_sys(e, "cannot read '%s' of the tree", path);
}

static int changed(const struct pack_plan *p, const struct pack_node *n, struct err *e)
{
    auto_free char *path = pack_path(p, n);
    return err_set(e, ERR_FAILED, "'%s' of the tree changed while it was read", path);
}

static void give_blocks(uint8_t *data, size_t len, uint64_t lblk, const struct pack_reader *to)
{
    size_t padded = (len + EXT_BLOCK - 1) & ~(size_t)(EXT_BLOCK - 1);
    memset(data + len, 0, padded - len);
    for (size_t at = 0; at < padded; at += EXT_BLOCK, lblk++)
        if (!ext_is_zero(data + at, EXT_BLOCK))
            to->block(to->ctx, lblk, data + at);
}

/* Where the next byte that is not in a hole of the source is; SIZE when there is none. Only a
 * short cut over what would be read as zeros. */
static uint64_t skip_hole(int fd, uint64_t at, uint64_t size)
{
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? size : at;
    uint64_t start = (uint64_t)data & ~(uint64_t)(EXT_BLOCK - 1);
    return start > at ? (start < size ? start : size) : at;
}

/* From the source: reading says what is wrong itself. */
static int read_source(struct pack_plan *p, const struct pack_node *n, const struct pack_reader *to,
                       struct err *e)
{
    const struct source *s = p->source;
    for (uint64_t at = 0; at < n->size;) {
        if (s->ops->seek) {
            int64_t data = s->ops->seek(s->ctx, n->from, at, false, e);
            if (data < 0)
                return -1;
            uint64_t start = (uint64_t)data & ~(uint64_t)(EXT_BLOCK - 1);
            at = (uint64_t)data >= n->size ? n->size : start > at ? start : at;
        }
        uint64_t left = n->size - at;
        if (left == 0)
            break;
        size_t want = left < PACK_READ_BYTES ? (size_t)left : PACK_READ_BYTES;
        for (size_t done = 0; done < want;) {
            ssize_t got = s->ops->read(s->ctx, n->from, p->data + done, want - done, at + done, e);
            if (got < 0)
                return -1;
            if (got == 0)
                return changed(p, n, e);
            done += (size_t)got;
        }
        give_blocks(p->data, want, at / EXT_BLOCK, to);
        at += want;
    }
    return 0;
}

int pack_file_read(struct pack_plan *p, const struct pack_node *n, const struct pack_reader *to,
                   struct err *e)
{
    if (n->size == 0)
        return 0;
    if (p->source)
        return read_source(p, n, to, e);
    int dir_fd = pack_dir_fd(p, n->parent);
    if (dir_fd < 0)
        return fail(p, n, e);
    auto_close int fd =
        openat(dir_fd, pack_name(p, n), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(p, n, e);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != n->size)
        return changed(p, n, e);
    /* Asking for holes costs a call: only where the file has fewer blocks than its size needs. */
    bool holes = (uint64_t)st.st_blocks * 512 < n->size;
    for (uint64_t at = 0; at < n->size;) {
        if (holes)
            at = skip_hole(fd, at, n->size);
        uint64_t left = n->size - at;
        if (left == 0)
            break;
        size_t want = left < PACK_READ_BYTES ? (size_t)left : PACK_READ_BYTES;
        ssize_t got = fs_pread_full(fd, p->data, want, at);
        if (got < 0)
            return fail(p, n, e);
        if ((size_t)got != want)
            return changed(p, n, e);
        give_blocks(p->data, want, at / EXT_BLOCK, to);
        at += want;
    }
    return 0;
}

/* Counts the blocks of one file, indirect ones included. */
struct counter {
    uint64_t n, last_table, last_double;
    bool in_triple;
};

static void count_block(void *ctx, uint64_t lblk, const uint8_t *data)
{
    (void)data;
    struct counter *c = ctx;
    c->n++;
    if (lblk < EXT2_NDIR_BLOCKS)
        return;
    lblk -= EXT2_NDIR_BLOCKS;
    if (lblk / EXT_PTRS + 1 != c->last_table) {
        c->last_table = lblk / EXT_PTRS + 1;
        c->n++;
    }
    if (lblk < EXT_PTRS)
        return;
    lblk -= EXT_PTRS;
    uint64_t part = lblk / ((uint64_t)EXT_PTRS * EXT_PTRS);
    if (part + 1 != c->last_double) {
        c->last_double = part + 1;
        c->n += part == 0 || c->in_triple ? 1 : 2;
        c->in_triple = part > 0;
    }
}

static uint64_t dense_blocks(uint64_t size)
{
    uint64_t n = (size + EXT_BLOCK - 1) / EXT_BLOCK;
    return n + ext_map_overhead(n);
}

static uint64_t dir_blocks(const struct pack_plan *p, const struct pack_node *n)
{
    const struct pack_dir *d = &p->dirs[n->dir];
    bool root = n == p->nodes;
    uint64_t bytes = root && !p->lost_found ? pack_entry_bytes(strlen("lost+found")) : 0;
    for (uint32_t i = d->first; i < d->first + d->n; i++)
        bytes += pack_entry_bytes(strlen(pack_name(p, &p->nodes[i])));
    uint64_t blocks = pack_dir_need(bytes);
    if (p->lost_found && n == &p->nodes[p->lost_found] && blocks < PACK_LOST_FOUND_BLOCKS)
        blocks = PACK_LOST_FOUND_BLOCKS;
    return blocks + ext_map_overhead(blocks);
}

static int count_node(struct pack_plan *p, struct pack_node *n, uint64_t above, struct err *e)
{
    if (S_ISREG(n->mode) && n->size > above) {
        struct counter c = { 0 };
        const struct pack_reader to = { .block = count_block, .ctx = &c };
        if (pack_file_read(p, n, &to, e) < 0)
            return -1;
        n->n_blocks = c.n;
    } else if (S_ISREG(n->mode)) {
        n->n_blocks = dense_blocks(n->size);
    } else if (S_ISDIR(n->mode)) {
        n->n_blocks = dir_blocks(p, n);
    } else if (S_ISLNK(n->mode)) {
        n->n_blocks = n->size > PACK_MAX_FAST_LINK;
    }
    return 0;
}

int pack_count(struct pack_plan *p, uint64_t above, uint64_t *n_blocks, struct err *e)
{
    uint64_t sum = p->lost_found ? 0 : PACK_LOST_FOUND_BLOCKS;
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        struct pack_node *n = &p->nodes[i];
        if (n->first != i)
            continue;
        if (count_node(p, n, above, e) < 0)
            return -1;
        sum += n->n_blocks + (n->xattr && n->xattr->block);
    }
    *n_blocks = sum;
    return 0;
}
