/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/place_case.h"

/* ── hidden names ── */

static void hidden_names_differ_each_time(void **state)
{
    (void)state;
    auto_place struct place p = PLACE_INIT;
    opens("d/img", &p);
    auto_free char *a = place_temp_name(&p, "new");
    auto_free char *b = place_temp_name(&p, "new");
    assert_true(str_starts(a, ".img.hpcc-new-"));
    assert_int_equal(strlen(a), strlen(".img.hpcc-new-") + 16);
    assert_string_not_equal(a, b);
    paper.no_random = true;
    auto_free char *c = place_temp_name(&p, "new");
    auto_free char *want = mem_printf(".img.hpcc-new-%016x", (unsigned)getpid());
    assert_string_equal(c, want);
}

static void a_sweep_takes_what_is_ours_and_dead(void **state)
{
    (void)state;
    auto_place struct place p = PLACE_INIT;
    opens("d/img", &p);
    put("d/.img.hpcc-new-1", "dead");
    put("d/.img.hpcc-new-2", "alive");
    put("d/.img.hpcc-old-1", "another kind");
    put("d/.image.hpcc-new-1", "another's");
    assert_int_equal(mkdir("d/.img.hpcc-new-3", 0700), 0);
    put("d/.img.hpcc-new-3/x", "in it");
    assert_int_equal(symlink("e", "d/.img.hpcc-new-4"), 0);
    assert_int_equal(mkfifo("d/.img.hpcc-new-5", 0600), 0);
    auto_close int fd = open("d/.img.hpcc-new-2", O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    paper.me = (uid_t)syscall(SYS_geteuid) + 1;
    place_sweep(&p);
    assert_int_equal(access("d/.img.hpcc-new-1", F_OK), 0);
    paper.me = (uid_t)-1;
    place_sweep(&p);
    assert_int_equal(access("d/.img.hpcc-new-1", F_OK), -1);
    assert_int_equal(access("d/.img.hpcc-new-2", F_OK), 0);
    assert_int_equal(access("d/.img.hpcc-new-3", F_OK), -1);
    assert_int_equal(access("d/.img.hpcc-old-1", F_OK), 0);
    assert_int_equal(access("d/.image.hpcc-new-1", F_OK), 0);
    assert_int_equal(ino_of("d/.img.hpcc-new-4") != 0, 1);
    assert_int_equal(access("d/.img.hpcc-new-5", F_OK), 0);
    assert_int_equal(access("d/img", F_OK), 0);
}

static void a_sweep_tells_who_is_at_work(void **state)
{
    (void)state;
    auto_place struct place p = PLACE_INIT;
    opens("d/img", &p);
    assert_int_equal(mkdir("d/.img.hpcc-stage-1", 0700), 0);
    assert_int_equal(mkdir("d/.img.hpcc-stage-mine", 0700), 0);
    assert_int_equal(mkdir("d/.img.hpcc-stage-", 0700), 0);
    assert_int_equal(mkdir("d/.img.hpcc-changes-2", 0755), 0);
    auto_close int fd = open("d/.img.hpcc-stage-1", O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    auto_free char *busy = place_sweep_but(&p, NULL);
    assert_string_equal(busy, ".img.hpcc-stage-1");
    assert_null(place_sweep_but(&p, ".img.hpcc-stage-1"));
    assert_int_equal(flock(fd, LOCK_UN), 0);
    assert_null(place_sweep_but(&p, NULL));
    assert_int_equal(access("d/.img.hpcc-stage-1", F_OK), -1);
    assert_int_equal(access("d/.img.hpcc-stage-mine", F_OK), 0);
    assert_int_equal(access("d/.img.hpcc-stage-", F_OK), 0);
    assert_int_equal(access("d/.img.hpcc-changes-2", F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hidden_names_differ_each_time),
        TEST(a_sweep_takes_what_is_ours_and_dead),
        TEST(a_sweep_tells_who_is_at_work),
    };
    paper.me = (uid_t)-1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
