/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/operand.h"

#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"
#include "tests/base/test.h"

static void image_and_path_part_at_the_first_colon_slash(void **state)
{
    (void)state;
    static const struct {
        const char *arg, *image, *path;
    } cases[] = {
        { "a.img", "a.img", NULL },         { "a.img:/etc", "a.img", "/etc" },
        { "a.img:/", "a.img", "/" },        { "dir/a.img:/x:/y", "dir/a.img", "/x:/y" },
        { "a.img:etc", "a.img:etc", NULL }, /* as scp: only an absolute path is one */
        { ":/etc", ":/etc", NULL },         { "a:b.img:/x", "a:b.img", "/x" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_operand struct operand p = { 0 };
        operand_parse(cases[i].arg, &p);
        assert_string_equal(p.image, cases[i].image);
        assert_true(str_eq(p.path, cases[i].path));
    }
}

static void path_may_be_a_word_of_its_own_but_not_twice(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_operand struct operand p = { 0 };
    assert_int_equal(operand_parse_words("a.img", "etc/x", &p, &e), 0);
    assert_string_equal(p.image, "a.img");
    assert_string_equal(p.path, "/etc/x");
    auto_operand struct operand q = { 0 };
    assert_int_equal(operand_parse_words("a.img:/etc", "/x", &q, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
}

static void a_file_that_is_called_so_is_an_image(void **state)
{
    (void)state;
    char dir[] = "/tmp/hpcc-test-place-XXXXXX";
    assert_non_null(mkdtemp(dir));
    auto_free char *odd = mem_printf("%s/x:", dir), *arg = mem_printf("%s/y", odd);
    assert_int_equal(mkdir(odd, 0700), 0);
    assert_int_equal(mkdir(arg, 0700), 0);
    auto_operand struct operand p = { 0 };
    operand_parse(arg, &p);
    assert_string_equal(p.image, arg);
    assert_null(p.path);
    assert_int_equal(rmdir(arg), 0);
    assert_int_equal(rmdir(odd), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_and_path_part_at_the_first_colon_slash),
        cmocka_unit_test(path_may_be_a_word_of_its_own_but_not_twice),
        cmocka_unit_test(a_file_that_is_called_so_is_an_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
