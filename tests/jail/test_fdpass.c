/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "jail/jail.h"

static int ends[2];

static int set_up(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int tear_down(void **state)
{
    (void)state;
    close(ends[0]);
    return ends[1] < 0 ? 0 : close(ends[1]);
}

static void descriptors_arrive_close_on_exec(void **state)
{
    (void)state;
    int pipe_fds[2], got[2] = { -1, -1 };
    char c = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(fdpass_send(ends[0], 'a', pipe_fds, 2), 0);
    assert_int_equal(fdpass_receive(ends[1], 'a', got, 2), 0);
    assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(got[1], "x", 1), 1);
    assert_int_equal(read(pipe_fds[0], &c, 1), 1);
    assert_int_equal(c, 'x');
    for (int i = 0; i < 2; i++) {
        close(got[i]);
        close(pipe_fds[i]);
    }
}

static void another_word_or_number_is_closed_and_refused(void **state)
{
    (void)state;
    static const struct {
        char what;
        size_t n;
    } sent[] = { { 'b', 1 }, { 'a', 2 }, { 'a', FDPASS_MAX } };
    const int fds[FDPASS_MAX] = { 0, 1, 2, 0 };
    int next = dup(0);
    close(next);
    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++) {
        int got = 7;
        assert_int_equal(fdpass_send(ends[0], sent[i].what, fds, sent[i].n), 0);
        assert_int_equal(fdpass_receive(ends[1], 'a', &got, 1), -1);
        assert_int_equal(errno, EPROTO);
        assert_int_equal(got, -1);
        assert_int_equal(fcntl(next, F_GETFD), -1); /* nothing stays open */
    }
}

static void an_end_that_is_gone_is_told(void **state)
{
    (void)state;
    int fd = 0, got = 7;
    close(ends[1]);
    ends[1] = -1;
    assert_int_equal(fdpass_send(ends[0], 'a', &fd, 1), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(fdpass_receive(ends[0], 'a', &got, 1), -1);
    assert_int_equal(got, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(descriptors_arrive_close_on_exec, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_word_or_number_is_closed_and_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_end_that_is_gone_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
