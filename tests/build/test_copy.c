/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "build/parts.h"

/* Two roots in a directory of our own: "from" and "to". */
struct roots {
    char dir[64];
    int dir_fd, from, to;
};

static int setup(void **state)
{
    struct roots *r = mem_zero(1, sizeof *r);
    snprintf(r->dir, sizeof r->dir, "/tmp/hpcc-copy.XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(mkdirat(r->dir_fd, "from", 0755), 0);
    assert_int_equal(mkdirat(r->dir_fd, "to", 0755), 0);
    r->from = openat(r->dir_fd, "from", O_RDONLY | O_DIRECTORY);
    r->to = openat(r->dir_fd, "to", O_RDONLY | O_DIRECTORY);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct roots *r = *state;
    auto_err struct err e = { 0 };
    close(r->from);
    close(r->to);
    close(r->dir_fd);
    int rc = fs_remove_tree(AT_FDCWD, r->dir, &e);
    free(r);
    return rc;
}

static void put(int root, const char *path, const char *text, mode_t mode)
{
    auto_str struct str s = { 0 };
    auto_err struct err e = { 0 };
    str_add(&s, text);
    assert_int_equal(fs_write_at(root, path, &s, mode, &e), 0);
}

static void assert_text(int root, const char *path, const char *want)
{
    auto_str struct str s = { 0 };
    auto_err struct err e = { 0 };
    assert_int_equal(fs_read_at(root, path, 1 << 20, &s, &e), 0);
    assert_string_equal(s.data, want);
}

static char *glob(int root, const char *pattern)
{
    auto_strv struct strv found = { 0 };
    auto_err struct err e = { 0 };
    assert_int_equal(files_glob(root, pattern, &found, &e), 0);
    return strv_join(&found, " ");
}

static void assert_glob(int root, const char *pattern, const char *want)
{
    auto_free char *have = glob(root, pattern);
    assert_string_equal(have, want);
}

static void patterns_find_names_in_order_inside_the_root(void **state)
{
    struct roots *r = *state;
    auto_err struct err e = { 0 };
    put(r->from, "a/2.txt", "", 0644);
    put(r->from, "a/1.txt", "", 0644);
    put(r->from, "a/.hidden.txt", "", 0644);
    put(r->from, "b/3.txt", "", 0644);
    put(r->from, "b/star*", "", 0644);
    assert_int_equal(fs_symlink_at(r->from, "/a", "link", &e), 0);
    assert_int_equal(fs_symlink_at(r->from, "/etc", "etc-link", &e), 0);
    assert_glob(r->from, "/a/*.txt", "/a/1.txt /a/2.txt");
    assert_glob(r->from, "/[ab]/[23].txt", "/a/2.txt /b/3.txt");
    assert_glob(r->from, "/link/1.txt", "/link/1.txt");
    assert_glob(r->from, "/b/star\\*", "/b/star*");
    assert_glob(r->from, "/a/*.none", "");
    assert_glob(r->from, "/etc-link/passwd", "");
    assert_glob(r->from, "/../../a/1.txt", "/../../a/1.txt");
    assert_glob(r->from, "/", "/");
}

static void a_tree_is_copied_with_links_followed(void **state)
{
    struct roots *r = *state;
    auto_err struct err e = { 0 };
    struct stat st;
    put(r->from, "t/sub/file", "deep", 0600);
    put(r->from, "t/run", "x", 04777);
    put(r->from, "secret", "s", 0644);
    assert_int_equal(fs_symlink_at(r->from, "/secret", "t/link", &e), 0);
    const struct copy_spec spec = { .from_root_fd = r->from, .to_root_fd = r->to };
    assert_int_equal(files_copy(&spec, "/t", "/opt/new", &e), 0);
    assert_text(r->to, "/opt/new/sub/file", "deep");
    assert_text(r->to, "/opt/new/link", "s");
    assert_int_equal(fs_stat_at(r->to, "/opt/new/link", false, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(fs_stat_at(r->to, "/opt/new/run", false, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755); /* no setuid, not for all to write */
    assert_int_equal(fs_stat_at(r->to, "/opt/new/sub/file", false, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_link_at_the_destination_is_replaced(void **state)
{
    struct roots *r = *state;
    auto_err struct err e = { 0 };
    put(r->from, "new", "new", 0644);
    put(r->to, "target", "old", 0644);
    assert_int_equal(fs_symlink_at(r->to, "target", "link", &e), 0);
    const struct copy_spec spec = { .from_root_fd = r->from, .to_root_fd = r->to };
    assert_int_equal(files_copy(&spec, "/new", "/link", &e), 0);
    assert_text(r->to, "/target", "old");
    assert_text(r->to, "/link", "new");
}

static void holes_stay_holes(void **state)
{
    struct roots *r = *state;
    auto_err struct err e = { 0 };
    struct stat st;
    auto_close int fd = openat(r->from, "sparse", O_RDWR | O_CREAT, 0644);
    assert_int_equal(ftruncate(fd, 64 << 20), 0);
    assert_int_equal(pwrite(fd, "x", 1, 32 << 20), 1);
    const struct copy_spec spec = { .from_root_fd = r->from, .to_root_fd = r->to };
    assert_int_equal(files_copy(&spec, "/sparse", "/sparse", &e), 0);
    assert_int_equal(fs_stat_at(r->to, "/sparse", false, &st), 0);
    assert_int_equal(st.st_size, 64 << 20);
    assert_true(st.st_blocks < 4096);
    char c = 0;
    auto_close int copy = openat(r->to, "sparse", O_RDONLY);
    assert_int_equal(pread(copy, &c, 1, 32 << 20), 1);
    assert_int_equal(c, 'x');
}

static void loops_devices_and_the_stage_are_not_copied(void **state)
{
    struct roots *r = *state;
    auto_err struct err e = { 0 };
    struct stat skip, st;
    put(r->from, "d/keep", "k", 0644);
    put(r->from, "d/stage/big", "b", 0644);
    assert_int_equal(fs_stat_at(r->from, "/d/stage", true, &skip), 0);
    const struct copy_spec spec = { .from_root_fd = r->from, .to_root_fd = r->to, .skip = &skip };
    assert_int_equal(files_copy(&spec, "/d", "/d", &e), 0);
    assert_text(r->to, "/d/keep", "k");
    assert_int_equal(fs_stat_at(r->to, "/d/stage", false, &st), -1);
    assert_int_equal(fs_symlink_at(r->from, "..", "d/up", &e), 0);
    assert_int_equal(files_copy(&spec, "/d", "/loop", &e), -1);
    assert_non_null(strstr(e.msg, "is a link into a directory above it"));
    assert_int_equal(mkfifoat(r->from, "fifo", 0600), 0);
    assert_int_equal(files_copy(&spec, "/fifo", "/fifo", &e), -1);
    assert_string_equal(e.msg, "'/fifo' is neither a file nor a directory");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(patterns_find_names_in_order_inside_the_root),
        TEST(a_tree_is_copied_with_links_followed),
        TEST(a_link_at_the_destination_is_replaced),
        TEST(holes_stay_holes),
        TEST(loops_devices_and_the_stage_are_not_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
