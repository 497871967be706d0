/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include "base/mem.h"
#include "runtime/serve_words.h"

static const struct runtime_serve_spec sample = {
    .image_fd = 5,
    .sock_fd = 7,
    .listen_fd = -1,
    .image_path = "/an image,1",
    .fs_offset = (uint64_t)INT64_MAX,
    .owner_uid = 4294967294u,
    .owner_gid = 100,
    .all_root = true,
};

static int open_nothing(int fd, uint64_t offset, struct image_tree **out, struct err *e)
{
    (void)fd, (void)offset, (void)out;
    return err_set(e, ERR_FAILED, "nothing");
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    auto_strv struct strv argv = { 0 };
    struct runtime_serve_spec got = { .open = open_nothing };
    serve_words_write("/x/hpcc-squashfs", &sample, &argv);
    assert_string_equal(argv.v[0], "/x/hpcc-squashfs");
    assert_int_equal(runtime_serve_read((int)argv.n, argv.v, &got), 0);
    assert_int_equal(got.image_fd, sample.image_fd);
    assert_int_equal(got.sock_fd, sample.sock_fd);
    assert_int_equal(got.listen_fd, -1);
    assert_string_equal(got.image_path, sample.image_path);
    assert_true(got.fs_offset == sample.fs_offset);
    assert_true(got.owner_uid == sample.owner_uid);
    assert_true(got.owner_gid == sample.owner_gid);
    assert_true(got.all_root);
    assert_true(got.open == open_nothing);
}

static void words_of_others_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "", " 1", "+1", "-2", "0x1", "1a", "18446744073709551616" };
    auto_strv struct strv argv = { 0 };
    serve_words_write("x", &sample, &argv);
    for (size_t at = 1; at + 1 < argv.n; at++) /* the last is the path */
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            struct runtime_serve_spec got = { .image_fd = 99 };
            char *kept = argv.v[at], *word = mem_strdup(bad[i]);
            argv.v[at] = word;
            int rc = runtime_serve_read((int)argv.n, argv.v, &got);
            argv.v[at] = kept;
            free(word);
            assert_int_equal(rc, -1);
            assert_int_equal(got.image_fd, 99);
        }
}

static void too_few_and_too_many_are_refused(void **state)
{
    (void)state;
    auto_strv struct strv argv = { 0 };
    struct runtime_serve_spec got = { 0 };
    serve_words_write("x", &sample, &argv);
    assert_int_equal(runtime_serve_read((int)argv.n - 1, argv.v, &got), -1);
    assert_int_equal(runtime_serve_read(1, argv.v, &got), -1);
    assert_int_equal(runtime_serve_read(0, argv.v, &got), -1);
    strv_add(&argv, "more");
    assert_int_equal(runtime_serve_read((int)argv.n, argv.v, &got), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(words_of_others_are_refused),
        cmocka_unit_test(too_few_and_too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
