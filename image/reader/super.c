/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/mem.h"

/* Superblock fields: byte offsets, see ext4's Documentation/filesystems/ext4/super.rst. */
enum {
    SB_INODES = 0,
    SB_BLOCKS_LO = 4,
    SB_FREE_BLOCKS_LO = 12,
    SB_FREE_INODES = 16,
    SB_FIRST_BLOCK = 20,
    SB_LOG_BLOCK = 24,
    SB_BLOCKS_PER_GROUP = 32,
    SB_INODES_PER_GROUP = 40,
    SB_MAGIC = 56,
    SB_REV = 76,
    SB_FIRST_INO = 84,
    SB_INODE_BYTES = 88,
    SB_COMPAT = 92,
    SB_INCOMPAT = 96,
    SB_RO_COMPAT = 100,
    SB_JOURNAL_INO = 224,
    SB_JOURNAL_DEV = 228,
    SB_DESC_BYTES = 254,
    SB_FIRST_META_BG = 260,
    SB_BLOCKS_HI = 336,
    SB_FREE_BLOCKS_HI = 344,
    SB_BACKUP_GROUPS = 588,
    SB_BYTES = 1024,
};

enum feature_set { COMPAT, INCOMPAT, RO_COMPAT };

struct feature {
    enum feature_set set;
    uint32_t bit;
    const char *name; /* as dumpe2fs(8) prints it */
    bool readable;
};

/* What is not in this table is refused too. Features that only concern writers are readable; those
 * that change where or how bytes lie are readable only where the reader knows them. */
static const struct feature features[] = {
    { COMPAT, 0x0001, "dir_prealloc", true },
    { COMPAT, 0x0002, "imagic_inodes", false },
    { COMPAT, 0x0004, "has_journal", true },
    { COMPAT, 0x0008, "ext_attr", true },
    { COMPAT, 0x0010, "resize_inode", true },
    { COMPAT, 0x0020, "dir_index", true },
    { COMPAT, 0x0200, "sparse_super2", true },
    { COMPAT, 0x0400, "fast_commit", true }, /* needs_recovery with it is refused */
    { COMPAT, 0x0800, "stable_inodes", false },
    { COMPAT, 0x1000, "orphan_file", true },
    { INCOMPAT, 0x0001, "compression", false },
    { INCOMPAT, 0x0002, "filetype", true },
    { INCOMPAT, 0x0004, "needs_recovery", true },
    { INCOMPAT, 0x0008, "journal_dev", false },
    { INCOMPAT, 0x0010, "meta_bg", true },
    { INCOMPAT, 0x0040, "extents", true },
    { INCOMPAT, 0x0080, "64bit", true },
    { INCOMPAT, 0x0100, "mmp", true },
    { INCOMPAT, 0x0200, "flex_bg", true },
    { INCOMPAT, 0x0400, "ea_inode", false },
    { INCOMPAT, 0x1000, "dirdata", false },
    { INCOMPAT, 0x2000, "metadata_csum_seed", true },
    { INCOMPAT, 0x4000, "large_dir", false },
    { INCOMPAT, 0x8000, "inline_data", false },
    { INCOMPAT, 0x10000, "encrypt", false },
    { INCOMPAT, 0x20000, "casefold", false },
    { RO_COMPAT, 0x0001, "sparse_super", true },
    { RO_COMPAT, 0x0002, "large_file", true },
    { RO_COMPAT, 0x0004, "btree_dir", true },
    { RO_COMPAT, 0x0008, "huge_file", true },
    { RO_COMPAT, 0x0010, "uninit_bg", true },
    { RO_COMPAT, 0x0020, "dir_nlink", true },
    { RO_COMPAT, 0x0040, "extra_isize", true },
    { RO_COMPAT, 0x0100, "quota", true },
    { RO_COMPAT, 0x0200, "bigalloc", false },
    { RO_COMPAT, 0x0400, "metadata_csum", true },
    { RO_COMPAT, 0x1000, "read-only", true },
    { RO_COMPAT, 0x2000, "project", true },
    { RO_COMPAT, 0x4000, "shared_blocks", true },
    { RO_COMPAT, 0x8000, "verity", false },
    { RO_COMPAT, 0x10000, "orphan_present", true },
};

