/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "jail/jail.h"

/* The bytes of a message with an error, a hint and a result of LEN bytes. */
static void make_message(struct str *out, size_t len)
{
    auto_err struct err e = { 0 };
    auto_str struct str result = { 0 };
    int ends[2];
    err_set(&e, ERR_INPUT, "what went wrong");
    err_hint(&e, "and its cure");
    for (size_t i = 0; i < len; i++)
        str_add_c(&result, 'r');
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(wire_send(ends[1], &e, &result), 0);
    close(ends[1]);
    assert_int_equal(fs_read_fd(ends[0], 1 << 20, out, NULL), 0);
    close(ends[0]);
}

/* What the receiver says of BYTES that come in pieces of STEP while the pipe stays open, or not. */
static int receive(const struct str *bytes, size_t step, bool stays_open, struct err *from,
                   struct str *result)
{
    int ends[2], status;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t writer = fork();
    if (writer == 0) {
        for (size_t at = 0; at < bytes->len; at += step) {
            size_t n = bytes->len - at < step ? bytes->len - at : step;
            if (fs_write_full(ends[1], bytes->data + at, n) < 0)
                _exit(1);
            usleep(500);
        }
        _exit(0);
    }
    if (!stays_open)
        close(ends[1]);
    int rc = wire_receive(ends[0], from, result);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    if (stays_open)
        close(ends[1]);
    close(ends[0]);
    return rc;
}

static void a_message_is_complete_without_the_end_of_the_pipe(void **state)
{
    (void)state;
    auto_err struct err from = { 0 };
    auto_str struct str bytes = { 0 };
    auto_str struct str result = { 0 };
    make_message(&bytes, 700);
    static const size_t steps[] = { 9, 1000, 1 << 20 };
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        str_reset(&result);
        assert_int_equal(receive(&bytes, steps[i], true, &from, &result), 1);
        assert_int_equal(from.code, ERR_INPUT);
        assert_string_equal(from.msg, "what went wrong");
        assert_string_equal(from.hint, "and its cure");
        assert_int_equal(result.len, 700);
    }
}

static void what_is_cut_off_or_not_ours_is_no_message(void **state)
{
    (void)state;
    auto_str struct str bytes = { 0 };
    make_message(&bytes, 10);
    assert_int_equal(receive(&(struct str){ 0 }, 1, false, NULL, NULL), 0);
    for (size_t len = 1; len < bytes.len; len += 9) {
        struct str part = { .data = bytes.data, .len = len };
        assert_int_equal(receive(&part, 1 << 20, false, NULL, NULL), -1);
    }
    bytes.data[0] ^= 1;
    assert_int_equal(receive(&bytes, 1 << 20, false, NULL, NULL), -1);
    bytes.data[0] ^= 1;
    str_add(&bytes, "more"); /* one message and not another one */
    assert_int_equal(receive(&bytes, 1 << 20, false, NULL, NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_complete_without_the_end_of_the_pipe),
        cmocka_unit_test(what_is_cut_off_or_not_ours_is_no_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
