/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include "base/err.h"

static void the_message_is_formatted_and_the_code_kept(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    assert_int_equal(err_set(&e, ERR_INPUT, "no '%s'", "x"), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.msg, "no 'x'");
    assert_null(e.hint);
}

static void errno_is_told_in_words_and_kept(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    errno = ENOENT;
    assert_int_equal(err_sys(&e, "cannot open '%s'", "y"), -1);
    assert_string_equal(e.msg, "cannot open 'y': No such file or directory");
    assert_int_equal(e.sys, ENOENT);
    assert_int_equal(errno, ENOENT);
}

static void wrapping_puts_the_callers_words_first(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    err_at(&e, "x.def", 12, "bad");
    err_hint(&e, "type %d", 5);
    err_wrap(&e, "image '%s'", "i");
    assert_string_equal(e.msg, "image 'i': x.def:12: bad");
    assert_string_equal(e.hint, "type 5");
    assert_int_equal(e.code, ERR_INPUT);
}

static void setting_again_drops_the_old_hint(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    err_set(&e, ERR_FAILED, "a");
    err_hint(&e, "h");
    err_set(&e, ERR_HOST, "b");
    assert_string_equal(e.msg, "b");
    assert_null(e.hint);
}

static void no_error_struct_is_fine_everywhere(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_FAILED, "a"), -1);
    assert_int_equal(err_sys(NULL, "a"), -1);
    assert_int_equal(err_wrap(NULL, "a"), -1);
    assert_int_equal(err_hint(NULL, "a"), -1);
    assert_int_equal(err_code_set(NULL, ERR_BUG), -1);
    struct err from = { 0 };
    err_set(&from, ERR_FAILED, "x");
    assert_int_equal(err_move(NULL, &from), -1);
    assert_null(from.msg);
}

static void moving_leaves_the_source_empty(void **state)
{
    (void)state;
    struct err from = { 0 };
    auto_err struct err to = { 0 };
    err_set(&to, ERR_USAGE, "old");
    err_set(&from, ERR_STEP, "new");
    err_move(&to, &from);
    assert_string_equal(to.msg, "new");
    assert_int_equal(to.code, ERR_STEP);
    assert_null(from.msg);
    assert_int_equal(from.code, ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_message_is_formatted_and_the_code_kept),
        cmocka_unit_test(errno_is_told_in_words_and_kept),
        cmocka_unit_test(wrapping_puts_the_callers_words_first),
        cmocka_unit_test(setting_again_drops_the_old_hint),
        cmocka_unit_test(no_error_struct_is_fine_everywhere),
        cmocka_unit_test(moving_leaves_the_source_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
