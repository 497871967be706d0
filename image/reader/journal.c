/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/mem.h"

/* What mounting would write back from the journal is kept beside the image instead: a sorted table
 * that says which block's newest content lies where in the journal. The image is not touched. Only
 * the plain journals of ext3 and mke2fs are taken; those with checksums are refused, since a torn
 * transaction would have to be recognised by them. */

enum {
    BLOCK_DESCRIPTOR = 1,
    BLOCK_COMMIT = 2,
    BLOCK_SUPER_V1 = 3,
    BLOCK_SUPER_V2 = 4,
    BLOCK_REVOKE = 5,

    FEATURE_REVOKE = 1,
    FEATURE_64BIT = 2,

    TAG_ESCAPED = 1,
    TAG_SAME_UUID = 2,
    TAG_DELETED = 4,
    TAG_LAST = 8,

    HEAD = 12,
    REVOKE_HEAD = 16,
};
static const uint32_t journal_magic = 0xc03b3998;

struct revoked {
    uint64_t block;
    uint32_t tid;
};

struct journal {
    struct image_reader *r;
    struct reader_inode inode;
    uint32_t first, n_blocks; /* of the log */
    uint32_t start, start_tid;
    uint32_t end_tid; /* of the first transaction that was not committed */
    bool wide;        /* 64-bit block numbers */
    struct revoked *revoked;
    size_t n_revoked;
    struct reader_replay *replay;
    size_t n_replay;
};

static void journal_fini(struct journal *j)
{
    free(j->revoked);
    free(j->replay);
}

enum pass { PASS_SCAN, PASS_REVOKE, PASS_REPLAY };

static int refuse(struct err *e, const char *why)
{
    err_set(e, ERR_INPUT, "was not unmounted cleanly, and %s", why);
    return err_hint(e, "repair it with 'hpcc check --repair'");
}

static int read_log(const struct journal *j, uint32_t block, uint8_t *buf, uint64_t *phys)
{
    struct reader_run run;
    int rc = reader_map(j->r, &j->inode, block, 1, &run);
    if (rc < 0)
        return rc;
    if (run.phys == 0) /* a log left as a hole: zeros, which end it */
        memset(buf, 0, j->r->block_bytes);
    else
        rc = reader_raw(j->r, run.phys << j->r->block_bits, buf, j->r->block_bytes);
    *phys = run.phys;
    return rc;
}

static int read_super(struct journal *j, struct err *e)
{
    uint8_t sb[READER_MAX_BLOCK];
    uint64_t phys;
    if (read_log(j, 0, sb, &phys) < 0)
        return refuse(e, "its journal cannot be read");
    uint32_t type = be32_at(sb, 4);
    if (be32_at(sb, 0) != journal_magic || (type != BLOCK_SUPER_V1 && type != BLOCK_SUPER_V2) ||
        be32_at(sb, 12) != j->r->block_bytes)
        return refuse(e, "its journal is damaged");
    j->n_blocks = be32_at(sb, 16);
    j->first = be32_at(sb, 20);
    j->start_tid = be32_at(sb, 24);
    j->start = be32_at(sb, 28);
    if (j->n_blocks > j->inode.st.size >> j->r->block_bits || j->first == 0 ||
        j->first >= j->n_blocks || (j->start != 0 && j->start < j->first) ||
        j->start >= j->n_blocks)
        return refuse(e, "its journal is damaged");
    if (type == BLOCK_SUPER_V2) {
        uint32_t incompat = be32_at(sb, 40);
        if (be32_at(sb, 36) != 0 || (incompat & ~(uint32_t)(FEATURE_REVOKE | FEATURE_64BIT)))
            return refuse(e, "its journal has features that are not supported");
        j->wide = incompat & FEATURE_64BIT;
    }
    return 0;
}

static uint32_t log_next(const struct journal *j, uint32_t block)
{
    return block + 1 < j->n_blocks ? block + 1 : j->first;
}

static bool tid_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static int compare_revoked(const void *a, const void *b)
{
    struct revoked x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    if (x.block != y.block)
        return x.block < y.block ? -1 : 1;
    return x.tid == y.tid ? 0 : tid_before(x.tid, y.tid) ? -1 : 1;
}

