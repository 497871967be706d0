/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "jail/jail.h"

static int parse(const char *text, char buf[512], struct mountinfo *out)
{
    snprintf(buf, 512, "%s", text);
    return mountinfo_line(buf, out);
}

static void a_line_is_taken_apart(void **state)
{
    (void)state;
    char buf[512];
    struct mountinfo mi;
    assert_int_equal(
        parse("36 35 98:0 /mnt1 /mnt2 rw,noatime,nosuid - ext3 /dev/root rw,errors=x", buf, &mi),
        0);
    assert_int_equal(mi.id, 36);
    assert_int_equal(mi.parent, 35);
    assert_string_equal(mi.mount_point, "/mnt2");
    assert_string_equal(mi.type, "ext3");
    assert_string_equal(mi.source, "/dev/root");
    assert_string_equal(mi.super_options, "rw,errors=x");
    assert_int_equal(mi.flags, MS_NOATIME | MS_NOSUID);
    assert_false(mi.follows);
}

static void tags_tell_whether_it_follows_another(void **state)
{
    (void)state;
    static const struct {
        const char *tags;
        bool follows;
    } cases[] = {
        { "", false },
        { " shared:2", false },
        { " master:1", true },
        { " shared:2 master:1", true },
        { " master:1 propagate_from:3", true },
        { " propagate_from:3", false },
        { " unbindable", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char buf[512], line[256];
        struct mountinfo mi = { .follows = !cases[i].follows };
        snprintf(line, sizeof line, "1 0 0:1 / /x rw%s - tmpfs t rw", cases[i].tags);
        assert_int_equal(parse(line, buf, &mi), 0);
        assert_int_equal(mi.follows, cases[i].follows);
        assert_string_equal(mi.type, "tmpfs");
    }
}

static void every_flag_is_known(void **state)
{
    (void)state;
    char buf[512];
    struct mountinfo mi;
    assert_int_equal(
        parse("1 0 0:1 / / ro,nosuid,nodev,noexec,noatime,nodiratime,relatime - a b c", buf, &mi),
        0);
    assert_int_equal(mi.flags, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME |
                                   MS_NODIRATIME | MS_RELATIME);
}

static void escapes_are_undone_and_nothing_else(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "/a\\040b", "/a b" },     { "/a\\134b", "/a\\b" },    { "/a\\012", "/a\n" },
        { "/a\\377", "/a\377" },    { "/a\\400", "/a\\400" },   { "/a\\08", "/a\\08" },
        { "/a\\048b", "/a\\048b" }, { "/a\\080b", "/a\\080b" }, { "/a\\04", "/a\\04" },
        { "/\\040\\040x", "/  x" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char buf[512], line[256];
        struct mountinfo mi;
        snprintf(line, sizeof line, "1 0 0:1 / %s rw - tmpfs t rw", cases[i][0]);
        assert_int_equal(parse(line, buf, &mi), 0);
        assert_string_equal(mi.mount_point, cases[i][1]);
    }
}

static void what_is_no_line_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "1 0 0:1 / /x rw tmpfs t rw",
        "1 0 0:1 / /x - tmpfs t rw",
        "x 0 0:1 / /x rw - tmpfs t",
        "1 y 0:1 / /x rw - tmpfs t",
        "1 0 0:1 / /x rw - ",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char buf[512];
        struct mountinfo mi;
        if (parse(bad[i], buf, &mi) == 0)
            fail_msg("accepted: '%s'", bad[i]);
    }
}

static void a_source_and_options_may_be_missing(void **state)
{
    (void)state;
    char buf[512];
    struct mountinfo mi;
    assert_int_equal(parse("1 0 0:1 / /x rw - tmpfs", buf, &mi), 0);
    assert_string_equal(mi.source, "");
    assert_string_equal(mi.super_options, "");
    assert_int_equal(parse("1 0 0:1 / /x rw - tmpfs t", buf, &mi), 0);
    assert_string_equal(mi.source, "t");
    assert_string_equal(mi.super_options, "");
}

struct visits {
    size_t n, stop_at;
    char points[8][64];
};

static int visit(void *ctx, const struct mountinfo *mi)
{
    struct visits *v = ctx;
    if (v->n < ARRAY_LEN(v->points))
        snprintf(v->points[v->n], sizeof v->points[0], "%s", mi->mount_point);
    return ++v->n == v->stop_at;
}

static void each_mount_is_visited_until_told_to_stop(void **state)
{
    (void)state;
    char dir[] = "/tmp/hpcc-test-mounts.XXXXXX";
    static const char text[] = "1 0 0:1 / / rw - a b c\nnot a line\n2 1 0:1 / /x rw - a b c\n"
                               "3 1 0:1 / /y rw - a b c";
    assert_non_null(mkdtemp(dir));
    auto_close int proc_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(proc_fd, "self", 0700), 0);
    auto_close int fd = openat(proc_fd, "self/mountinfo", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(fs_write_full(fd, text, sizeof text - 1), 0);
    struct visits all = { 0 }, some = { .stop_at = 2 };
    assert_int_equal(mountinfo_each(proc_fd, visit, &all), 0);
    assert_int_equal(all.n, 3);
    assert_string_equal(all.points[0], "/");
    assert_string_equal(all.points[1], "/x");
    assert_string_equal(all.points[2], "/y");
    assert_int_equal(mountinfo_each(proc_fd, visit, &some), 0);
    assert_int_equal(some.n, 2);
    unlinkat(proc_fd, "self/mountinfo", 0);
    assert_int_equal(mountinfo_each(proc_fd, visit, &all), -1);
    unlinkat(proc_fd, "self", AT_REMOVEDIR);
    rmdir(dir);
}

static void our_own_are_read_by_path(void **state)
{
    (void)state;
    struct visits all = { 0 }, below = { 0 };
    assert_int_equal(mountinfo_each(-1, visit, &all), 0);
    assert_true(all.n > 1);
    auto_close int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mountinfo_below(proc, visit, &below), 0);
    assert_true(below.n >= 1 && below.n < all.n);
    assert_string_equal(below.points[0], "/");
    struct visits none = { 0 };
    errno = 0;
    assert_int_equal(mountinfo_below(1000, visit, &none), -1);
    assert_int_equal(errno, EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_taken_apart),
        cmocka_unit_test(tags_tell_whether_it_follows_another),
        cmocka_unit_test(every_flag_is_known),
        cmocka_unit_test(escapes_are_undone_and_nothing_else),
        cmocka_unit_test(what_is_no_line_is_refused),
        cmocka_unit_test(a_source_and_options_may_be_missing),
        cmocka_unit_test(each_mount_is_visited_until_told_to_stop),
        cmocka_unit_test(our_own_are_read_by_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
