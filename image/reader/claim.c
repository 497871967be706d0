/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/defence.h"
#include "base/mem.h"

/* A set of block numbers by open addressing. Block 0 is never a directory's, so 0 is a free slot.
 * What goes in is chosen by the image: the multiplier is drawn, so that nobody can choose blocks
 * that all meet in one slot. */

enum { SLOTS_FIRST = 256 };

static uint64_t *slot_of(const struct image_claims *c, uint64_t block)
{
    size_t i = (size_t)(block * c->odd >> 32) & (c->size - 1);
    while (c->slots[i] && c->slots[i] != block)
        i = (i + 1) & (c->size - 1);
    return &c->slots[i];
}

static void grow(struct image_claims *c)
{
    struct image_claims bigger = { .size = c->size ? c->size * 2 : SLOTS_FIRST,
                                   .used = c->used,
                                   .odd = c->odd };
    if (!c->size && getrandom(&bigger.odd, sizeof bigger.odd, GRND_NONBLOCK) < 0)
        bigger.odd = (uint64_t)(uintptr_t)c; /* address randomisation is the next best */
    bigger.odd |= 1;
    bigger.slots = mem_zero(bigger.size, sizeof *bigger.slots);
    for (size_t i = 0; i < c->size; i++)
        if (c->slots[i])
            *slot_of(&bigger, c->slots[i]) = c->slots[i];
    free(c->slots);
    *c = bigger;
}

/* False: BLOCK was there. */
static bool put(struct image_claims *c, uint64_t block)
{
    if (c->used * 2 >= c->size)
        grow(c);
    uint64_t *slot = slot_of(c, block);
    if (*slot)
        return false;
    *slot = block;
    c->used++;
    return true;
}

void image_claims_fini(struct image_claims *c)
{
    free(c->slots);
    *c = (struct image_claims){ 0 };
}

static int claim(const struct image_reader *r, const struct reader_inode *inode,
                 struct image_claims *c)
{
    uint64_t n_blocks = inode->st.size >> r->block_bits;
    struct reader_run run;
    for (uint64_t at = 0; at < n_blocks; at += run.n_blocks) {
        int rc = reader_map(r, inode, at, n_blocks - at, &run);
        if (rc < 0)
            return rc;
        if (run.phys == 0)
            return -EUCLEAN; /* directories have no holes */
        for (uint64_t i = 0; i < run.n_blocks; i++)
            if (!put(c, run.phys + i) && defence("dir-blocks"))
                return -EUCLEAN;
    }
    return 0;
}

int image_read_claim(const struct image_reader *r, uint32_t dir, struct image_claims *c)
{
    struct reader_inode inode;
    int rc = reader_inode_load(r, dir, &inode);
    if (rc < 0)
        return rc;
    return S_ISDIR(inode.st.mode) ? claim(r, &inode, c) : -ENOTDIR;
}

/* ── one directory, on the way of every lookup ───────────────────────────────────────────────── */

/* Small directories are not worth a look: read in full they cost a third of a millisecond, whatever
 * they are made of. The verdict on a large one is kept, or reading it in pieces would cost the
 * square of its size. */
enum { SMALL_BLOCKS = 64, VERDICTS = 64 };

#define VERDICT_SOUND (UINT64_C(1) << 32) /* beside the inode's number */
#define VERDICT_BAD   (UINT64_C(1) << 33)

struct reader_verdicts {
    _Atomic uint64_t slot[VERDICTS];
};

struct reader_verdicts *reader_verdicts_new(void)
{
    return mem_zero(1, sizeof(struct reader_verdicts));
}

void reader_verdicts_free(struct reader_verdicts *v)
{
    free(v);
}

int reader_dir_check(const struct image_reader *r, const struct reader_inode *dir)
{
    if (dir->st.size >> r->block_bits <= SMALL_BLOCKS)
        return 0;
    _Atomic uint64_t *slot = &r->verdicts->slot[dir->st.ino % VERDICTS];
    uint64_t known = atomic_load_explicit(slot, memory_order_relaxed);
    if ((uint32_t)known == dir->st.ino)
        return known & VERDICT_SOUND ? 0 : -EUCLEAN;
    struct image_claims c = { 0 };
    int rc = claim(r, dir, &c);
    image_claims_fini(&c);
    if (rc == 0 || rc == -EUCLEAN)
        atomic_store_explicit(slot, dir->st.ino | (rc == 0 ? VERDICT_SOUND : VERDICT_BAD),
                              memory_order_relaxed);
    return rc;
}
