/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "bootstrap/deb/aptconf.h"

/* The mirror of FAMILY and SUITE on a host with sources.list LIST and sources.list.d/NAME TEXT
 * (NULL: no such file). "" stands for none. */
static void expect_mirror(const char *family, const char *suite, const char *list, const char *name,
                          const char *text, const char *want)
{
    char dir[] = "/tmp/hpcc-test.XXXXXX";
    assert_non_null(mkdtemp(dir));
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_str struct str s = { 0 };
    if (list) {
        str_add(&s, list);
        assert_int_equal(fs_write_at(fd, "/sources.list", &s, 0644, NULL), 0);
    }
    if (name) {
        auto_free char *path = mem_printf("/sources.list.d/%s", name);
        str_reset(&s);
        str_add(&s, text);
        assert_int_equal(fs_write_at(fd, path, &s, 0644, NULL), 0);
    }
    auto_free char *got = aptconf_mirror(dir, family, suite);
    auto_free char *base = path_base(dir);
    assert_int_equal(fs_remove_tree(tmp, base, NULL), 0);
    assert_string_equal(got ? got : "", want);
}

static void one_line_entries_are_understood(void **state)
{
    (void)state;
    expect_mirror("debian", "bookworm",
                  "# deb http://commented.example/debian bookworm main\n"
                  "deb-src http://source.example/debian bookworm main\n"
                  "deb [arch=amd64 signed-by=/x] http://m.example/debian/ bookworm main # c\n",
                  NULL, NULL, "http://m.example/debian");
}

static void deb822_stanzas_are_understood(void **state)
{
    (void)state;
    expect_mirror("debian", "bookworm", NULL, "debian.sources",
                  "Types: deb deb-src\n"
                  "URIs: http://off.example/debian\n"
                  "Suites: bookworm\nComponents: main\nEnabled: no\n"
                  "\n"
                  "# comment\n"
                  "types: deb\n"
                  "uris: https://m.example/debian\n"
                  "Suites: bookworm\n"
                  "# comment inside\n"
                  "  bookworm-updates\n"
                  "Components: main contrib\n",
                  "https://m.example/debian");
}

static void entry_of_the_suite_comes_before_others_of_the_family(void **state)
{
    (void)state;
    const char *list = "deb http://old.example/debian bullseye main\n"
                       "deb http://new.example/debian trixie main\n";
    expect_mirror("debian", "trixie", list, NULL, NULL, "http://new.example/debian");
    expect_mirror("debian", "sid", list, NULL, NULL, "http://old.example/debian");
}

static void other_archives_are_left_out(void **state)
{
    (void)state;
    const char *list = "deb http://security.example/debian-security bookworm-security main\n"
                       "deb http://vendor.example/apt stable-v2 main\n"
                       "deb http://parts.example/debian bookworm contrib\n"
                       "deb cdrom:[Debian]/ bookworm main\n"
                       "deb mirror+file:/etc/mirrors bookworm main\n"
                       "deb http://u.example/ubuntu jammy main universe\n";
    expect_mirror("debian", "bookworm", list, NULL, NULL, "");
    expect_mirror("ubuntu", "noble", list, NULL, NULL, "http://u.example/ubuntu");
}

static void files_of_other_names_do_not_count(void **state)
{
    (void)state;
    expect_mirror("debian", "bookworm", NULL, "x.list.disabled",
                  "deb http://m.example/debian bookworm main\n", "");
    expect_mirror("debian", "bookworm", NULL, "x.list", "deb file:/srv/debian bookworm main\n",
                  "file:///srv/debian");
}

static void host_of_another_kind_has_no_mirror(void **state)
{
    (void)state;
    assert_null(aptconf_mirror("/nonexistent", "debian", "bookworm"));
    expect_mirror("debian", "bookworm", "deb\ndeb [\ndeb x\n:::\n\n", "y.sources", ":\n :\nURIs\n",
                  "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_entries_are_understood),
        cmocka_unit_test(deb822_stanzas_are_understood),
        cmocka_unit_test(entry_of_the_suite_comes_before_others_of_the_family),
        cmocka_unit_test(other_archives_are_left_out),
        cmocka_unit_test(files_of_other_names_do_not_count),
        cmocka_unit_test(host_of_another_kind_has_no_mirror),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