static const char *feature_name(enum feature_set set, uint32_t bit, bool *readable)
{
    *readable = false;
    for (size_t i = 0; i < ARRAY_LEN(features); i++)
        if (features[i].set == set && features[i].bit == bit) {
            *readable = features[i].readable;
            return features[i].name;
        }
    return NULL;
}

static int check_features(const uint8_t *sb, struct err *e)
{
    static const struct {
        size_t offset;
        const char *name;
    } set[] = {
        [COMPAT] = { SB_COMPAT, "compatible" },
        [INCOMPAT] = { SB_INCOMPAT, "incompatible" },
        [RO_COMPAT] = { SB_RO_COMPAT, "read-only compatible" },
    };
    for (size_t i = 0; i < ARRAY_LEN(set); i++)
        for (unsigned b = 0; b < 32; b++) {
            uint32_t bit = 1u << b;
            bool readable;
            if (!(le32_at(sb, set[i].offset) & bit))
                continue;
            const char *name = feature_name((enum feature_set)i, bit, &readable);
            if (readable)
                continue;
            if (name)
                err_set(e, ERR_INPUT, "file system feature '%s' is not supported", name);
            else
                err_set(e, ERR_INPUT, "unknown %s file system feature 0x%" PRIx32, set[i].name,
                        bit);
            return err_hint(e, "make the image with 'hpcc create' or with 'mkfs.ext3'");
        }
    return 0;
}

static int bad(struct err *e, const char *field, uint64_t value)
{
    err_set(e, ERR_INPUT, "damaged superblock: %s is %" PRIu64, field, value);
    return err_hint(e, "check it with 'hpcc check'");
}

static void take_features(struct image_reader *r, const uint8_t *sb)
{
    uint32_t compat = le32_at(sb, SB_COMPAT), incompat = le32_at(sb, SB_INCOMPAT);
    uint32_t ro = le32_at(sb, SB_RO_COMPAT);
    bool old = le32_at(sb, SB_REV) == 0;

    if (old) /* revision 0 has none of these fields */
        compat = incompat = ro = 0;
    r->has_xattrs = compat & 0x8;
    r->sparse_super2 = compat & 0x200;
    r->backup_groups[0] = le32_at(sb, SB_BACKUP_GROUPS);
    r->backup_groups[1] = le32_at(sb, SB_BACKUP_GROUPS + 4);
    r->has_filetype = incompat & 0x2;
    r->needs_recovery = (compat & 0x4) && (incompat & 0x4);
    r->has_extents = incompat & 0x40;
    r->has_64bit = incompat & 0x80;
    r->sparse_super = ro & 0x1;
    r->has_huge_file = ro & 0x8;
    r->first_meta_group = (incompat & 0x10) ? le32_at(sb, SB_FIRST_META_BG) : UINT32_MAX;
    r->journal_ino = (compat & 0x4) ? le32_at(sb, SB_JOURNAL_INO) : 0;
    r->first_ino = old ? 11 : le32_at(sb, SB_FIRST_INO);
    r->inode_bytes = old ? 128 : le16_at(sb, SB_INODE_BYTES);
    r->desc_bytes = r->has_64bit ? le16_at(sb, SB_DESC_BYTES) : 32;
}

static void take_counts(struct image_reader *r, const uint8_t *sb)
{
    r->n_inodes = le32_at(sb, SB_INODES);
    r->n_free_inodes = le32_at(sb, SB_FREE_INODES);
    r->n_blocks = le32_at(sb, SB_BLOCKS_LO);
    r->n_free_blocks = le32_at(sb, SB_FREE_BLOCKS_LO);
    if (r->has_64bit) {
        r->n_blocks |= (uint64_t)le32_at(sb, SB_BLOCKS_HI) << 32;
        r->n_free_blocks |= (uint64_t)le32_at(sb, SB_FREE_BLOCKS_HI) << 32;
    }
    r->first_block = le32_at(sb, SB_FIRST_BLOCK);
    r->blocks_per_group = le32_at(sb, SB_BLOCKS_PER_GROUP);
    r->inodes_per_group = le32_at(sb, SB_INODES_PER_GROUP);
}

