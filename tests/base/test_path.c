/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include "base/path.h"
#include "base/str.h"

static void parts_of_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path, *base, *dir;
    } cases[] = {
        { "a/b", "b", "a" }, { "x", "x", "." },      { "/x", "x", "/" },
        { "/", "/", "/" },   { "a//b//", "b", "a" }, { "/a/b/", "b", "/a" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *b = path_base(cases[i].path);
        auto_free char *d = path_dir(cases[i].path);
        assert_string_equal(b, cases[i].base);
        assert_string_equal(d, cases[i].dir);
    }
}

static void cleaning_never_leaves_the_root(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "/a/../../b", "/b" },
        { "/..", "/" },
        { "//a/./b//", "/a/b" },
        { "/a/b/..", "/a" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *c = path_clean(cases[i][0]);
        assert_string_equal(c, cases[i][1]);
    }
}

static void within_compares_components_not_letters(void **state)
{
    (void)state;
    assert_true(path_within("/scratch/x", "/scratch"));
    assert_true(path_within("/scratch", "/scratch"));
    assert_false(path_within("/scratch2", "/scratch"));
    assert_true(path_within("/x", "/"));
}

static void joining_and_making_absolute(void **state)
{
    (void)state;
    auto_free char *j = path_join("a/", "/b");
    assert_string_equal(j, "a/b");
    auto_free char *e = path_join("", "b");
    assert_string_equal(e, "b");
    auto_free char *a = path_absolute("../x", "/home/u");
    assert_string_equal(a, "/home/u/../x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_paths),
        cmocka_unit_test(cleaning_never_leaves_the_root),
        cmocka_unit_test(within_compares_components_not_letters),
        cmocka_unit_test(joining_and_making_absolute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
