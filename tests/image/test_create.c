/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/proc.h"
#include "image/image.h"
#include "image/layout.h"

struct spot {
    char dir[32];
    char *img;
};

static int set_up(void **state)
{
    struct spot *p = mem_zero(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/hpcc-create.XXXXXX");
    if (!mkdtemp(p->dir))
        return -1;
    p->img = mem_printf("%s/x.img", p->dir);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct spot *p = *state;
    int rc = fs_remove_tree(AT_FDCWD, p->dir, NULL);
    free(p->img);
    free(p);
    return rc;
}

static int create(const struct spot *p, uint64_t size_bytes, struct err *e)
{
    struct image_create_spec spec = { .path = p->img, .size_bytes = size_bytes };
    return image_create(&spec, e);
}

static void assert_clean(const char *img)
{
    auto_free char *e2fsck = proc_find("e2fsck");
    if (!e2fsck)
        skip();
    auto_err struct err e = { 0 };
    const char *argv[] = { e2fsck, "-fn", img, NULL };
    auto_close int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct proc_spec spec = { .argv = argv, .stdin_fd = -1, .stdout_fd = null, .stderr_fd = null };
    if (proc_run(&spec, NULL, &e) < 0)
        fail_msg("%s", e.msg);
}

static uint32_t le32_at(const char *img, off_t at)
{
    auto_close int fd = open(img, O_RDONLY | O_CLOEXEC);
    unsigned char b[4];
    assert_int_equal(pread(fd, b, 4, at), 4);
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void sizes_from_the_least_to_32_gib_are_clean(void **state)
{
    const struct spot *p = *state;
    static const uint64_t sizes[] = {
        IMAGE_MIN_BYTES,       (8ull << 20) - 4096, 8ull << 20,  100ull << 20,
        (128ull << 20) + 4096, (1ull << 30) + 1,    32ull << 30,
    };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        auto_err struct err e = { 0 };
        if (create(p, sizes[i], &e) < 0)
            fail_msg("%llu: %s", (unsigned long long)sizes[i], e.msg);
        struct stat st;
        assert_int_equal(stat(p->img, &st), 0);
        assert_int_equal(st.st_size, (sizes[i] + 4095) / 4096 * 4096);
        assert_int_equal(st.st_mode & 07777, 0755);
        assert_true(st.st_blocks * 512 < 8 << 20);
        assert_clean(p->img);
        assert_int_equal(unlink(p->img), 0);
    }
}

static void features_are_exactly_those_of_the_design(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    assert_int_equal(create(p, 64 << 20, &e), 0);
    assert_int_equal(le32_at(p->img, 1024 + 0x5c), 0x4 | 0x8 | 0x10 | 0x20);
    assert_int_equal(le32_at(p->img, 1024 + 0x60), 0x2);
    assert_int_equal(le32_at(p->img, 1024 + 0x64), 0x1 | 0x2);
    assert_int_equal(le32_at(p->img, 1024 + 0x18), 2); /* 4 KiB blocks */
    assert_int_equal(le32_at(p->img, 1024 + 0x08), 0); /* no reserved blocks */
}

static void the_boot_block_makes_it_executable(void **state)
{
    const struct spot *p = *state;
    assert_int_equal(create(p, 16 << 20, NULL), 0);
    auto_close int fd = open(p->img, O_RDONLY | O_CLOEXEC);
    char head[1024];
    assert_int_equal(read(fd, head, sizeof head), sizeof head);
    assert_memory_equal(head, LAYOUT_HASHBANG, strlen(LAYOUT_HASHBANG));
    for (size_t i = strlen(LAYOUT_HASHBANG); i < sizeof head; i++)
        assert_int_equal(head[i], 0);
}

static void a_size_out_of_range_is_refused_and_leaves_nothing(void **state)
{
    const struct spot *p = *state;
    static const uint64_t sizes[] = { 1, IMAGE_MIN_BYTES - 4096, IMAGE_MAX_BYTES + 1 };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        auto_err struct err e = { 0 };
        assert_int_equal(create(p, sizes[i], &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        assert_non_null(e.hint);
        assert_int_equal(access(p->img, F_OK), -1);
    }
}

static void an_existing_file_is_kept_unless_replacing(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    auto_close int fd = open(p->img, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "mine", 4), 4);
    assert_int_equal(create(p, 16 << 20, &e), -1);
    assert_int_equal(e.sys, EEXIST);
    struct stat st;
    assert_int_equal(stat(p->img, &st), 0);
    assert_int_equal(st.st_size, 4);

    struct image_create_spec spec = { .path = p->img, .size_bytes = 16 << 20, .replace = true };
    assert_int_equal(image_create(&spec, NULL), 0);
    assert_clean(p->img);
}

static char *read_all(const char *path, size_t *len)
{
    struct str s = { 0 };
    assert_int_equal(fs_read_file(path, 64 << 20, &s, NULL), 0);
    *len = s.len;
    return s.data;
}

static void asked_to_be_deterministic_two_are_equal(void **state)
{
    const struct spot *p = *state;
    size_t len[2];
    char *data[2];
    for (int i = 0; i < 2; i++) {
        struct image_create_spec spec = {
            .path = p->img, .size_bytes = 16 << 20, .deterministic = true, .epoch = 1700000000
        };
        assert_int_equal(image_create(&spec, NULL), 0);
        data[i] = read_all(p->img, &len[i]);
        assert_int_equal(unlink(p->img), 0);
    }
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(data[0], data[1], len[0]);
    free(data[0]);
    free(data[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        T(sizes_from_the_least_to_32_gib_are_clean),
        T(features_are_exactly_those_of_the_design),
        T(the_boot_block_makes_it_executable),
        T(a_size_out_of_range_is_refused_and_leaves_nothing),
        T(an_existing_file_is_kept_unless_replacing),
        T(asked_to_be_deterministic_two_are_equal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
