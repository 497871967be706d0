/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "bootstrap/deb/deb.h"

struct root {
    char dir[64];
    int fd;
};

static int make_root(void **state)
{
    struct root *r = mem_zero(1, sizeof *r);
    snprintf(r->dir, sizeof r->dir, "/tmp/hpcc-test.XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    r->fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = r;
    return 0;
}

static int drop_root(void **state)
{
    struct root *r = *state;
    auto_free char *base = path_base(r->dir);
    auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(r->fd);
    int rc = fs_remove_tree(tmp, base, NULL);
    free(r);
    return rc;
}

static void put(const struct root *r, const char *path, const char *text)
{
    auto_str struct str s = { 0 };
    str_add(&s, text);
    assert_int_equal(fs_write_at(r->fd, path, &s, 0644, NULL), 0);
}

static bool has(const struct root *r, const char *path)
{
    struct stat st;
    return fs_stat_at(r->fd, path, false, &st) == 0;
}

static void expect_text(const struct root *r, const char *path, const char *want)
{
    auto_str struct str s = { 0 };
    assert_int_equal(fs_read_at(r->fd, path, 4096, &s, NULL), 0);
    assert_string_equal(str_text(&s), want);
}

static struct deb_plan plan_for(const char *mirror, bool gone)
{
    return (struct deb_plan){ .family = "debian",
                              .suite = (char *)"bookworm",
                              .arch = (char *)"amd64",
                              .mirror = (char *)mirror,
                              .gone = gone };
}

static void what_belongs_to_the_host_goes(void **state)
{
    const struct root *r = *state;
    static const char *const gone[] = { "/var/cache/apt/archives/a_1_all.deb",
                                        "/var/lib/apt/lists/x_Packages",
                                        "/var/lib/apt/lists/x_Packages.few",
                                        "/etc/hostname",
                                        "/var/log/dpkg.log",
                                        "/var/log/apt/history.log",
                                        "/debootstrap/hpcc/functions",
                                        "/dev/console",
                                        "/var/lib/dpkg/status-old" };
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        put(r, gone[i], "x");
    put(r, "/etc/resolv.conf", "nameserver 192.0.2.1\n");
    put(r, "/etc/machine-id", "0123\n");
    put(r, "/var/lib/dpkg/status", "Package: a\n");
    struct deb_plan p = plan_for("http://m.example/debian", false);
    assert_int_equal(deb_root_tidy(&p, r->fd, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        assert_false(has(r, gone[i]));
    assert_false(has(r, "/debootstrap"));
    assert_true(has(r, "/var/lib/dpkg/status"));
    expect_text(r, "/etc/resolv.conf", "");
    expect_text(r, "/etc/machine-id", "");
    expect_text(r, "/etc/apt/sources.list", "deb http://m.example/debian bookworm main\n");
}

static void links_out_of_the_root_are_not_followed(void **state)
{
    const struct root *r = *state;
    char outside[] = "/tmp/hpcc-test-out.XXXXXX";
    assert_non_null(mkdtemp(outside));
    auto_free char *file = path_join(outside, "file");
    auto_close int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_symlink_at(r->fd, file, "/etc/resolv.conf", NULL), 0);
    assert_int_equal(fs_symlink_at(r->fd, outside, "/var/cache/apt/archives", NULL), 0);
    struct deb_plan p = plan_for("http://m.example/debian", false);
    int rc = deb_root_tidy(&p, r->fd, NULL);
    int kept = access(file, F_OK);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(outside), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(kept, 0);
}

static void sources_name_a_mirror_that_others_can_reach(void **state)
{
    const struct root *r = *state;
    struct deb_plan file = plan_for("file:///srv/debian", false);
    assert_int_equal(deb_root_tidy(&file, r->fd, NULL), 0);
    expect_text(r, "/etc/apt/sources.list", "deb http://deb.debian.org/debian bookworm main\n");
    struct deb_plan secret = plan_for("https://u:secret@m.example/debian", false);
    strv_add(&secret.components, "main");
    strv_add(&secret.components, "contrib");
    assert_int_equal(deb_root_tidy(&secret, r->fd, NULL), 0);
    strv_free(&secret.components);
    expect_text(r, "/etc/apt/sources.list", "deb https://m.example/debian bookworm main contrib\n");
    struct deb_plan old = plan_for("http://archive.debian.org/debian", true);
    assert_int_equal(deb_root_tidy(&old, r->fd, NULL), 0);
    expect_text(r, "/etc/apt/sources.list",
                "deb [check-valid-until=no] http://archive.debian.org/debian bookworm main\n");
}

static void installed_packages_are_listed(void **state)
{
    const struct root *r = *state;
    put(r, "/var/lib/dpkg/status",
        "Package: a\nStatus: install ok installed\nVersion: 1:2\nArchitecture: all\n"
        "Description: x\n Package: trap\n\n"
        "Package: b\nStatus: deinstall ok config-files\nVersion: 1\n\n"
        "Version: 9\n\n\n"
        "Status: install ok installed\nPackage: c");
    auto_json struct json_object *list = deb_root_packages(r->fd, NULL);
    assert_int_equal(json_object_array_length(list), 2);
    struct json_object *a = json_object_array_get_idx(list, 0);
    assert_string_equal(json_get_str(a, "name"), "a");
    assert_string_equal(json_get_str(a, "version"), "1:2");
    assert_string_equal(json_get_str(json_object_array_get_idx(list, 1), "name"), "c");
}

int main(void)
{
#define IN_ROOT(t) cmocka_unit_test_setup_teardown(t, make_root, drop_root)
    const struct CMUnitTest tests[] = {
        IN_ROOT(what_belongs_to_the_host_goes),
        IN_ROOT(links_out_of_the_root_are_not_followed),
        IN_ROOT(sources_name_a_mirror_that_others_can_reach),
        IN_ROOT(installed_packages_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
