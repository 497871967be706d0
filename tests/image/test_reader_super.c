/* SPDX-License-Identifier: BSD-3-Clause */
/* Hostile superblocks and descriptors. */
#include "tests/image/hostile_case.h"

struct bad_value {
    uint32_t at; /* in the superblock */
    uint32_t value;
    const char *words;
};

static void each_is_refused(struct patient *p, const struct bad_value *bad, size_t n)
{
    accepted(p);
    for (size_t i = 0; i < n; i++) {
        uint32_t was = get32(p, SB + bad[i].at);
        put32(p, SB + bad[i].at, bad[i].value);
        refused(p, bad[i].words);
        put32(p, SB + bad[i].at, was);
    }
    accepted(p);
}

static void impossible_geometry_is_refused(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    static const struct bad_value bad[] = {
        { 20, 0, "first data block" },
        { 20, 8, "first data block" },
        { 20, 0x80000000, "first data block" },
        { 32, 0, "blocks per group" },
        { 32, 1, "blocks per group" },
        { 32, 7, "blocks per group" },
        { 32, 8 * 1024 + 8, "blocks per group" },
        { 32, UINT32_MAX, "blocks per group" },
        { 40, 0, "inodes per group" },
        { 40, 1, "inodes per group" },
        { 40, 7, "inodes per group" },
        { 40, 8 * 1024 + 8, "inodes per group" },
        { 40, UINT32_MAX, "inodes per group" },
        { 4, 0, "block count" },
        { 4, 1, "block count" },
        { 4, 2, "block count" },
        { 4, 601, "truncated" },
        { 4, 8192, "truncated" },
        { 4, UINT32_MAX, "number of block groups" },
        { 0, 0, "first inode" },
        { 0, UINT32_MAX, "inode count" },
        { 0, 56, "inode count" },
        { 0, 72, "inode count" },
        { 84, 0, "first inode" },
        { 84, 10, "first inode" },
        { 84, 65, "first inode" },
        { 84, UINT32_MAX, "first inode" },
        { 76, 2, "revision" },
        { 76, UINT32_MAX, "revision" },
        { 56, 0, "no ext file system" },
        { 228, 0x701, "another device" },
    };
    each_is_refused(&p, bad, ARRAY_LEN(bad));
}

static void only_block_sizes_of_1_2_and_4_KiB_are_read(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    for (uint64_t v = 0; v <= UINT32_MAX; v = v < 40 ? v + 1 : v * 2 + 1) {
        put32(&p, SB + 24, (uint32_t)v);
        if (v > 2)
            refused(&p, "block size");
        else if (v > 0) /* the rest of this image is not made for it */
            refused(&p, "damaged");
    }
    put32(&p, SB + 24, 0);
    accepted(&p);
    auto_patient struct patient big = { .fd = -1 };
    patient_init(&big, (const char *[]){ "-t", "ext2", "-b", "4096", NULL });
    accepted(&big);
    put32(&big, SB + 20, 1);
    refused(&big, "first data block");
}

static void inode_sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    static const uint16_t sizes[] = { 0, 1, 64, 127, 129, 192, 2048, 4096, 0xffff };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        put16(&p, SB + 88, sizes[i]);
        refused(&p, "inode size");
    }
    put16(&p, SB + 88, 128);
    accepted(&p);
}

/* I05: each of the 96 bits alone. */
static void features_that_are_not_known_are_refused_bit_by_bit(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    static const uint32_t readable[3] = {
        0x1 | 0x4 | 0x8 | 0x10 | 0x20 | 0x200 | 0x400 | 0x1000,
        0x2 | 0x4 | 0x10 | 0x40 | 0x100 | 0x200 | 0x2000,
        0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x400 | 0x1000 | 0x2000 | 0x4000 |
            0x10000,
    };
    for (unsigned word = 0; word < 3; word++) {
        uint32_t was = get32(&p, SB + 92 + word * 4);
        for (unsigned b = 0; b < 32; b++) {
            uint32_t bit = 1u << b;
            put32(&p, SB + 92 + word * 4, was | bit);
            if (word == 1 && bit == 0x80) /* 64bit: known, but here without wide descriptors */
                refused(&p, "group descriptor size");
            else if (readable[word] & bit)
                accepted(&p);
            else
                refused(&p, "feature");
        }
        put32(&p, SB + 92 + word * 4, was);
    }
    put32(&p, SB + 96, get32(&p, SB + 96) | 0x10000);
    auto_err struct err e = { 0 };
    auto_image_reader struct image_reader *r = NULL;
    assert_int_equal(image_reader_open(p.fd, 0, &r, &e), -1);
    assert_string_equal(e.msg, "file system feature 'encrypt' is not supported");
    assert_non_null(e.hint);
}

