/* SPDX-License-Identifier: BSD-3-Clause */
/* The finished tree on paper: a mountinfo that mount(2) and mount_setattr(2) of this test change. */
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

enum { MOST = 16 };

struct paper {
    int id, parent;
    const char *point, *flags, *tag, *type;
};

static struct paper host[MOST];
static size_t n_host;
static int calls, privates;
static int stubborn; /* the mount that the kernel will not change */
static int proc_fd = -1;
static char dir[] = "/tmp/hpcc-test-tree.XXXXXX";

static void write_down(void)
{
    auto_str struct str text = { 0 };
    for (size_t i = 0; i < n_host; i++)
        str_addf(&text, "%d %d 0:1 / %s %s,nosuid%s%s - %s none rw\n", host[i].id, host[i].parent,
                 host[i].point, host[i].flags, *host[i].tag ? " " : "", host[i].tag, host[i].type);
    auto_close int fd = openat(proc_fd, "self/mountinfo", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_full(fd, text.data, text.len), 0);
}

#define WITH(...)                                                                                  \
    do {                                                                                           \
        static const struct paper rows[] = { __VA_ARGS__ };                                        \
        memcpy(host, rows, sizeof rows);                                                           \
        n_host = ARRAY_LEN(rows);                                                                  \
        calls = privates = stubborn = 0;                                                           \
        write_down();                                                                              \
    } while (0)

/* The last one at a point is the uppermost. */
static struct paper *at(const char *point)
{
    for (size_t i = n_host; i--;)
        if (strcmp(host[i].point, point) == 0)
            return &host[i];
    return NULL;
}

int mount_setattr(int fd, const char *path, unsigned flags, struct mount_attr *set, size_t size)
{
    if (fd == -1) { /* asked whether there is such a call */
        errno = EBADF;
        return -1;
    }
    struct paper *p = at(path);
    calls++;
    assert_int_equal(flags, AT_SYMLINK_NOFOLLOW);
    assert_int_equal(set->attr_set, MOUNT_ATTR_RDONLY);
    assert_int_equal(size, sizeof *set);
    if (!p || p->id == stubborn) {
        errno = EPERM;
        return -1;
    }
    p->flags = "ro";
    write_down();
    return 0;
}

int mount(const char *what, const char *where, const char *type, unsigned long flags,
          const void *data)
{
    (void)type;
    (void)data;
    privates++;
    assert_null(what);
    if (flags == (MS_REC | MS_PRIVATE)) {
        assert_string_equal(where, "/");
        for (size_t i = 0; i < n_host; i++)
            host[i].tag = host[i].id == stubborn ? host[i].tag : "";
    } else {
        assert_int_equal(flags, MS_PRIVATE);
        struct paper *p = at(where);
        assert_non_null(p);
        p->tag = "";
    }
    write_down();
    return 0;
}

static bool closed(const char *point)
{
    return strcmp(at(point)->flags, "ro") == 0;
}

static void a_sealed_tree_is_left_alone(void **state)
{
    (void)state;
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/proc", "rw", "", "proc" },
         { 3, 2, "/proc/sys", "ro", "", "proc" }, { 4, 1, "/sys", "ro", "", "sysfs" },
         { 5, 1, "/tmp", "rw", "shared:3", "tmpfs" });
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_int_equal(calls + privates, 0);
    assert_false(closed("/proc"));
    assert_false(closed("/tmp"));
}

static void every_window_is_closed_wherever_it_lies(void **state)
{
    (void)state;
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/data", "rw", "", "ext4" },
         { 3, 2, "/data/proc", "rw", "", "proc" }, { 4, 2, "/data/c", "rw", "", "cgroup2" },
         { 5, 1, "/d", "rw", "", "debugfs" });
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_true(closed("/data/proc") && closed("/data/c") && closed("/d"));
    assert_false(closed("/data"));
    assert_int_equal(calls, 3);
}

static void a_proc_whose_settings_are_open_is_closed_as_a_whole(void **state)
{
    (void)state;
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/proc", "rw", "", "proc" });
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_true(closed("/proc"));
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/proc", "rw", "", "proc" },
         { 3, 2, "/proc/sys", "rw", "", "proc" });
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_true(closed("/proc") && closed("/proc/sys"));
    /* the seal of another one */
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/proc", "rw", "", "proc" },
         { 3, 1, "/proc/sys", "ro", "", "proc" });
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_true(closed("/proc"));
    /* a seal elsewhere */
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/proc", "rw", "", "proc" },
         { 3, 2, "/proc/irq", "ro", "", "proc" });
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_true(closed("/proc"));
    /* not proc at all */
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/proc", "rw", "", "sysfs" },
         { 3, 2, "/proc/sys", "ro", "", "sysfs" });
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_true(closed("/proc"));
}

