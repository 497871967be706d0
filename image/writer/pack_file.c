/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "image/writer/ext_out.h"
#include "image/writer/pack_dir.h"
#include "image/writer/pack_plan.h"

static void give_blocks(uint8_t *data, size_t len, uint64_t lblk, const struct pack_reader *to)
{
    size_t padded = (len + EXT_BLOCK - 1) & ~(size_t)(EXT_BLOCK - 1);
    memset(data + len, 0, padded - len);
    for (size_t at = 0; at < padded; at += EXT_BLOCK, lblk++)
        if (!ext_is_zero(data + at, EXT_BLOCK))
            to->block(to->ctx, lblk, data + at);
}

int pack_file_read(struct pack_plan *p, const struct pack_node *n, const struct pack_reader *to,
                   struct err *e)
{
    const struct source *s = p->source;
    const struct source_node *f = pack_file(n);
    if (!p->data)
        p->data = mem_alloc(PACK_READ_BYTES);
    for (uint64_t at = 0; at < f->size;) {
        if (s->ops->seek) {
            int64_t data = s->ops->seek(s->ctx, f, at, false, e);
            if (data < 0)
                return -1;
            uint64_t start = (uint64_t)data & ~(uint64_t)(EXT_BLOCK - 1);
            at = (uint64_t)data >= f->size ? f->size : start > at ? start : at;
        }
        uint64_t left = f->size - at;
        if (left == 0)
            break;
        size_t want = left < PACK_READ_BYTES ? (size_t)left : PACK_READ_BYTES;
        for (size_t done = 0; done < want;) {
            ssize_t got = s->ops->read(s->ctx, f, p->data + done, want - done, at + done, e);
            if (got < 0)
                return -1;
            if (got == 0) {
                auto_free char *path = pack_path(n);
                return err_set(e, ERR_FAILED, "'%s' changed while it was read", path);
            }
            done += (size_t)got;
        }
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
        bytes += pack_entry_bytes(strlen(pack_name(&p->nodes[i])));
    uint64_t blocks = pack_dir_need(bytes);
    if (p->lost_found && n == &p->nodes[p->lost_found] && blocks < PACK_LOST_FOUND_BLOCKS)
        blocks = PACK_LOST_FOUND_BLOCKS;
    return blocks + ext_map_overhead(blocks);
}

static int count_node(struct pack_plan *p, const struct pack_node *n, uint64_t above,
                      uint64_t *n_blocks, struct err *e)
{
    const struct source_node *f = pack_file(n);
    *n_blocks = n->xattr && n->xattr->block;
    if (S_ISREG(f->mode) && f->size > above) {
        struct counter c = { 0 };
        const struct pack_reader to = { .block = count_block, .ctx = &c };
        if (pack_file_read(p, n, &to, e) < 0)
            return -1;
        *n_blocks += c.n;
    } else if (S_ISREG(f->mode)) {
        *n_blocks += dense_blocks(f->size);
    } else if (S_ISDIR(f->mode)) {
        *n_blocks += dir_blocks(p, n);
    } else if (S_ISLNK(f->mode)) {
        *n_blocks += f->size > PACK_MAX_FAST_LINK;
    }
    return 0;
}

int pack_count(struct pack_plan *p, uint64_t above, uint64_t *n_blocks, struct err *e)
{
    uint64_t sum = p->lost_found ? 0 : PACK_LOST_FOUND_BLOCKS;
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        uint64_t more;
        if (p->nodes[i].first != i)
            continue;
        if (count_node(p, &p->nodes[i], above, &more, e) < 0)
            return -1;
        sum += more;
    }
    *n_blocks = sum;
    return 0;
}
