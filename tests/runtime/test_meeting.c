/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "runtime/meeting.h"

static char *make_place(void)
{
    char *path = mem_strdup("/tmp/hpcc-meeting.XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static void remove_place(const char *path)
{
    auto_free char *inner = mem_printf("%s/hpcc", path);
    (void)unlink(inner);
    (void)rmdir(inner);
    assert_int_equal(rmdir(path), 0);
}

/* Whether the meeting place is PATH/hpcc, and not one of those that come after. */
static bool is_taken(const char *path)
{
    struct stat a, b;
    auto_free char *inner = mem_printf("%s/hpcc", path);
    auto_close int fd = meeting_open(path, geteuid());
    return fd >= 0 && fstat(fd, &a) == 0 && stat(inner, &b) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

static void a_directory_of_ones_own_is_taken_and_closed_to_others(void **state)
{
    struct stat st;
    auto_free char *path = make_place();
    (void)state;
    assert_true(is_taken(path));
    auto_free char *inner = mem_printf("%s/hpcc", path);
    assert_int_equal(stat(inner, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_true(is_taken(path));
    remove_place(path);
}

static void a_directory_that_others_may_enter_is_not_taken(void **state)
{
    auto_free char *path = make_place();
    (void)state;
    assert_int_equal(chmod(path, 0710), 0);
    assert_false(is_taken(path));
    assert_int_equal(chmod(path, 0700), 0);
    auto_free char *inner = mem_printf("%s/hpcc", path);
    assert_int_equal(mkdir(inner, 0700), 0);
    assert_int_equal(chmod(inner, 0755), 0);
    assert_false(is_taken(path));
    remove_place(path);
}

static void a_link_is_not_taken(void **state)
{
    auto_free char *path = make_place(), *other = make_place();
    auto_free char *inner = mem_printf("%s/hpcc", path);
    (void)state;
    assert_int_equal(symlink(other, inner), 0);
    assert_false(is_taken(path));
    remove_place(path);
    remove_place(other);
}

static void another_users_directory_is_not_taken(void **state)
{
    auto_free char *path = make_place();
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_false(is_taken(path));
    remove_place(path);
}

static void one_listens_and_others_find_him(void **state)
{
    int one = -1, two = -1, asks = -1;
    auto_free char *path = make_place();
    auto_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)state;
    assert_int_equal(meeting_ask(dir, "name", &asks), MEETING_NOBODY);
    assert_int_equal(meeting_listen(dir, "name", &one), MEETING_READY);
    assert_int_equal(meeting_ask(dir, "name", &asks), MEETING_READY);
    assert_int_not_equal(fcntl(asks, F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(meeting_listen(dir, "name", &two), MEETING_BUSY);
    assert_int_equal(two, -1);
    close(asks);
    close(one);
    assert_int_equal(meeting_ask(dir, "name", &asks), MEETING_NOBODY);
    assert_int_equal(unlinkat(dir, "name", 0), 0);
    remove_place(path);
}

static void what_a_killed_run_left_is_swept_and_what_lives_stays(void **state)
{
    int dead = -1, alive = -1, own = -1, asks = -1;
    auto_free char *path = make_place();
    auto_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)state;
    assert_int_equal(meeting_listen(dir, "alive", &alive), MEETING_READY);
    assert_int_equal(meeting_listen(dir, "dead", &dead), MEETING_READY);
    close(dead);
    auto_close int again = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(meeting_listen(again, "own", &own), MEETING_READY);
    assert_int_equal(faccessat(dir, "dead", F_OK, 0), -1);
    assert_int_equal(meeting_ask(dir, "alive", &asks), MEETING_READY);
    close(asks);
    close(alive);
    close(own);
    assert_int_equal(unlinkat(dir, "alive", 0), 0);
    assert_int_equal(unlinkat(dir, "own", 0), 0);
    remove_place(path);
}

static void nobody_waits_for_who_holds_the_directory(void **state)
{
    int fd = -1;
    auto_free char *path = make_place();
    auto_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_close int other = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)state;
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_int_equal(meeting_listen(dir, "name", &fd), MEETING_BUSY);
    assert_int_equal(flock(other, LOCK_UN), 0);
    assert_int_equal(meeting_listen(dir, "name", &fd), MEETING_READY);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    close(fd);
    assert_int_equal(unlinkat(dir, "name", 0), 0);
    remove_place(path);
}

static void a_full_queue_is_not_waited_for(void **state)
{
    int queue[64], n = 0;
    enum meeting rc = MEETING_READY;
    auto_free char *path = make_place();
    auto_close int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_close int fd = -1;
    (void)state;
    assert_int_equal(meeting_listen(dir, "name", &fd), MEETING_READY);
    assert_int_equal(listen(fd, 1), 0);
    while (n < 64 && (rc = meeting_ask(dir, "name", &queue[n])) == MEETING_READY)
        n++;
    assert_int_equal(rc, MEETING_BUSY);
    while (n > 0)
        close(queue[--n]);
    assert_int_equal(unlinkat(dir, "name", 0), 0);
    remove_place(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_of_ones_own_is_taken_and_closed_to_others),
        cmocka_unit_test(a_directory_that_others_may_enter_is_not_taken),
        cmocka_unit_test(a_link_is_not_taken),
        cmocka_unit_test(another_users_directory_is_not_taken),
        cmocka_unit_test(one_listens_and_others_find_him),
        cmocka_unit_test(what_a_killed_run_left_is_swept_and_what_lives_stays),
        cmocka_unit_test(nobody_waits_for_who_holds_the_directory),
        cmocka_unit_test(a_full_queue_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
