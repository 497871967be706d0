/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>

#include "jail/jail.h"

enum { SOME = 300 }; /* more than are kept back at once */

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void what_is_spent_is_closed_and_nothing_between(void **state)
{
    (void)state;
    int fd[SOME];
    for (size_t i = 0; i < SOME; i++)
        assert_true((fd[i] = open("/dev/null", O_PATH | O_CLOEXEC)) >= 0);
    for (size_t i = SOME; i--;) /* backwards, and every fifth one is kept */
        fds_spend(i % 5 ? fd[i] : -1);
    errno = 77;
    fds_close_spent();
    assert_int_equal(errno, 77);
    for (size_t i = 0; i < SOME; i++)
        assert_int_equal(is_open(fd[i]), i % 5 == 0);
    for (size_t i = 0; i < SOME; i += 5)
        close(fd[i]);
    fds_close_spent(); /* nothing is left to do */
}

static void what_was_closed_is_not_closed_again(void **state)
{
    (void)state;
    int fd = open("/dev/null", O_PATH | O_CLOEXEC);
    fds_spend(fd);
    fds_close_spent();
    auto_close int again = open("/dev/null", O_PATH | O_CLOEXEC);
    assert_int_equal(again, fd);
    fds_close_spent();
    assert_true(is_open(again));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_spent_is_closed_and_nothing_between),
        cmocka_unit_test(what_was_closed_is_not_closed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
