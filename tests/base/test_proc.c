/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <signal.h>

#include "base/proc.h"
#include "base/strv.h"

static void keep_line(void *ctx, const char *line)
{
    strv_add(ctx, line);
}

/* LINES (may be NULL) gets what it prints. */
static struct proc_spec spec_for(const char *const *argv, struct strv *lines)
{
    return (struct proc_spec){ .argv = argv,
                               .stdin_fd = -1,
                               .stdout_fd = -1,
                               .stderr_fd = -1,
                               .on_line = lines ? keep_line : NULL,
                               .ctx = lines };
}

static void output_comes_line_by_line(void **state)
{
    (void)state;
    auto_strv struct strv lines = { 0 };
    auto_err struct err e = { 0 };
    const char *const argv[] = { "sh", "-c", "echo a; echo b >&2; printf c", NULL };
    const struct proc_spec spec = spec_for(argv, &lines);
    assert_int_equal(proc_run(&spec, NULL, &e), 0);
    assert_int_equal(lines.n, 3);
    assert_string_equal(lines.v[0], "a");
    assert_string_equal(lines.v[1], "b");
    assert_string_equal(lines.v[2], "c");
}

static void status_and_signals_are_told_apart(void **state)
{
    (void)state;
    int status = -1;
    const char *const seven[] = { "sh", "-c", "exit 7", NULL };
    const char *const killed[] = { "sh", "-c", "kill -9 $$", NULL };
    struct proc_spec spec = spec_for(seven, NULL);
    assert_int_equal(proc_run(&spec, &status, NULL), 0);
    assert_int_equal(status, 7);
    spec.argv = killed;
    assert_int_equal(proc_run(&spec, &status, NULL), 0);
    assert_int_equal(status, 128 + SIGKILL);
    auto_err struct err e = { 0 };
    assert_int_equal(proc_run(&spec, NULL, &e), -1);
    assert_int_equal(e.status, 137);
}

static void a_missing_program_is_the_hosts_fault(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    const char *const argv[] = { "no-such-program-here", NULL };
    struct proc_spec spec = spec_for(argv, NULL);
    assert_int_equal(proc_run(&spec, NULL, &e), -1);
    assert_int_equal(e.code, ERR_HOST);
    const char *const gone[] = { "/no/such/program", NULL };
    spec.argv = gone;
    assert_int_equal(proc_run(&spec, NULL, &e), -1);
    assert_int_equal(e.sys, ENOENT);
}

static void the_environment_is_fixed_and_stdin_empty(void **state)
{
    (void)state;
    auto_strv struct strv lines = { 0 };
    setenv("HPCC_TEST_LEAK", "1", 1);
    const char *const argv[] = { "sh", "-c", "cat; echo ${HPCC_TEST_LEAK-none} $HOME", NULL };
    const struct proc_spec spec = spec_for(argv, &lines);
    assert_int_equal(proc_run(&spec, NULL, NULL), 0);
    assert_int_equal(lines.n, 1);
    assert_string_equal(lines.v[0], "none /nonexistent");
}

static void a_time_limit_stops_the_child(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    const char *const argv[] = { "sleep", "60", NULL };
    struct proc_spec spec = spec_for(argv, NULL);
    spec.timeout_ms = 100;
    assert_int_equal(proc_run(&spec, NULL, &e), -1);
    assert_non_null(strstr(e.msg, "took longer"));
}

static void our_descriptors_stay_at_home(void **state)
{
    (void)state;
    auto_strv struct strv lines = { 0 };
    const char *const argv[] = { "sh", "-c", "ls /proc/self/fd | wc -l", NULL };
    const struct proc_spec spec = spec_for(argv, &lines);
    assert_int_equal(proc_run(&spec, NULL, NULL), 0);
    assert_string_equal(lines.v[0], "4"); /* 0, 1, 2 and the directory that ls reads */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_comes_line_by_line),
        cmocka_unit_test(status_and_signals_are_told_apart),
        cmocka_unit_test(a_missing_program_is_the_hosts_fault),
        cmocka_unit_test(the_environment_is_fixed_and_stdin_empty),
        cmocka_unit_test(a_time_limit_stops_the_child),
        cmocka_unit_test(our_descriptors_stay_at_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