static void what_lies_under_another_mount_does_not_count(void **state)
{
    (void)state;
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/a", "rw", "", "proc" },
         { 3, 2, "/a", "rw", "", "tmpfs" }, { 4, 1, "/b/c", "rw", "", "proc" },
         { 5, 1, "/b", "rw", "", "tmpfs" }, { 6, 5, "/b/d", "rw", "", "proc" });
    stubborn = 2;
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_true(closed("/b/d"));
    assert_int_equal(calls, 1);
}

/* A mount lies over the way only where it is mounted on what leads there. */
static void a_mount_at_a_like_name_hides_nothing(void **state)
{
    (void)state;
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/a/proc", "rw", "", "proc" },
         { 3, 1, "/a/pro", "rw", "", "tmpfs" }, { 4, 9, "/a", "rw", "", "tmpfs" });
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_true(closed("/a/proc"));
}

static void one_that_cannot_be_closed_is_refused_with_its_name(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/mnt\\040x", "rw", "", "sysfs" });
    stubborn = 2;
    assert_int_equal(views_close_tree(proc_fd, &e), -1);
    assert_int_equal(e.code, ERR_FAILED);
    assert_string_equal(e.msg,
                        "'/mnt x' in the container is a sysfs of the host that cannot be sealed");
    assert_non_null(e.hint);
}

static void later_mounts_of_the_host_are_kept_out(void **state)
{
    (void)state;
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/data", "rw", "master:7", "ext4" },
         { 3, 1, "/home", "rw", "shared:4 master:8", "nfs4" });
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_int_equal(privates, 1);
    assert_string_equal(at("/data")->tag, "");
    assert_string_equal(at("/home")->tag, "");
}

static void automounts_still_appear_below_autofs_alone(void **state)
{
    (void)state;
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/cvmfs", "rw", "master:7", "autofs" },
         { 3, 1, "/home", "rw", "master:8", "nfs4" }, { 4, 1, "/data", "rw", "master:9", "nfs4" });
    assert_int_equal(views_close_tree(proc_fd, NULL), 0);
    assert_int_equal(privates, 2);
    assert_string_equal(at("/cvmfs")->tag, "master:7");
    assert_string_equal(at("/home")->tag, "");
    assert_string_equal(at("/data")->tag, "");
}

static void a_tree_that_stays_tied_to_the_host_is_refused(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    WITH({ 1, 0, "/", "ro", "", "ext4" }, { 2, 1, "/data", "rw", "master:7", "ext4" });
    stubborn = 2;
    assert_int_equal(views_close_tree(proc_fd, &e), -1);
    assert_string_equal(e.msg, "cannot separate the container's mounts from the host's");
}

static void no_mounts_at_all_are_no_tree(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    n_host = 0;
    write_down();
    assert_int_equal(views_close_tree(proc_fd, &e), -1);
    assert_int_equal(e.code, ERR_BUG);
    assert_int_equal(unlinkat(proc_fd, "self/mountinfo", 0), 0);
    err_clear(&e);
    assert_int_equal(views_close_tree(proc_fd, &e), -1);
    assert_int_equal(e.code, ERR_FAILED);
}

static void windows_are_known_by_their_whole_name(void **state)
{
    (void)state;
    static const char *const are[] = { "proc",   "sysfs",    "cgroup",      "cgroup2",
                                       "bpf",    "debugfs",  "securityfs",  "tracefs",
                                       "pstore", "configfs", "binfmt_misc", "efivarfs" };
    static const char *const are_not[] = { "", "tmpfs", "ext4", "pro", "procfs", "devpts", "fuse" };
    for (size_t i = 0; i < ARRAY_LEN(are); i++)
        assert_true(views_is_window(are[i]));
    for (size_t i = 0; i < ARRAY_LEN(are_not); i++)
        assert_false(views_is_window(are_not[i]));
}

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    proc_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return proc_fd < 0 || mkdirat(proc_fd, "self", 0700) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlinkat(proc_fd, "self/mountinfo", 0);
    unlinkat(proc_fd, "self", AT_REMOVEDIR);
    close(proc_fd);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_tree_is_left_alone),
        cmocka_unit_test(every_window_is_closed_wherever_it_lies),
        cmocka_unit_test(a_proc_whose_settings_are_open_is_closed_as_a_whole),
        cmocka_unit_test(what_lies_under_another_mount_does_not_count),
        cmocka_unit_test(a_mount_at_a_like_name_hides_nothing),
        cmocka_unit_test(one_that_cannot_be_closed_is_refused_with_its_name),
        cmocka_unit_test(later_mounts_of_the_host_are_kept_out),
        cmocka_unit_test(automounts_still_appear_below_autofs_alone),
        cmocka_unit_test(a_tree_that_stays_tied_to_the_host_is_refused),
        cmocka_unit_test(no_mounts_at_all_are_no_tree),
        cmocka_unit_test(windows_are_known_by_their_whole_name),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
