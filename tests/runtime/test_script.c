/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "base/strv.h"
#include "runtime/runtime.h"
#include "tests/runtime/root.h"

struct job {
    char dir[32];
    const char *text; /* the script */
    int status;
};

static void keep_line(void *ctx, const char *line)
{
    strv_add(ctx, line);
}

/* In the worker: a root, a script in it, run; the lines are the result. */
static int run_job(void *ctx, struct str *result, struct err *e)
{
    struct job *j = ctx;
    auto_strv struct strv lines = { 0 };
    auto_str struct str text = { 0 };
    auto_close int root = test_root_make(j->dir, e);
    str_add(&text, j->text);
    if (root < 0 || fs_write_at(root, "/script", &text, 0755, e) < 0)
        return -1;
    const char *argv[] = { "/bin/sh", "/script", "a b", NULL };
    const char *envp[] = { "PATH=/usr/bin:/bin", "GREETING=hello", NULL };
    struct runtime_script_spec spec = {
        .rootfs_fd = root, .argv = argv, .envp = envp, .on_line = keep_line, .ctx = &lines
    };
    int status = -1;
    if (runtime_script_run(&spec, &status, e) < 0)
        return -1;
    strv_addf(&lines, "status %d", status);
    struct stat st;
    if (fs_stat_at(root, "/etc/resolv.conf", false, &st) == 0)
        strv_add(&lines, "resolv.conf was left behind");
    auto_free char *all = strv_join(&lines, "\n");
    str_add(result, all);
    return 0;
}

static char *script(const char *text)
{
    auto_err struct err e = { 0 };
    auto_str struct str result = { 0 };
    struct job j = { .dir = "/tmp/hpcc-test-XXXXXX", .text = text };
    assert_non_null(mkdtemp(j.dir));
    struct runtime_worker_spec spec = { .main = run_job, .ctx = &j };
    int rc = runtime_worker_run(&spec, &result, &e);
    rmdir(j.dir);
    if (rc < 0 && e.code == ERR_HOST)
        skip();
    if (rc < 0)
        print_error("%s\n", e.msg);
    assert_int_equal(rc, 0);
    return str_steal(&result);
}

static void expect(const char *text, const char *want)
{
    auto_free char *got = script(text);
    assert_string_equal(got, want);
}

static void output_arguments_environment_and_status_are_exact(void **state)
{
    (void)state;
    expect("echo \"$1|$GREETING\"; echo err >&2; cat; exit 42", "a b|hello\nerr\nstatus 42");
    expect("kill -9 $$", "status 137");
    expect("exec /nonexistent 2>/dev/null", "status 127");
}

static void what_a_script_leaves_running_is_killed(void **state)
{
    (void)state;
    expect("setsid sh -c 'trap \"\" TERM HUP; sleep 300' & echo done", "done\nstatus 0");
}

static void it_sees_its_own_root_devices_and_processes(void **state)
{
    (void)state;
    expect("ls -A /tmp; ls /proc | grep -c '^[0-9]' | sed 's/[1-9]/few/'; "
           "test -c /dev/null && test -c /dev/urandom && test -w /dev/shm && echo dev; "
           "ls /dev | tr '\\n' ' '; echo; [ \"$(readlink /proc/self)\" -lt 20 ] && echo low",
           "few\ndev\nfd full null ptmx pts random shm stderr stdin stdout tty urandom zero \nlow\n"
           "status 0");
}

static void names_resolve_as_on_the_host(void **state)
{
    (void)state;
    if (access("/etc/hosts", R_OK) < 0 || access("/etc/resolv.conf", R_OK) < 0)
        skip();
    expect("test -s /etc/hosts && echo hosts; (echo x >> /etc/hosts) 2>/dev/null || echo read-only",
           "hosts\nread-only\n"
           "status 0");
}

static void it_cannot_reach_the_hosts_kernel(void **state)
{
    (void)state;
    expect("exec 2>/dev/null; umask; "
           "echo x > /proc/sys/kernel/hostname || echo sysctl; "
           "echo h > /proc/sysrq-trigger; mount -t tmpfs x /tmp || echo mount; "
           "mount -o remount,rw /proc/sys || echo remount; "
           "mknod /tmp/d b 7 0; head -c1 /tmp/d > /dev/null || echo device; "
           "echo x > /sys/kernel/uevent_helper || echo sysfs; "
           "date -s 2000-01-01 > /dev/null || echo clock; "
           "dmesg > /dev/null || echo log; kill -9 1 ; echo alive",
           "0022\nsysctl\nmount\nremount\ndevice\nsysfs\nclock\nlog\nalive\nstatus 0");
}

static void a_missing_interpreter_is_told(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    const char *argv[] = { "bin/sh", NULL };
    struct runtime_script_spec spec = { .rootfs_fd = -1, .argv = argv };
    int status;
    assert_int_equal(runtime_script_run(&spec, &status, &e), -1);
    assert_int_equal(e.code, ERR_BUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_arguments_environment_and_status_are_exact),
        cmocka_unit_test(what_a_script_leaves_running_is_killed),
        cmocka_unit_test(it_sees_its_own_root_devices_and_processes),
        cmocka_unit_test(names_resolve_as_on_the_host),
        cmocka_unit_test(it_cannot_reach_the_hosts_kernel),
        cmocka_unit_test(a_missing_interpreter_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
