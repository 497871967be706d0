/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/out.h"

#include <string.h>

#include "base/mem.h"
#include "tests/base/test.h"

static void a_bar_tells_stage_share_rate_and_time_left(void **state)
{
    (void)state;
    struct progress_event ev = {
        .stage = "fetch",
        .detail = "a.deb",
        .unit = PROGRESS_BYTES,
        .done = 50000000,
        .total = 200000000,
    };
    auto_free char *text = out_bar_text(&ev, 10000, 120);
    assert_non_null(strstr(text, "fetch"));
    assert_non_null(strstr(text, "[#####...............]  25%"));
    assert_non_null(strstr(text, "5.0 MB/s"));
    assert_non_null(strstr(text, "0:30 left"));
    assert_non_null(strstr(text, "a.deb"));
}

static void a_bar_never_exceeds_the_terminal(void **state)
{
    (void)state;
    struct progress_event ev = {
        .stage = "fetch",
        .detail = "ääääääääääääääääääääääääääääääääääääääääääääääääääääääääääääää",
        .unit = PROGRESS_ITEMS,
        .done = 1,
        .total = 3,
    };
    for (unsigned width = 2; width < 100; width++) {
        auto_free char *text = out_bar_text(&ev, 0, width);
        assert_true(strlen(text) < width);
    }
}

static void hostile_details_do_not_reach_the_terminal_raw(void **state)
{
    (void)state;
    struct progress_event ev = { .stage = "unpack", .detail = "x\033]0;owned\a\ny\r" };
    auto_free char *text = out_bar_text(&ev, 0, 120);
    assert_null(strchr(text, '\033'));
    assert_null(strchr(text, '\a'));
    assert_null(strchr(text, '\n'));
    assert_null(strchr(text, '\r'));
}

static void more_done_than_planned_is_a_full_bar(void **state)
{
    (void)state;
    struct progress_event ev = { .stage = "x", .unit = PROGRESS_ITEMS, .done = 7, .total = 5 };
    auto_free char *text = out_bar_text(&ev, 5000, 120);
    assert_non_null(strstr(text, "100%"));
    assert_null(strstr(text, "left"));
}

static void exit_codes_are_those_of_the_error_or_of_a_passed_status(void **state)
{
    (void)state;
    struct err input = { .code = ERR_INPUT };
    struct err missing = { .code = ERR_FAILED, .status = 127 };
    struct err interrupted = { .code = ERR_FAILED, .sys = EINTR, .status = 130 };
    struct err killed_child = { .code = ERR_STEP, .status = 137 };
    struct err wordless = { 0 };
    assert_int_equal(out_exit_code(&input, false), 3);
    assert_int_equal(out_exit_code(&input, true), 125);
    assert_int_equal(out_exit_code(&missing, true), 127);
    assert_int_equal(out_exit_code(&missing, false), 1);
    assert_int_equal(out_exit_code(&interrupted, false), 130);
    assert_int_equal(out_exit_code(&killed_child, false), 5);
    assert_int_equal(out_exit_code(&wordless, false), 70);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bar_tells_stage_share_rate_and_time_left),
        cmocka_unit_test(a_bar_never_exceeds_the_terminal),
        cmocka_unit_test(hostile_details_do_not_reach_the_terminal_raw),
        cmocka_unit_test(more_done_than_planned_is_a_full_bar),
        cmocka_unit_test(exit_codes_are_those_of_the_error_or_of_a_passed_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
