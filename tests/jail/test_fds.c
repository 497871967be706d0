/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
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

static void in_child(int (*check)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(check());
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static bool passes(int fd)
{
    return !(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

/* Returns the line that failed. */
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            return __LINE__ & 0xff;                                                                \
    } while (0)

static int restrict_some(void)
{
    int ends[2], pair[2], kept[2];
    auto_strv struct strv keep = { 0 };
    CHECK(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(kept) == 0);
    int regular = open("/proc/self/exe", O_RDONLY);
    int dir = open("/", O_RDONLY | O_DIRECTORY);
    int path = open("/proc/self/exe", O_PATH);
    int device = open("/dev/null", O_RDWR);
    int handle = open("/proc/self/status", O_RDONLY);
    CHECK(regular > 2 && dir > 2 && path > 2 && device > 2 && handle > 2);
    CHECK(fds_restrict(false, &keep, NULL) == 0);
    CHECK(passes(ends[0]) && passes(ends[1]) && passes(pair[0]) && passes(regular));
    CHECK(!passes(dir) && !passes(path) && !passes(device) && !passes(handle));
    strv_addf(&keep, "%d", kept[0]);
    CHECK(fds_restrict(true, &keep, NULL) == 0);
    CHECK(passes(kept[0]) && !passes(kept[1]) && !passes(ends[0]) && !passes(regular));
    CHECK(passes(0) && passes(1) && passes(2));
    return 0;
}

static void what_leads_out_of_a_container_does_not_pass(void **state)
{
    (void)state;
    in_child(restrict_some);
}

static int replace_streams(void)
{
    auto_strv struct strv keep = { 0 };
    struct stat st;
    int dir = open("/", O_RDONLY | O_DIRECTORY);
    CHECK(dup2(dir, 0) == 0);
    CHECK(fds_restrict(false, &keep, NULL) == 0);
    CHECK(fstat(0, &st) == 0 && S_ISCHR(st.st_mode) && passes(0));
    return 0;
}

static void a_directory_on_a_stream_becomes_dev_null(void **state)
{
    (void)state;
    in_child(replace_streams);
}

static void what_is_kept_must_be_open_and_a_number(void **state)
{
    (void)state;
    static const char *const bad[] = { "x", "-1", "1000", " 1", "" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_err struct err e = { 0 };
        auto_strv struct strv keep = { 0 };
        strv_add(&keep, bad[i]);
        assert_int_equal(fds_restrict(false, &keep, &e), -1);
        assert_int_equal(e.code, ERR_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_spent_is_closed_and_nothing_between),
        cmocka_unit_test(what_was_closed_is_not_closed_again),
        cmocka_unit_test(what_leads_out_of_a_container_does_not_pass),
        cmocka_unit_test(a_directory_on_a_stream_becomes_dev_null),
        cmocka_unit_test(what_is_kept_must_be_open_and_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
