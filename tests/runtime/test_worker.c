/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/proc.h"
#include "runtime/runtime.h"
#include "jail/jail.h"

/* Whether this host gives us a worker at all (a container in CI may not). */
static int no_main(void *ctx, struct str *result, struct err *e)
{
    (void)ctx;
    (void)result;
    (void)e;
    return 0;
}

static bool workers_work(void)
{
    auto_err struct err e = { 0 };
    struct runtime_worker_spec spec = { .main = no_main };
    return runtime_worker_run(&spec, NULL, &e) == 0;
}

static int who_am_i(void *ctx, struct str *result, struct err *e)
{
    (void)ctx;
    (void)e;
    str_addf(result, "uid %u gid %u pid %d", getuid(), getgid(), getpid());
    return 0;
}

static void the_worker_is_root_and_pid_1_in_its_own_view(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_str struct str result = { 0 };
    struct runtime_worker_spec spec = { .main = who_am_i };
    if (!workers_work())
        skip();
    assert_int_equal(runtime_worker_run(&spec, &result, &e), 0);
    assert_string_equal(str_text(&result), "uid 0 gid 0 pid 1");
}

static int fail_with_words(void *ctx, struct str *result, struct err *e)
{
    (void)ctx;
    (void)result;
    err_set(e, ERR_STEP, "x.def:7: '%s' failed", "make");
    err_hint(e, "look at the log");
    e->status = 2;
    return -1;
}

static void its_error_comes_home_whole(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    struct runtime_worker_spec spec = { .main = fail_with_words };
    if (!workers_work())
        skip();
    assert_int_equal(runtime_worker_run(&spec, NULL, &e), -1);
    assert_int_equal(e.code, ERR_STEP);
    assert_int_equal(e.status, 2);
    assert_string_equal(e.msg, "x.def:7: 'make' failed");
    assert_string_equal(e.hint, "look at the log");
}

static int big_result(void *ctx, struct str *result, struct err *e)
{
    (void)ctx;
    (void)e;
    for (int i = 0; i < 1 << 20; i++)
        str_add_c(result, (char)i);
    return 0;
}

static void a_result_larger_than_a_pipe_comes_home(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_str struct str result = { 0 };
    struct runtime_worker_spec spec = { .main = big_result };
    if (!workers_work())
        skip();
    assert_int_equal(runtime_worker_run(&spec, &result, &e), 0);
    assert_int_equal(result.len, 1 << 20);
    for (int i = 0; i < 1 << 20; i += 4093)
        assert_int_equal(result.data[i], (char)i);
}

static int kill_myself(void *ctx, struct str *result, struct err *e)
{
    (void)ctx;
    (void)result;
    (void)e;
    _exit(9);
}

static void a_worker_that_dies_without_a_word_is_an_error(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    struct runtime_worker_spec spec = { .main = kill_myself };
    if (!workers_work())
        skip();
    assert_int_equal(runtime_worker_run(&spec, NULL, &e), -1);
    assert_string_equal(e.msg, "the worker died before it was done (status 9)");
}

static int mount_something(void *ctx, struct str *result, struct err *e)
{
    const char *dir = ctx;
    (void)result;
    auto_free char *file = mem_printf("%s/inside", dir);
    if (mount("tmpfs", dir, "tmpfs", 0, NULL) < 0)
        return err_sys(e, "cannot mount");
    auto_close int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? err_sys(e, "cannot write") : 0;
}

static void remove_dir(void *ctx)
{
    rmdir(ctx);
}

static void its_mounts_stay_inside_and_cleanup_runs_without_them(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    char dir[] = "/tmp/hpcc-test-XXXXXX";
    struct runtime_worker_spec spec = { .main = mount_something,
                                        .cleanup = remove_dir,
                                        .ctx = dir };
    if (!workers_work())
        skip();
    assert_non_null(mkdtemp(dir));
    assert_int_equal(runtime_worker_run(&spec, NULL, &e), 0);
    assert_int_equal(access(dir, F_OK), -1);
}

struct doomed {
    char dir[64];
    int alive[2]; /* every process of the worker holds [1] */
};

static int sleep_long(void *ctx, struct str *result, struct err *e)
{
    struct doomed *d = ctx;
    (void)result;
    (void)e;
    for (int i = 0; i < 2; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            setsid();
            if (i == 0 && fork() != 0)
                _exit(0);
            sleep(600);
            _exit(0);
        }
    }
    char c = 's';
    if (write(d->alive[1], &c, 1) != 1)
        return -1;
    sleep(600);
    return 0;
}

static void cleanup_doomed(void *ctx)
{
    struct doomed *d = ctx;
    rmdir(d->dir);
}

/* Fork a caller, let its worker start, kill it with SIG; then nothing may be left. */
static void kill_the_caller(int sig, bool group)
{
    struct doomed d = { .dir = "/tmp/hpcc-test-XXXXXX" };
    assert_non_null(mkdtemp(d.dir));
    assert_int_equal(pipe2(d.alive, O_CLOEXEC), 0);
    pid_t caller = fork();
    if (caller == 0) {
        setpgid(0, 0);
        close(d.alive[0]);
        struct runtime_worker_spec spec = { .main = sleep_long,
                                            .cleanup = cleanup_doomed,
                                            .ctx = &d };
        _exit(runtime_worker_run(&spec, NULL, NULL) == 0 ? 0 : 1);
    }
    close(d.alive[1]);
    char c;
    assert_int_equal(read(d.alive[0], &c, 1), 1);
    assert_int_equal(kill(group ? -caller : caller, sig), 0);
    int status;
    assert_int_equal(waitpid(caller, &status, 0), caller);
    assert_true(WIFSIGNALED(status));
    struct pollfd pfd = { .fd = d.alive[0], .events = POLLIN };
    assert_int_equal(poll(&pfd, 1, 10000), 1);
    assert_int_equal(read(d.alive[0], &c, 1), 0);
    assert_int_equal(access(d.dir, F_OK), -1);
    close(d.alive[0]);
}

