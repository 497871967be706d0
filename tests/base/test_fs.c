/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/fs_walk.h"
#include "base/mem.h"
#include "base/path.h"

/* A directory TOP with a root inside and a secret beside it: TOP/root, TOP/secret. */
struct fixture {
    char top[64];
    int top_fd;
    int root_fd;
};

static void write_text(int dir_fd, const char *name, const char *text)
{
    auto_close int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_full(fd, text, strlen(text)), 0);
}

static int setup(void **state)
{
    struct fixture *f = mem_zero(1, sizeof *f);
    snprintf(f->top, sizeof f->top, "/tmp/hpcc-test-fs-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    f->top_fd = open(f->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(f->top_fd, "root", 0755), 0);
    f->root_fd = openat(f->top_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    write_text(f->top_fd, "secret", "outside");
    assert_int_equal(mkdirat(f->root_fd, "etc", 0755), 0);
    assert_int_equal(mkdirat(f->root_fd, "d", 0755), 0);
    write_text(f->root_fd, "etc/passwd", "inside");
    assert_int_equal(symlinkat("/etc/passwd", f->root_fd, "abs"), 0);
    assert_int_equal(symlinkat("../../secret", f->root_fd, "up"), 0);
    assert_int_equal(symlinkat("/", f->root_fd, "slash"), 0);
    assert_int_equal(symlinkat("loop", f->root_fd, "loop"), 0);
    assert_int_equal(symlinkat("/etc", f->root_fd, "dirlink"), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    auto_err struct err e = { 0 };
    close(f->root_fd);
    close(f->top_fd);
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->top, &e), 0);
    assert_int_equal(access(f->top, F_OK), -1);
    free(f);
    return 0;
}

struct walker {
    const char *name;
    int (*open)(int rootfs_fd, const char *path, int flags, mode_t mode);
};

static const struct walker walkers[] = {
    { "openat2", fs_walk_open },
    { "walk", fs_walk_open_slow },
};

static void both_walkers_stay_inside_the_root(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *path;
        const char *text; /* NULL: must fail */
        int error;
    } cases[] = {
        { "etc/passwd", "inside", 0 },
        { "/etc/passwd", "inside", 0 },
        { "abs", "inside", 0 },
        { "../../../etc/passwd", "inside", 0 },
        { "slash/etc/passwd", "inside", 0 },
        { "slash/slash/../abs", "inside", 0 },
        { "dirlink/passwd", "inside", 0 },
        { "dirlink/../etc/./passwd", "inside", 0 },
        { "up", NULL, ENOENT },
        { "../secret", NULL, ENOENT },
        { "loop", NULL, ELOOP },
        { "etc/passwd/x", NULL, ENOTDIR },
        { "etc/passwd/", NULL, ENOTDIR },
    };
    for (size_t w = 0; w < ARRAY_LEN(walkers); w++) {
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
            auto_close int fd = walkers[w].open(f->root_fd, cases[i].path, O_RDONLY | O_CLOEXEC, 0);
            if (!cases[i].text) {
                assert_int_equal(fd, -1);
                assert_int_equal(errno, cases[i].error);
                continue;
            }
            auto_str struct str text = { 0 };
            assert_true(fd >= 0);
            assert_int_equal(fs_read_fd(fd, 100, &text, NULL), 0);
            assert_string_equal(text.data, cases[i].text);
        }
    }
}

static void both_walkers_refuse_magic_links(void **state)
{
    (void)state;
    auto_close int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_free char *magic = mem_printf("%d/root", (int)getpid());
    for (size_t w = 0; w < ARRAY_LEN(walkers); w++) {
        int fd = walkers[w].open(proc_fd, magic, O_PATH | O_CLOEXEC, 0);
        assert_int_equal(fd, -1);
        assert_int_equal(errno, ELOOP);
    }
}