static void descriptors_that_point_astray_are_refused(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_init(&p, (const char *[]){ "-t", "ext2", "-b", "1024", "-g", "256", "-N", "96", NULL });
    accepted(&p);
    static const uint32_t astray[] = { 0, 1, 2, 599, 600, 601, 0x7fffffff, UINT32_MAX };
    for (unsigned g = 0; g < 2; g++)
        for (unsigned field = 0; field < 3; field++)
            for (size_t i = 0; i < ARRAY_LEN(astray); i++) {
                uint64_t at = DESC + g * 32 + field * 4;
                uint32_t was = get32(&p, at);
                if (field < 2 && astray[i] == 599)
                    continue; /* one block fits there */
                put32(&p, at, astray[i]);
                refused(&p, "descriptor of group");
                put32(&p, at, was);
            }
    accepted(&p);
    put32(&p, DESC + 32 + 8, get32(&p, DESC + 8)); /* one inode table twice */
    refused(&p, "two inode tables");
    put32(&p, DESC + 32 + 8, get32(&p, DESC + 8) + 1);
    refused(&p, "two inode tables");
}

static void counts_beyond_the_file_allocate_nothing(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_init(&p,
                 (const char *[]){ "-t", "ext4", "-b", "1024", "-O", "64bit,^has_journal", NULL });
    accepted(&p);
    put32(&p, SB + 336, 0x7fffffff); /* blocks, high word */
    refused(&p, "block count");
    put32(&p, SB + 336, 3);
    refused(&p, "number of block groups");
    put32(&p, SB + 336, 0);
    put16(&p, SB + 254, 32);
    refused(&p, "group descriptor size");
    put16(&p, SB + 254, 2048);
    refused(&p, "group descriptor size");
    put16(&p, SB + 254, 64);
    put32(&p, SB + 96, get32(&p, SB + 96) | 0x10);
    put32(&p, SB + 260, 77);
    refused(&p, "first meta block group");
}

static void a_file_cut_short_is_refused_with_its_cure(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    static const off_t sizes[] = { 0, 1, 1023, 1024, 2047, 2048, 4096, 599 * 1024 };
    for (size_t i = ARRAY_LEN(sizes); i-- > 0;) {
        auto_err struct err e = { 0 };
        auto_image_reader struct image_reader *r = NULL;
        assert_int_equal(ftruncate(p.fd, sizes[i]), 0);
        assert_int_equal(image_reader_open(p.fd, 0, &r, &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        if (sizes[i] > 2048)
            assert_non_null(strstr(e.hint, "copy the image again"));
    }
    assert_int_equal(image_reader_open(p.fd, UINT64_MAX, &(struct image_reader *){ NULL }, NULL),
                     -1);
}

/* I12, I15: what only a writer or the kernel minds. */
static void error_policy_orphans_and_mount_options_are_ignored(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    put16(&p, SB + 60, 3);   /* errors=panic */
    put16(&p, SB + 58, 2);   /* state: errors */
    put32(&p, SB + 232, 12); /* an orphan that leads to itself */
    put32(&p, inode_at(&p, 12) + 20, 12);
    put32(&p, SB + 512, 0x6f727265); /* mount options */
    put32(&p, SB + 12, UINT32_MAX);  /* free blocks */
    put32(&p, SB + 16, UINT32_MAX);  /* free inodes */
    auto_image_reader struct image_reader *r = case_reader_open(p.fd, 0);
    struct image_fs_stat fs;
    image_read_fs_stat(r, &fs);
    assert_int_equal(fs.blocks, 600);
    assert_int_equal(fs.free_blocks, 600);
    assert_int_equal(fs.free_inodes, fs.inodes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(impossible_geometry_is_refused),
        cmocka_unit_test(only_block_sizes_of_1_2_and_4_KiB_are_read),
        cmocka_unit_test(inode_sizes_that_cannot_be_are_refused),
        cmocka_unit_test(features_that_are_not_known_are_refused_bit_by_bit),
        cmocka_unit_test(descriptors_that_point_astray_are_refused),
        cmocka_unit_test(counts_beyond_the_file_allocate_nothing),
        cmocka_unit_test(a_file_cut_short_is_refused_with_its_cure),
        cmocka_unit_test(error_policy_orphans_and_mount_options_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