static void sigkill_of_the_caller_takes_everything_along_and_cleans_up(void **state)
{
    (void)state;
    if (!workers_work())
        skip();
    kill_the_caller(SIGKILL, false);
}

static void ctrl_c_and_a_killed_process_group_do_the_same(void **state)
{
    (void)state;
    if (!workers_work())
        skip();
    kill_the_caller(SIGINT, true);
    kill_the_caller(SIGKILL, true);
}

static void subid_lines_match_by_name_and_by_number(void **state)
{
    (void)state;
    struct userns_range r = { 0 };
    const char *text = "root:1:2\nana:100000:65536\n# junk\n1001:300000:10\nana:900000:70000\n"
                       "anatol:5:5\nbob:x:3\nbob:7\n";
    assert_true(userns_range_find(text, "ana", 1001, &r));
    assert_int_equal(r.start, 900000);
    assert_int_equal(r.count, 70000);
    assert_true(userns_range_find(text, NULL, 1001, &r));
    assert_int_equal(r.start, 300000);
    assert_false(userns_range_find(text, "bob", 7, &r));
    assert_false(userns_range_find("", "ana", 1, &r));
}

static void a_broken_message_is_refused(void **state)
{
    (void)state;
    int p[2];
    auto_err struct err e = { 0 };
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    assert_int_equal(write(p[1], "junk that is longer than the head of a real message", 51), 51);
    close(p[1]);
    assert_int_equal(wire_receive(p[0], &e, NULL), -1);
    close(p[0]);
}

/* ── a directory of its own ── */

struct own {
    struct runtime_own_dir dir;
    char top[64];
    bool prepared;
};

static int make_own(void *ctx, struct err *e)
{
    struct own *o = ctx;
    o->prepared = true;
    o->dir.fd = open(o->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return o->dir.fd < 0 ? err_sys(e, "no directory") : 0;
}

/* Somebody outside renames what leads to it, and lays another one in its place. */
static int look_into_own(void *ctx, struct str *result, struct err *e)
{
    struct own *o = ctx;
    struct stat by_path, by_fd;
    char gone[80], cwd[4096];
    snprintf(gone, sizeof gone, "%s.gone", o->top);
    if (rename(o->top, gone) < 0 || mkdir(o->top, 0700) < 0)
        return err_sys(e, "cannot rename it");
    if (stat(o->dir.path, &by_path) < 0 || fstat(o->dir.fd, &by_fd) < 0)
        return err_sys(e, "cannot look at it");
    bool same = by_path.st_ino == by_fd.st_ino && by_path.st_dev == by_fd.st_dev;
    bool marked = faccessat(o->dir.fd, "mark", F_OK, 0) == 0;
    cleanup_with(mounter_close) struct mounter m;
    mounter_open(&m);
    bool bound = mounter_root_bind(&m, o->dir.fd, 0, e) == 0;
    rmdir(o->top);
    str_addf(result, "%d%d%d%d %s", o->prepared, same, marked, bound, getcwd(cwd, sizeof cwd));
    return rename(gone, o->top);
}

static void it_sees_its_own_directory_where_nobody_outside_renames_it(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_str struct str result = { 0 };
    struct own o = { .dir = { .fd = -1 }, .top = "/tmp/hpcc-test-own-XXXXXX" };
    struct runtime_worker_spec spec = {
        .main = look_into_own, .prepare = make_own, .ctx = &o, .dir = &o.dir
    };
    char mark[80];
    auto_free char *cwd = getcwd(NULL, 0);
    if (!workers_work())
        skip();
    assert_non_null(mkdtemp(o.top));
    snprintf(mark, sizeof mark, "%s/mark", o.top);
    assert_int_equal(mkdir(mark, 0700), 0);
    int rc = runtime_worker_run(&spec, &result, &e);
    rmdir(mark);
    rmdir(o.top);
    if (rc < 0)
        fail_msg("%s", e.msg);
    auto_free char *want = mem_printf("1111 %s", cwd);
    assert_string_equal(str_text(&result), want);
    assert_false(o.prepared); /* that was in the worker */
}

static int cannot_prepare(void *ctx, struct err *e)
{
    (void)ctx;
    return err_set(e, ERR_STEP, "not today");
}

static void it_does_not_start_when_it_cannot_be_prepared(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    struct runtime_worker_spec spec = { .main = fail_with_words, .prepare = cannot_prepare };
    if (!workers_work())
        skip();
    assert_int_equal(runtime_worker_run(&spec, NULL, &e), -1);
    assert_string_equal(e.msg, "not today");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worker_is_root_and_pid_1_in_its_own_view),
        cmocka_unit_test(it_sees_its_own_directory_where_nobody_outside_renames_it),
        cmocka_unit_test(it_does_not_start_when_it_cannot_be_prepared),
        cmocka_unit_test(its_error_comes_home_whole),
        cmocka_unit_test(a_result_larger_than_a_pipe_comes_home),
        cmocka_unit_test(a_worker_that_dies_without_a_word_is_an_error),
        cmocka_unit_test(its_mounts_stay_inside_and_cleanup_runs_without_them),
        cmocka_unit_test(sigkill_of_the_caller_takes_everything_along_and_cleans_up),
        cmocka_unit_test(ctrl_c_and_a_killed_process_group_do_the_same),
        cmocka_unit_test(subid_lines_match_by_name_and_by_number),
        cmocka_unit_test(a_broken_message_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