static void both_walkers_create_and_do_not_follow_when_told(void **state)
{
    struct fixture *f = *state;
    for (size_t w = 0; w < ARRAY_LEN(walkers); w++) {
        auto_free char *name = mem_printf("d/new-%s", walkers[w].name);
        auto_close int fd =
            walkers[w].open(f->root_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(walkers[w].open(f->root_fd, "abs", O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0),
                         -1);
        assert_int_equal(errno, ELOOP);
        int dir = walkers[w].open(f->root_fd, "dirlink/..", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        struct stat a, b;
        assert_int_equal(fstat(dir, &a) | fstat(f->root_fd, &b), 0);
        assert_true(a.st_ino == b.st_ino);
        close(dir);
    }
}

static void a_write_replaces_a_symlink_and_never_follows_it(void **state)
{
    struct fixture *f = *state;
    auto_err struct err e = { 0 };
    struct str data = { .data = (char *)"new", .len = 3 };
    assert_int_equal(fs_write_at(f->root_fd, "up", &data, 0640, &e), 0);
    auto_str struct str outside = { 0 };
    auto_close int fd = openat(f->top_fd, "secret", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fs_read_fd(fd, 100, &outside, &e), 0);
    assert_string_equal(outside.data, "outside");
    struct stat st;
    assert_int_equal(fs_stat_at(f->root_fd, "up", false, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void parents_are_made_inside_even_through_links(void **state)
{
    struct fixture *f = *state;
    auto_err struct err e = { 0 };
    struct str data = { .data = (char *)"x", .len = 1 };
    assert_int_equal(fs_write_at(f->root_fd, "/slash/a/b/c", &data, 0644, &e), 0);
    struct stat st;
    assert_int_equal(fs_stat_at(f->root_fd, "a/b/c", false, &st), 0);
    assert_int_equal(fs_symlink_at(f->root_fd, "c", "a/b/l", &e), 0);
    assert_int_equal(fs_symlink_at(f->root_fd, "c", "a/b/l", &e), 0);
    auto_str struct str text = { 0 };
    assert_int_equal(fs_read_at(f->root_fd, "a/b/l", 10, &text, &e), 0);
    assert_string_equal(text.data, "x");
}

static void reading_refuses_what_is_no_regular_file_and_what_is_too_large(void **state)
{
    struct fixture *f = *state;
    auto_err struct err e = { 0 };
    auto_str struct str text = { 0 };
    assert_int_equal(mkfifoat(f->root_fd, "fifo", 0600), 0);
    assert_int_equal(fs_read_at(f->root_fd, "fifo", 10, &text, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(fs_read_at(f->root_fd, "etc/passwd", 3, &text, &e), -1);
    assert_non_null(strstr(e.msg, "larger than the 3 bytes"));
}

static void removing_a_tree_keeps_what_links_point_to(void **state)
{
    struct fixture *f = *state;
    auto_err struct err e = { 0 };
    assert_int_equal(fs_mkdirs_at(f->root_fd, "gone/x/y", 0500, &e), 0);
    assert_int_equal(symlinkat("../etc", f->root_fd, "gone/x/link"), 0);
    assert_int_equal(fs_remove_tree(f->root_fd, "gone", &e), 0);
    assert_int_equal(fs_remove_tree(f->root_fd, "gone", &e), 0);
    struct stat st;
    assert_int_equal(fs_stat_at(f->root_fd, "etc/passwd", false, &st), 0);
}

static void removing_a_tree_stops_at_a_mount_point(void **state)
{
    struct fixture *f = *state;
    auto_err struct err e = { 0 };
    assert_int_equal(fs_mkdirs_at(f->root_fd, "m/mnt", 0755, &e), 0);
    auto_free char *at = path_join(f->top, "root/m/mnt");
    if (mount("none", at, "tmpfs", 0, "size=64k") < 0)
        skip(); /* not root */
    assert_int_equal(fs_remove_tree(f->root_fd, "m", &e), -1);
    assert_non_null(strstr(e.msg, "mount point"));
    assert_int_equal(umount(at), 0);

    auto_free char *host = path_join(f->top, "root/host");
    auto_free char *file = path_join(f->top, "root/host/file");
    struct stat st;
    assert_int_equal(fs_mkdirs_at(f->root_fd, "host/file", 0755, &e), 0);
    assert_int_equal(mount(host, at, NULL, MS_BIND, NULL), 0);
    err_clear(&e);
    assert_int_equal(fs_remove_tree(f->root_fd, "m", &e), -1);
    assert_int_equal(umount(at), 0);
    assert_non_null(strstr(e.msg, "mount point"));
    assert_int_equal(stat(file, &st), 0); /* a bind of the same file system is not gone through */
    assert_int_equal(fs_remove_tree(f->root_fd, "m", &e), 0);
}

static void a_plain_path_has_no_link_in_it(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    auto_close int file = fs_open_plain_at(f->root_fd, "/etc/passwd", O_RDONLY);
    if (file < 0 && errno == ENOSYS)
        skip();
    assert_true(file >= 0);
    assert_int_equal(fcntl(file, F_GETFD), FD_CLOEXEC);
    static const char *const links[] = { "/abs", "/dirlink/passwd", "/slash/etc", "/loop" };
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        assert_int_equal(fs_open_plain_at(f->root_fd, links[i], O_PATH), -1);
        assert_int_equal(errno, ELOOP);
    }
    assert_int_equal(fs_open_plain_at(f->root_fd, "/etc/none", O_PATH), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(fs_open_plain_at(f->root_fd, "/../secret", O_PATH), -1);
    auto_close int link = fs_open_plain_at(f->root_fd, "/abs", O_PATH | O_NOFOLLOW);
    assert_int_equal(fstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

struct names {
    unsigned n, stop_at;
    bool dots;
};

static int count_name(void *ctx, const char *name)
{
    struct names *names = ctx;
    names->dots |= str_eq(name, ".") || str_eq(name, "..");
    return ++names->n == names->stop_at ? 7 : 0;
}

static void every_name_of_a_directory_comes_once(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 1500 }; /* more than one call gives */
    for (unsigned i = 0; i < MANY; i++) {
        auto_free char *name = mem_printf("d/a-rather-long-name-of-a-file-%u", i);
        write_text(f->root_fd, name, "");
    }
    auto_close int fd = openat(f->root_fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct names all = { 0 };
    assert_int_equal(fs_each_name(fd, count_name, &all), 0);
    assert_int_equal(all.n, MANY);
    assert_false(all.dots);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    struct names some = { .stop_at = 3 };
    assert_int_equal(fs_each_name(fd, count_name, &some), 7);
    assert_int_equal(some.n, 3);
    auto_close int file = openat(f->root_fd, "etc/passwd", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fs_each_name(file, count_name, &some), -1);
    assert_int_equal(errno, ENOTDIR);
}

static void the_names_of_a_directory_come_in_order(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = { "d/b", "d/a", "d/C", "d/.h" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        write_text(f->root_fd, files[i], "");
    auto_strv struct strv names = { 0 };
    assert_int_equal(fs_names_at(f->root_fd, "d", &names), 0);
    auto_free char *all = strv_join(&names, " ");
    assert_string_equal(all, ".h C a b");
    auto_close int path_fd = openat(f->root_fd, "d", O_PATH | O_CLOEXEC);
    auto_strv struct strv again = { 0 };
    assert_int_equal(fs_names_at(path_fd, ".", &again), 0);
    assert_int_equal(again.n, 4);
    assert_int_equal(fs_names_at(f->root_fd, "d/a", &again), -1);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(fs_names_at(f->root_fd, "none", &again), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(again.n, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_walkers_stay_inside_the_root, setup, teardown),
        cmocka_unit_test(both_walkers_refuse_magic_links),
        cmocka_unit_test_setup_teardown(both_walkers_create_and_do_not_follow_when_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_write_replaces_a_symlink_and_never_follows_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(parents_are_made_inside_even_through_links, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            reading_refuses_what_is_no_regular_file_and_what_is_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(removing_a_tree_keeps_what_links_point_to, setup, teardown),
        cmocka_unit_test_setup_teardown(removing_a_tree_stops_at_a_mount_point, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plain_path_has_no_link_in_it, setup, teardown),
        cmocka_unit_test_setup_teardown(every_name_of_a_directory_comes_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_names_of_a_directory_come_in_order, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