/* Whether BLOCK was revoked in transaction TID or later: then older content must not come back. */
static bool is_revoked(const struct journal *j, uint64_t block, uint32_t tid)
{
    size_t lo = 0, hi = j->n_revoked;
    while (lo < hi) { /* behind the last entry of BLOCK */
        size_t mid = lo + (hi - lo) / 2;
        if (j->revoked[mid].block <= block)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo > 0 && j->revoked[lo - 1].block == block && !tid_before(j->revoked[lo - 1].tid, tid);
}

static int add_revokes(struct journal *j, const uint8_t *buf, uint32_t tid)
{
    size_t used = be32_at(buf, HEAD), width = j->wide ? 8 : 4;
    if (used < REVOKE_HEAD || used > j->r->block_bytes)
        return -EUCLEAN;
    for (size_t at = REVOKE_HEAD; at + width <= used; at += width) {
        if (j->n_revoked == READER_MAX_REPLAY)
            return -EFBIG;
        j->revoked = mem_grow(j->revoked, j->n_revoked, sizeof *j->revoked);
        uint64_t block =
            j->wide ? (uint64_t)be32_at(buf, at) << 32 | be32_at(buf, at + 4) : be32_at(buf, at);
        j->revoked[j->n_revoked++] = (struct revoked){ .block = block, .tid = tid };
    }
    return 0;
}

static int add_replay(struct journal *j, struct reader_replay entry)
{
    if (is_revoked(j, entry.block, entry.tid))
        return 0;
    if (entry.block >= j->r->n_blocks || entry.journal == 0)
        return -EUCLEAN;
    if (j->n_replay == READER_MAX_REPLAY)
        return -EFBIG;
    j->replay = mem_grow(j->replay, j->n_replay, sizeof *j->replay);
    entry.order = (uint32_t)j->n_replay;
    j->replay[j->n_replay++] = entry;
    return 0;
}

/* The blocks that a descriptor announces lie behind it; *BLOCK is moved past them. Returns how many
 * there were. */
static int walk_tags(struct journal *j, const uint8_t *buf, enum pass pass, uint32_t tid,
                     uint32_t *block)
{
    size_t tag_bytes = j->wide ? 12 : 8;
    int n = 0;
    for (size_t at = HEAD; at + tag_bytes <= j->r->block_bytes;) {
        uint32_t flags = be32_at(buf, at + 4) & 0xffff;
        struct reader_replay entry = { .block = be32_at(buf, at), .tid = tid };
        struct reader_run run = { 0 };
        if (j->wide)
            entry.block |= (uint64_t)be32_at(buf, at + 8) << 32;
        if (pass == PASS_REPLAY && !(flags & TAG_DELETED)) {
            int rc = reader_map(j->r, &j->inode, *block, 1, &run);
            entry.journal = run.phys;
            entry.escaped = flags & TAG_ESCAPED;
            if (rc == 0)
                rc = add_replay(j, entry);
            if (rc < 0)
                return rc;
        }
        *block = log_next(j, *block);
        n++;
        at += tag_bytes + (flags & TAG_SAME_UUID ? 0 : 16);
        if (flags & TAG_LAST)
            break;
    }
    return n;
}

/* One pass over the log. PASS_SCAN finds where it ends. */
static int run_pass(struct journal *j, enum pass pass)
{
    uint8_t buf[READER_MAX_BLOCK];
    uint32_t tid = j->start_tid, block = j->start;
    for (uint64_t seen = 0; pass == PASS_SCAN || tid != j->end_tid; seen++) {
        uint64_t phys;
        if (seen > j->n_blocks)
            return -EUCLEAN;
        int rc = read_log(j, block, buf, &phys);
        if (rc < 0)
            return rc;
        if (be32_at(buf, 0) != journal_magic || be32_at(buf, 8) != tid)
            break;
        block = log_next(j, block);
        uint32_t type = be32_at(buf, 4);
        if (type == BLOCK_DESCRIPTOR) {
            rc = walk_tags(j, buf, pass, tid, &block);
            seen += rc > 0 ? (unsigned)rc : 0;
        } else if (type == BLOCK_COMMIT) {
            tid++;
        } else if (type == BLOCK_REVOKE) {
            rc = pass == PASS_REVOKE ? add_revokes(j, buf, tid) : 0;
        } else {
            break;
        }
        if (rc < 0)
            return rc;
    }
    if (pass == PASS_SCAN)
        j->end_tid = tid;
    return 0;
}

static int compare_replay(const void *a, const void *b)
{
    const struct reader_replay *x = a, *y = b;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Sorted, and of each block only the newest. */
static void give_overlay(struct journal *j)
{
    size_t n = 0;
    if (j->n_replay)
        qsort(j->replay, j->n_replay, sizeof *j->replay, compare_replay);
    for (size_t i = 0; i < j->n_replay; i++)
        if (i + 1 == j->n_replay || j->replay[i + 1].block != j->replay[i].block)
            j->replay[n++] = j->replay[i];
    j->r->replay = steal_ptr(j->replay);
    j->r->n_replay = n;
}

int reader_journal_load(struct image_reader *r, struct err *e)
{
    __attribute__((cleanup(journal_fini))) struct journal j = { .r = r };
    if (r->journal_ino != INO_JOURNAL)
        return refuse(e, "its journal is not where it belongs");
    if (reader_inode_load_any(r, INO_JOURNAL, &j.inode) < 0 || !S_ISREG(j.inode.st.mode))
        return refuse(e, "its journal is damaged");
    if (read_super(&j, e) < 0)
        return -1;
    if (j.start == 0) /* empty after all */
        return 0;

    int rc = run_pass(&j, PASS_SCAN);
    if (rc == 0)
        rc = run_pass(&j, PASS_REVOKE);
    if (rc == 0 && j.n_revoked)
        qsort(j.revoked, j.n_revoked, sizeof *j.revoked, compare_revoked);
    if (rc == 0)
        rc = run_pass(&j, PASS_REPLAY);
    if (rc == -EFBIG)
        return refuse(e, "its journal is too long");
    if (rc < 0)
        return refuse(e, "its journal is damaged");
    give_overlay(&j);
    return 0;
}