static bool power_of_two(uint32_t v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

/* The geometry that every later computation relies on. */
static int check_geometry(struct image_reader *r, struct err *e)
{
    uint32_t per_bitmap = 8 * r->block_bytes;

    if (r->first_block != (r->block_bytes == 1024))
        return bad(e, "first data block", r->first_block);
    if (r->blocks_per_group == 0 || r->blocks_per_group > per_bitmap || r->blocks_per_group % 8)
        return bad(e, "blocks per group", r->blocks_per_group);
    if (r->inodes_per_group == 0 || r->inodes_per_group > per_bitmap || r->inodes_per_group % 8)
        return bad(e, "inodes per group", r->inodes_per_group);
    if (!power_of_two(r->inode_bytes) || r->inode_bytes < 128 || r->inode_bytes > r->block_bytes)
        return bad(e, "inode size", r->inode_bytes);
    if (!power_of_two(r->desc_bytes) || r->desc_bytes < (r->has_64bit ? 64u : 32u) ||
        r->desc_bytes > 1024)
        return bad(e, "group descriptor size", r->desc_bytes);
    if (r->first_ino < 11 || r->first_ino > r->n_inodes)
        return bad(e, "first inode", r->first_ino);
    if (r->n_blocks <= r->first_block + 1 || r->n_blocks > (UINT64_C(1) << 48))
        return bad(e, "block count", r->n_blocks);

    uint64_t n_groups =
        (r->n_blocks - r->first_block + r->blocks_per_group - 1) / r->blocks_per_group;
    if (n_groups > READER_MAX_GROUPS)
        return bad(e, "number of block groups", n_groups);
    r->n_groups = (uint32_t)n_groups;
    if (n_groups * r->inodes_per_group != r->n_inodes)
        return bad(e, "inode count", r->n_inodes);
    if (r->first_meta_group != UINT32_MAX && r->first_meta_group > n_groups)
        return bad(e, "first meta block group", r->first_meta_group);
    return 0;
}

static int check_size(const struct image_reader *r, struct err *e)
{
    struct stat st;
    if (fstat(r->fd, &st) < 0)
        return err_sys(e, "cannot examine the image");
    uint64_t have = (uint64_t)st.st_size > r->base ? (uint64_t)st.st_size - r->base : 0;
    if (r->n_blocks > have >> r->block_bits) {
        err_set(e, ERR_INPUT,
                "truncated: the file system has %" PRIu64 " bytes, the file only %" PRIu64,
                r->n_blocks << r->block_bits, have);
        return err_hint(e, "copy the image again, the last copy was cut short");
    }
    return 0;
}

int reader_super_load(struct image_reader *r, struct err *e)
{
    uint8_t sb[SB_BYTES];
    if (reader_data(r, 1024, sb, sizeof sb) < 0)
        return err_set(e, ERR_INPUT, "too short for a file system");
    if (le16_at(sb, SB_MAGIC) != 0xef53)
        return err_set(e, ERR_INPUT, "no ext file system in it");
    if (le32_at(sb, SB_REV) > 1)
        return bad(e, "revision", le32_at(sb, SB_REV));
    if (le32_at(sb, SB_LOG_BLOCK) > 2) {
        bad(e, "block size (log2 - 10)", le32_at(sb, SB_LOG_BLOCK));
        return err_hint(e, "block sizes of 1, 2 and 4 KiB are supported");
    }
    if (le32_at(sb, SB_REV) == 1 && check_features(sb, e) < 0)
        return -1;
    if (le32_at(sb, SB_REV) == 1 && le32_at(sb, SB_JOURNAL_DEV) != 0)
        return err_set(e, ERR_INPUT, "its journal is on another device, which is not supported");
    if (r->n_replay && r->block_bits != 10 + le32_at(sb, SB_LOG_BLOCK))
        return bad(e, "block size (log2 - 10) in the journal", le32_at(sb, SB_LOG_BLOCK));
    r->block_bits = 10 + le32_at(sb, SB_LOG_BLOCK);
    r->block_bytes = 1u << r->block_bits;
    take_features(r, sb);
    take_counts(r, sb);
    if (check_geometry(r, e) < 0 || check_size(r, e) < 0)
        return -1;
    if (r->needs_recovery && (le32_at(sb, SB_COMPAT) & 0x400)) {
        err_set(e, ERR_INPUT, "was not unmounted cleanly and has a fast-commit journal");
        return err_hint(e, "repair it with 'hpcc check --repair'");
    }
    return 0;
}

static bool is_power_of(uint32_t v, uint32_t base)
{
    while (v > 1 && v % base == 0)
        v /= base;
    return v == 1;
}

/* Whether group G starts with a copy of the superblock. */
static bool has_super(const struct image_reader *r, uint32_t g)
{
    if (g == 0)
        return true;
    if (r->sparse_super2)
        return g == r->backup_groups[0] || g == r->backup_groups[1];
    return g <= 1 || !r->sparse_super || is_power_of(g, 3) || is_power_of(g, 5) ||
           is_power_of(g, 7);
}

/* The block that holds the descriptor of group G. */
static uint64_t desc_block(const struct image_reader *r, uint32_t g)
{
    uint32_t per_block = r->block_bytes / r->desc_bytes;
    uint32_t n = g / per_block;
    if (n < r->first_meta_group)
        return (uint64_t)r->first_block + 1 + n;
    uint32_t first = n * per_block;
    return (uint64_t)r->first_block + (uint64_t)first * r->blocks_per_group + has_super(r, first);
}

static uint64_t table_blocks(const struct image_reader *r)
{
    return ((uint64_t)r->inodes_per_group * r->inode_bytes + r->block_bytes - 1) >> r->block_bits;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* No two inode tables may share a block: a file's inode would be another's. */
static int check_overlap(const struct image_reader *r, struct err *e)
{
    auto_free uint64_t *sorted = mem_dup(r->inode_tables, r->n_groups * sizeof *sorted);
    bool ascending = true;
    for (uint32_t g = 1; g < r->n_groups; g++)
        ascending = ascending && sorted[g - 1] < sorted[g];
    if (!ascending)
        qsort(sorted, r->n_groups, sizeof *sorted, compare_u64);
    for (uint32_t g = 1; g < r->n_groups; g++)
        if (sorted[g] - sorted[g - 1] < table_blocks(r))
            return bad(e, "one block of two inode tables", sorted[g]);
    return 0;
}

/* The first block that is neither superblock nor one of the descriptors behind it. */
static uint64_t lowest_free_block(const struct image_reader *r)
{
    uint32_t per_block = r->block_bytes / r->desc_bytes;
    uint32_t n = (r->n_groups + per_block - 1) / per_block;
    if (n > r->first_meta_group)
        n = r->first_meta_group > 0 ? r->first_meta_group : 1;
    return (uint64_t)r->first_block + 1 + n;
}

static int take_group(struct image_reader *r, uint32_t g, const uint8_t *desc, struct err *e)
{
    uint64_t at[3]; /* block bitmap, inode bitmap, inode table */
    for (size_t i = 0; i < 3; i++) {
        at[i] = le32_at(desc, i * 4);
        if (r->desc_bytes >= 64)
            at[i] |= (uint64_t)le32_at(desc, 32 + i * 4) << 32;
        uint64_t n = i == 2 ? table_blocks(r) : 1;
        if (at[i] < lowest_free_block(r) || at[i] >= r->n_blocks || n > r->n_blocks - at[i]) {
            static const char *const what[] = { "block bitmap", "inode bitmap", "inode table" };
            err_set(e, ERR_INPUT, "damaged descriptor of group %" PRIu32 ": %s at block %" PRIu64,
                    g, what[i], at[i]);
            return err_hint(e, "check it with 'hpcc check'");
        }
    }
    r->inode_tables[g] = at[2];
    return 0;
}

int reader_groups_load(struct image_reader *r, struct err *e)
{
    uint32_t per_block = r->block_bytes / r->desc_bytes;
    uint8_t block[READER_MAX_BLOCK];

    free(r->inode_tables);
    r->inode_tables = mem_zero(r->n_groups, sizeof *r->inode_tables);
    for (uint32_t g = 0; g < r->n_groups; g++) {
        if (g % per_block == 0) {
            uint64_t at = desc_block(r, g);
            if (at >= r->n_blocks)
                return bad(e, "a group descriptor's block", at);
            if (reader_meta(r, at << r->block_bits, block, r->block_bytes) < 0)
                return err_set(e, ERR_INPUT, "cannot read block %" PRIu64, at);
        }
        if (take_group(r, g, block + (size_t)(g % per_block) * r->desc_bytes, e) < 0)
            return -1;
    }
    return check_overlap(r, e);
}
