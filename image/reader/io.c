/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

/* A small direct-mapped cache of metadata: inodes, directories, maps. A pread of a few bytes costs
 * about as much as copying 4 KiB, and on a cold file one of CHUNK bytes costs one seek where
 * sixteen small ones cost more. Locks are per slot, so threads rarely meet. */
enum { CHUNK = 16384, SLOTS = 256 };

struct slot {
    pthread_mutex_t lock;
    uint64_t tag; /* chunk number + 1; 0: empty */
    uint32_t valid;
    uint8_t *data; /* NULL until first used */
};

struct reader_cache {
    struct slot slot[SLOTS];
};

struct reader_cache *reader_cache_new(void)
{
    struct reader_cache *c = mem_zero(1, sizeof *c);
    for (size_t i = 0; i < SLOTS; i++)
        pthread_mutex_init(&c->slot[i].lock, NULL);
    return c;
}

void reader_cache_free(struct reader_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < SLOTS; i++) {
        pthread_mutex_destroy(&c->slot[i].lock);
        free(c->slot[i].data);
    }
    free(c);
}

void reader_cache_drop(struct reader_cache *c)
{
    for (size_t i = 0; i < SLOTS; i++)
        c->slot[i].tag = 0;
}

/* As much as there is, up to LEN; a negative errno on failure. */
static ssize_t pread_some(const struct image_reader *r, uint64_t offset, uint8_t *buf, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(r->fd, buf + done, len - done, (off_t)(r->base + offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -EIO;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int reader_raw(const struct image_reader *r, uint64_t offset, void *buf, size_t len)
{
    ssize_t n = pread_some(r, offset, buf, len);
    if (n < 0)
        return (int)n;
    return (size_t)n == len ? 0 : -EIO;
}

/* The overlay's entry for BLOCK, or NULL. */
static const struct reader_replay *find_replay(const struct image_reader *r, uint64_t block)
{
    size_t lo = 0, hi = r->n_replay;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->replay[mid].block < block)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->n_replay && r->replay[lo].block == block ? &r->replay[lo] : NULL;
}

static int read_replayed(const struct image_reader *r, const struct reader_replay *o, size_t skip,
                         uint8_t *buf, size_t len)
{
    static const uint8_t magic[4] = { 0xc0, 0x3b, 0x39, 0x98 };
    int rc = reader_raw(r, (o->journal << r->block_bits) + skip, buf, len);
    for (size_t i = skip; rc == 0 && o->escaped && i < sizeof magic && i - skip < len; i++)
        buf[i - skip] = magic[i];
    return rc;
}

/* Block by block, since any of them may live in the journal. */
static int read_overlaid(const struct image_reader *r, uint64_t offset, uint8_t *buf, size_t len)
{
    while (len > 0) {
        size_t skip = offset & (r->block_bytes - 1);
        size_t n = r->block_bytes - skip;
        if (n > len)
            n = len;
        const struct reader_replay *o = find_replay(r, offset >> r->block_bits);
        int rc = o ? read_replayed(r, o, skip, buf, n) : reader_raw(r, offset, buf, n);
        if (rc < 0)
            return rc;
        offset += n;
        buf += n;
        len -= n;
    }
    return 0;
}

int reader_data(const struct image_reader *r, uint64_t offset, void *buf, size_t len)
{
    return r->n_replay ? read_overlaid(r, offset, buf, len) : reader_raw(r, offset, buf, len);
}

/* LEN bytes at SKIP of chunk number CHUNK_NO, all within it. */
static int read_cached(const struct image_reader *r, uint64_t chunk_no, size_t skip, void *buf,
                       size_t len)
{
    struct slot *s = &r->cache->slot[chunk_no % SLOTS];
    int rc = 0;

    pthread_mutex_lock(&s->lock);
    if (s->tag != chunk_no + 1) {
        s->tag = 0;
        if (!s->data)
            s->data = mem_alloc(CHUNK);
        ssize_t n = pread_some(r, chunk_no * CHUNK, s->data, CHUNK);
        if (n >= 0) {
            s->valid = (uint32_t)n;
            s->tag = chunk_no + 1;
        }
        rc = n < 0 ? (int)n : 0;
    }
    if (rc == 0 && skip + len > s->valid)
        rc = -EIO;
    if (rc == 0)
        memcpy(buf, s->data + skip, len);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int reader_meta(const struct image_reader *r, uint64_t offset, void *buf, size_t len)
{
    uint8_t *to = buf;
    if (r->n_replay)
        return read_overlaid(r, offset, to, len);
    while (len > 0) {
        size_t skip = offset % CHUNK;
        size_t n = len < CHUNK - skip ? len : CHUNK - skip;
        int rc = read_cached(r, offset / CHUNK, skip, to, n);
        if (rc < 0)
            return rc;
        offset += n;
        to += n;
        len -= n;
    }
    return 0;
}
