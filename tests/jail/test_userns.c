/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "jail/jail.h"

static void the_largest_range_of_the_user_is_found(void **state)
{
    (void)state;
    struct userns_range r = { 1, 1 };
    static const char text[] = "other:1:999999\nann:100000:65536\nann:300000:70000\nann:500000:10\n"
                               "1000:600000:69999\n";
    assert_true(userns_range_find(text, "ann", 1000, &r));
    assert_int_equal(r.start, 300000);
    assert_int_equal(r.count, 70000);
    assert_true(userns_range_find(text, NULL, 1000, &r)); /* by number alone */
    assert_int_equal(r.start, 600000);
    assert_int_equal(r.count, 69999);
    r = (struct userns_range){ 1, 1 };
    assert_false(userns_range_find(text, "bob", 1001, &r));
    assert_false(userns_range_find("", "ann", 1000, &r));
    assert_int_equal(r.start, 1);
}

static void lines_that_are_none_are_passed_over(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "ann",
        "ann:1",
        "ann:x:65536",
        "ann:1:x",
        "ann:1:4294967295",
        "ann:4294967295:1",
        "ann:-1:5",
        ":1:5",
        "anna:1:5",
        "ann:4294967290:10",
        "ann:1:5:6",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct userns_range r;
        if (userns_range_find(bad[i], "ann", 1000, &r))
            fail_msg("accepted: '%s'", bad[i]);
    }
    struct userns_range r;
    assert_true(userns_range_find("ann:1:4294967293", "ann", 1000, &r));
}

/* Who owns the directory stands for the host's uid 0, as it owns /proc. */
static void who_is_uid_0_on_the_host_is_told_by_an_owner(void **state)
{
    (void)state;
    auto_close int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char dir[] = "/tmp/hpcc-test-owner.XXXXXX";
    assert_non_null(mkdtemp(dir));
    auto_close int own = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(userns_is_host_root(own));
    assert_int_equal(userns_is_host_root(proc), geteuid() == 0);
    assert_true(userns_is_host_root(-1)); /* what cannot be known is sealed */
    if (geteuid() == 0) {
        assert_int_equal(chown(dir, 12345, 12345), 0);
        assert_false(userns_is_host_root(own));
    }
    rmdir(dir);
}

static int in_namespace_of(uid_t outside, uid_t inside)
{
    if (outside &&
        (setresgid(outside, outside, outside) < 0 || setresuid(outside, outside, outside)))
        return 77;
    prctl(PR_SET_DUMPABLE, 1); /* else its /proc files stay root's */
    const struct userns_ids out = { geteuid(), getegid() }, in = { inside, inside };
    if (ns_unshare(CLONE_NEWUSER) < 0)
        return 77;
    if (userns_map_single(out, in, -1, NULL) < 0 || geteuid() != inside || getegid() != inside)
        return 2;
    auto_close int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return userns_is_host_root(proc);
}

static void in_namespaces_it_is_still_the_host_s_uid_that_counts(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    static const struct {
        uid_t outside, inside;
        bool root;
    } cases[] = { { 0, 0, true }, { 0, 1000, true }, { 12345, 0, false }, { 12345, 12345, false } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(in_namespace_of(cases[i].outside, cases[i].inside));
        int status = -1;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) != 77)
            assert_int_equal(WEXITSTATUS(status), cases[i].root);
    }
}

static void a_refusal_names_its_cure(void **state)
{
    (void)state;
    static const int codes[] = { EPERM, ENOSPC, EUSERS, EINVAL };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        auto_err struct err e = { 0 };
        assert_int_equal(userns_refused(codes[i], &e), -1);
        assert_int_equal(e.code, ERR_HOST);
        assert_int_equal(e.sys, codes[i]);
        assert_non_null(e.hint);
    }
    auto_err struct err e = { 0 };
    assert_int_equal(userns_refused(ENOSPC, &e), -1);
    assert_non_null(strstr(e.hint, "max_user_namespaces"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_range_of_the_user_is_found),
        cmocka_unit_test(lines_that_are_none_are_passed_over),
        cmocka_unit_test(who_is_uid_0_on_the_host_is_told_by_an_owner),
        cmocka_unit_test(in_namespaces_it_is_still_the_host_s_uid_that_counts),
        cmocka_unit_test(a_refusal_names_its_cure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
