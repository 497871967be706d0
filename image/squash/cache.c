/* SPDX-License-Identifier: BSD-3-Clause */
#include <malloc.h>

#include "base/mem.h"
#include "image/squash/squash.h"

enum { MIN_SLOTS = 16, MAX_SLOTS = 256 };

struct slot {
    uint64_t pos; /* 0: empty */
    uint32_t header;
    unsigned n_users;
    sqfs_block *block; /* NULL: somebody unpacks it */
    uint64_t used;     /* when, by the cache's clock */
};

struct squash_cache {
    pthread_mutex_t lock;
    pthread_cond_t unpacked;
    uint64_t clock;
    size_t n;
    struct slot slots[];
};

struct squash_cache *squash_cache_new(uint32_t block_bytes)
{
    size_t n = SQUASH_CACHE_BYTES / block_bytes;
    /* Blocks come and go by the thousand: given back to the kernel each time, their pages would be
     * cleared again each time. */
    mallopt(M_MMAP_THRESHOLD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
    n = n < MIN_SLOTS ? MIN_SLOTS : n > MAX_SLOTS ? MAX_SLOTS : n;
    struct squash_cache *c = mem_zero(1, sizeof *c + n * sizeof c->slots[0]);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->unpacked, NULL);
    c->n = n;
    return c;
}

void squash_cache_free(struct squash_cache *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->slots[i].block)
            sqfs_block_dispose(c->slots[i].block);
    pthread_cond_destroy(&c->unpacked);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct slot *find(struct squash_cache *c, uint64_t pos, uint32_t header)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->slots[i].pos == pos && c->slots[i].header == header)
            return &c->slots[i];
    return NULL;
}

/* The one that was not used for the longest time, emptied; NULL: all are in use. */
static struct slot *make_room(struct squash_cache *c)
{
    struct slot *oldest = NULL;
    for (size_t i = 0; i < c->n; i++)
        if (c->slots[i].n_users == 0 && (!oldest || c->slots[i].used < oldest->used))
            oldest = &c->slots[i];
    if (oldest && oldest->block)
        sqfs_block_dispose(oldest->block);
    if (oldest)
        *oldest = (struct slot){ 0 };
    return oldest;
}

/* The library reads nothing of FS but its descriptor, offset, block size and decompressor. */
static sqfs_block *unpack(const sqfs *fs, uint64_t pos, uint32_t header)
{
    sqfs_block *block = NULL;
    return sqfs_data_block_read((sqfs *)fs, (sqfs_off_t)pos, header, &block) == SQFS_OK ? block
                                                                                        : NULL;
}

int squash_cache_get(struct squash_cache *c, const sqfs *fs, uint64_t pos, uint32_t header,
                     struct squash_lent *out)
{
    pthread_mutex_lock(&c->lock);
    struct slot *s;
    while ((s = find(c, pos, header)) && !s->block)
        pthread_cond_wait(&c->unpacked, &c->lock);
    bool missing = !s;
    if (missing && (s = make_room(c)))
        *s = (struct slot){ .pos = pos, .header = header };
    if (s) {
        s->n_users++;
        s->used = ++c->clock;
    }
    pthread_mutex_unlock(&c->lock);
    *out = (struct squash_lent){ .slot = s ? (size_t)(s - c->slots) : SIZE_MAX };
    if (!missing) {
        out->block = s->block;
        return 0;
    }
    sqfs_block *block = unpack(fs, pos, header);
    out->block = block;
    if (!s)
        return block ? 0 : -EIO;
    pthread_mutex_lock(&c->lock);
    s->block = block;
    if (!block)
        *s = (struct slot){ 0 };
    pthread_cond_broadcast(&c->unpacked);
    pthread_mutex_unlock(&c->lock);
    return block ? 0 : -EIO;
}

void squash_cache_put(struct squash_cache *c, struct squash_lent lent)
{
    if (lent.slot == SIZE_MAX) {
        sqfs_block_dispose((sqfs_block *)lent.block);
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->slots[lent.slot].n_users--;
    pthread_mutex_unlock(&c->lock);
}
