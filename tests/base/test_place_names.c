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

static void a_hidden_directory_is_new_ours_and_locked(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_place struct place p = PLACE_INIT;
    auto_free char *name = NULL;
    struct stat st;
    opens("d/img", &p);
    paper.n_taken = 7;
    auto_close int fd = place_mkdir(&p, "stage", &name, &e);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    auto_free char *path = path_join("d", name);
    assert_int_equal(ino_of(path), st.st_ino);
    auto_close int again = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(again, LOCK_EX | LOCK_NB), -1);
    paper.n_taken = 8;
    auto_free char *none = NULL;
    assert_int_equal(place_mkdir(&p, "stage", &none, &e), -1);
    assert_int_equal(e.sys, EEXIST);
    assert_null(none);
    place_close(&p);
    assert_int_equal(place_mkdir(&p, "stage", &none, &e), -1);
    assert_int_equal(e.sys, EBADF);
}

static void open_it(int dir_fd, const char *name)
{
    assert_int_equal(fchmodat(dir_fd, name, 0750, 0), 0);
}

static void lie_about_it(int dir_fd, const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(dir_fd, name, &st, 0), 0);
    paper.ino = st.st_ino;
    paper.owner = geteuid() + 1;
}

static void link_it(int dir_fd, const char *name)
{
    assert_int_equal(unlinkat(dir_fd, name, AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("e", dir_fd, name), 0);
}

static void lock_it(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* until the test ends */
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    paper.made = NULL;
}

static void a_directory_that_was_exchanged_is_not_accepted(void **state)
{
    (void)state;
    static void (*const tricks[])(int, const char *) = { open_it, lie_about_it, link_it };
    auto_place struct place p = PLACE_INIT;
    opens("d/img", &p);
    for (size_t i = 0; i < ARRAY_LEN(tricks); i++) {
        auto_err struct err e = { 0 };
        auto_free char *name = NULL;
        paper.made = tricks[i];
        assert_int_equal(place_mkdir(&p, "stage", &name, &e), -1);
        assert_int_equal(e.code, ERR_FAILED);
        assert_null(name);
    }
    auto_err struct err e = { 0 };
    auto_free char *name = NULL;
    paper.made = lock_it; /* a sweep has it: the next name is ours */
    auto_close int fd = place_mkdir(&p, "stage", &name, &e);
    assert_true(fd >= 0);
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
    place_sweep(&p, "new");
    assert_int_equal(access("d/.img.hpcc-new-1", F_OK), 0);
    paper.me = (uid_t)-1;
    place_sweep(&p, "new");
    assert_int_equal(access("d/.img.hpcc-new-1", F_OK), -1);
    assert_int_equal(access("d/.img.hpcc-new-2", F_OK), 0);
    assert_int_equal(access("d/.img.hpcc-new-3", F_OK), -1);
    assert_int_equal(access("d/.img.hpcc-old-1", F_OK), 0);
    assert_int_equal(access("d/.image.hpcc-new-1", F_OK), 0);
    assert_int_equal(ino_of("d/.img.hpcc-new-4") != 0, 1);
    assert_int_equal(access("d/.img.hpcc-new-5", F_OK), 0);
    assert_int_equal(access("d/img", F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hidden_names_differ_each_time),
        TEST(a_hidden_directory_is_new_ours_and_locked),
        TEST(a_directory_that_was_exchanged_is_not_accepted),
        TEST(a_sweep_takes_what_is_ours_and_dead),
    };
    paper.me = (uid_t)-1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
