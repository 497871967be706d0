/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/image_case.h"

#include <endian.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIF_BYTES = 80000, SIF_TABLE = 4096, SIF_ENTRY = 585, SIF_DATA = 40960 };

static int probe_bytes(const void *data, size_t len, struct image_info *info, struct err *e)
{
    auto_close int fd = memfd_create("probe", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    return image_probe(fd, "some.img", info, e);
}

static void what_is_no_image_is_named_with_its_cure(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len, at;
        const char *what;
    } files[] = {
        { "", 0, 0, "it is empty" },
        { "x", 1, 0, "is not an image" },
        { "\x1f\x8b\x08", 3, 0, "gzip" },
        { "\x28\xb5\x2f\xfd", 4, 0, "zstd" },
        { "\xfd"
          "7zXZ",
          5, 0, "xz" },
        { "BZh9", 4, 0, "bzip2" },
        { "ustar", 5, 257, "tar archive" },
        { "\x7f"
          "ELF",
          4, 0, "program" },
        { "#!/bin/sh\nexit\n", 15, 0, "script" },
        { "Bootstrap: yum\n", 15, 0, "definition" },
        { "XFSB", 4, 0, "XFS" },
        { "\xe2\xe1\xf5\xe0", 4, 1024, "EROFS" },
        { "CD001", 5, 2049, "is not an image" },
        { "SIF_MAGIC", 9, 32, "descriptor table" },
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        uint8_t data[4096] = { 0 };
        auto_err struct err e = { 0 };
        struct image_info info = { .fs_offset = 77 };
        memcpy(data + files[i].at, files[i].bytes, files[i].len);
        size_t len = files[i].len < 2 ? files[i].len : sizeof data;
        assert_int_equal(probe_bytes(data, len, &info, &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        if (!strstr(e.msg, files[i].what))
            fail_msg("'%s' does not say '%s'", e.msg, files[i].what);
        assert_non_null(strstr(e.msg, "some.img"));
        assert_int_equal(info.fs_offset, 77);
    }
}

static void put64(uint8_t *at, uint64_t v)
{
    v = htole64(v);
    memcpy(at, &v, 8);
}

static void put32(uint8_t *at, uint32_t v)
{
    v = htole32(v);
    memcpy(at, &v, 4);
}

/* A SIF file with a definition and a primary partition of kind FS. */
static void make_sif(uint8_t *sif, uint32_t fs)
{
    memset(sif, 0, SIF_BYTES);
    memcpy(sif, "#!/usr/bin/env run-singularity\n", 31);
    memcpy(sif + 32,
           "SIF_MAGIC\0"
           "01\0"
           "02",
           15);
    put64(sif + 88, 3);
    put64(sif + 96, SIF_TABLE);
    uint8_t *d = sif + SIF_TABLE;
    put32(d, 0x4001);
    d[4] = 1;
    d += SIF_ENTRY;
    put32(d, 0x4004);
    d[4] = 1;
    put64(d + 17, SIF_DATA);
    put64(d + 25, 20000);
    put32(d + 201, fs);
    put32(d + 205, 2);
}

static void the_primary_partition_of_a_sif_is_found(void **state)
{
    (void)state;
    auto_free uint8_t *sif = mem_alloc(SIF_BYTES);
    static const struct {
        uint32_t fs;
        int kind; /* -1: refused */
    } cases[] = { { 1, IMAGE_SIF }, { 2, IMAGE_EXT }, { 3, -1 }, { 4, -1 }, { 5, -1 }, { 0, -1 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_err struct err e = { 0 };
        struct image_info info = { 0 };
        make_sif(sif, cases[i].fs);
        int rc = probe_bytes(sif, SIF_BYTES, &info, &e);
        assert_int_equal(rc, cases[i].kind < 0 ? -1 : 0);
        if (rc < 0)
            continue;
        assert_int_equal(info.kind, cases[i].kind);
        assert_int_equal(info.fs_offset, SIF_DATA);
        assert_int_equal(info.fs_bytes, 20000);
        assert_true(info.executable);
    }
}

static void a_sif_that_points_outside_of_itself_is_refused(void **state)
{
    (void)state;
    auto_free uint8_t *sif = mem_alloc(SIF_BYTES);
    static const struct {
        size_t at;
        uint64_t value;
    } bad[] = {
        { 88, 0 },
        { 88, UINT64_MAX },
        { 88, 5000 },
        { 88, 1 }, /* the partition is the second */
        { 96, SIF_BYTES },
        { 96, UINT64_MAX },
        { 96, SIF_BYTES - 100 },
        { SIF_TABLE + SIF_ENTRY + 17, SIF_BYTES },
        { SIF_TABLE + SIF_ENTRY + 17, UINT64_MAX },
        { SIF_TABLE + SIF_ENTRY + 25, SIF_BYTES },
        { SIF_TABLE + SIF_ENTRY + 25, UINT64_MAX },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_err struct err e = { 0 };
        struct image_info info;
        make_sif(sif, 1);
        put64(sif + bad[i].at, bad[i].value);
        assert_int_equal(probe_bytes(sif, SIF_BYTES, &info, &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        assert_non_null(strstr(e.msg, "SIF"));
    }
}

static void squashfs_is_known_with_and_without_launcher_lines(void **state)
{
    (void)state;
    static const char line[] = "#!/usr/bin/env run-singularity\n";
    for (unsigned k = 0; k <= 3; k++) {
        uint8_t data[4096] = { 0 };
        struct image_info info;
        for (unsigned i = 0; i < k; i++)
            memcpy(data + i * 31, line, 31);
        memcpy(data + k * 31, "hsqs", 4);
        put64(data + k * 31 + 40, 123456);
        int rc = probe_bytes(data, sizeof data, &info, NULL);
        assert_int_equal(rc, k == 3 ? -1 : 0);
        if (rc < 0)
            continue;
        assert_int_equal(info.kind, IMAGE_SQUASHFS);
        assert_int_equal(info.fs_offset, k * 31);
        assert_int_equal(info.fs_bytes, 123456);
        assert_int_equal(info.executable, k > 0);
    }
    uint8_t data[4096] = { 0 };
    memcpy(data + 5, "hsqs", 4); /* 2.x would search for it */
    assert_int_equal(probe_bytes(data, sizeof data, &(struct image_info){ 0 }, NULL), -1);
}

/* An open that waited for the other end of the FIFO would be ended by the alarm. */
static void fifos_devices_and_directories_are_told_apart(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *fifo = path_join(dir, "fifo"), *none = path_join(dir, "none");
    struct image_info info;
    assert_int_equal(mkfifo(fifo, 0600), 0);
    alarm(20);
    auto_err struct err e = { 0 };
    assert_int_equal(image_open(fifo, &info, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(image_open("/dev/zero", &info, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(image_open(none, &info, &e), -1);
    assert_int_equal(e.sys, ENOENT);
    auto_close int fd = image_open(dir, &info, &e);
    assert_true(fd >= 0);
    assert_int_equal(info.kind, IMAGE_DIR);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_image_is_named_with_its_cure),
        cmocka_unit_test(the_primary_partition_of_a_sif_is_found),
        cmocka_unit_test(a_sif_that_points_outside_of_itself_is_refused),
        cmocka_unit_test(squashfs_is_known_with_and_without_launcher_lines),
        cmocka_unit_test(fifos_devices_and_directories_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
