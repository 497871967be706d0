/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/strv.h"
#include "jail/jail.h"

struct scene {
    char dir[32];
    int fd; /* of dir/root */
};

static void drop(struct scene *p)
{
    auto_free char *base = path_base(p->dir);
    auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(p->fd);
    assert_int_equal(fs_remove_tree(tmp, base, NULL), 0);
}

/* An empty root, in a directory whose name a shell would run. */
static struct scene make(void)
{
    struct scene p = { .dir = "/tmp/hpcc-test.XXXXXX" };
    assert_non_null(mkdtemp(p.dir));
    auto_free char *root = path_join(p.dir, "a $(touch pwned) b");
    assert_int_equal(mkdir(root, 0755), 0);
    p.fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(p.fd >= 0);
    return p;
}

static void keep_line(void *ctx, const char *line)
{
    strv_add(ctx, line);
}

/* What SCRIPT says in the cell of the host's programs. Caller frees. */
static char *say(const struct cell *cell, const char *script)
{
    auto_strv struct strv lines = { 0 };
    auto_err struct err e = { 0 };
    const char *argv[] = { "/bin/sh", "-c", script, NULL };
    const struct proc_spec program = { .argv = argv,
                                       .stdin_fd = -1,
                                       .stdout_fd = -1,
                                       .stderr_fd = -1,
                                       .on_line = keep_line,
                                       .ctx = &lines };
    int status = -1;
    if (cell_run(cell, &program, &status, &e) < 0)
        fail_msg("%s", e.msg);
    strv_addf(&lines, "%d", status);
    return strv_join(&lines, "|");
}

static void expect(const struct cell *cell, const char *script, const char *want)
{
    auto_free char *got = say(cell, script);
    assert_string_equal(got, want);
}

static void host_programs_see_themselves_and_the_root(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct scene p = make();
    const struct cell cell = { .root_fd = p.fd, .host_programs = true };
    expect(&cell, "ls -d /home /root /var /run /etc/shadow /boot 2> /dev/null", "2");
    expect(&cell, "echo x > /target/made; ls /target/made; ls -d /target/dev/null /target/proc/1",
           "/target/made|/target/dev/null|/target/proc/1|0");
    expect(&cell, "touch /usr/x 2> /dev/null || echo shut", "shut|0");
    expect(&cell, "ls /proc | grep -c '^[0-9]' | sed 's/[1-9]/few/'", "few|0");
    assert_int_equal(faccessat(p.fd, "made", F_OK, 0), 0);
    assert_int_equal(faccessat(p.fd, "dev/null", F_OK, 0), -1); /* the mounts went with it */
    drop(&p);
}

static void what_is_shown_lies_at_its_own_path_and_is_read_only(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct scene p = make();
    const char *const shown[] = { p.dir, NULL };
    const struct cell cell = { .root_fd = p.fd, .host_programs = true, .shown = shown };
    auto_free char *script =
        mem_printf("ls %s; touch %s/x 2> /dev/null || echo shut", p.dir, p.dir);
    expect(&cell, script, "a $(touch pwned) b|shut|0");
    drop(&p);
}

static void network_and_capabilities_are_those_asked_for(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct scene p = make();
    struct cell cell = { .root_fd = p.fd, .host_programs = true };
    const char *links = "grep -c : /proc/net/dev; grep CapBnd /proc/self/status";
    auto_free char *own = say(&cell, "readlink /proc/self/ns/net");
    cell.network = true;
    auto_free char *hosts = say(&cell, "readlink /proc/self/ns/net");
    assert_string_not_equal(own, hosts);
    char here[64] = "";
    assert_true(readlink("/proc/self/ns/net", here, sizeof here - 1) > 0);
    assert_memory_equal(hosts, here, strlen(here));
    cell.idle = true;
    cell.network = false;
    expect(&cell, links, "1|CapBnd:\t0000000000000000|0");
    cell.idle = false;
    auto_free char *some = say(&cell, "grep CapBnd /proc/self/status");
    assert_null(strstr(some, "0000000000000000"));
    drop(&p);
}

static void nothing_waits_for_the_disk_and_nobody_looks_into_pid_1(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct scene p = make();
    const struct cell cell = { .root_fd = p.fd, .host_programs = true };
    assert_int_equal(setenv("HPCC_TEST_SECRET", "xyzzy", 1), 0);
    expect(&cell,
           "cat /proc/1/environ 2> /dev/null; ls /proc/1/root/ 2> /dev/null; "
           "env | grep -c SECRET; grep Seccomp: /proc/self/status",
           "0|Seccomp:\t2|0");
    expect(
        &cell,
        "mount -t tmpfs x /tmp 2> /dev/null || echo no; mknod /tmp/x c 1 5 2> /dev/null || echo no",
        "no|no|0");
    drop(&p);
}

static void a_program_is_named_from_the_root_on(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    const char *argv[] = { "bin/sh", NULL };
    const struct proc_spec program = { .argv = argv };
    const struct cell cell = { .root_fd = -1 };
    int status;
    assert_int_equal(cell_run(&cell, &program, &status, &e), -1);
    assert_int_equal(e.code, ERR_BUG);
}

static void a_program_that_is_not_there_is_told(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct scene p = make();
    auto_err struct err e = { 0 };
    const char *argv[] = { "/nonexistent", NULL };
    const struct proc_spec program = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1
    };
    const struct cell cell = { .root_fd = p.fd };
    int status = -1;
    assert_int_equal(cell_run(&cell, &program, &status, &e), -1);
    assert_non_null(strstr(e.msg, "/nonexistent"));
    drop(&p);
}

static void a_shut_descriptor_cannot_be_opened_for_writing(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    char path[] = "/tmp/hpcc-test-XXXXXX", again[32];
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "x", 1), 1);
    pid_t pid = fork(); /* mounts need no namespace of their own, since they have no place */
    if (pid == 0) {
        int shut = cell_read_only(fd);
        snprintf(again, sizeof again, "/proc/self/fd/%d", shut);
        char c;
        bool reads = pread(shut, &c, 1, 0) == 1 && c == 'x';
        _exit(shut < 0 ? 77 : !reads || open(again, O_WRONLY) >= 0 || errno != EROFS);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fd);
    unlink(path);
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_programs_see_themselves_and_the_root),
        cmocka_unit_test(what_is_shown_lies_at_its_own_path_and_is_read_only),
        cmocka_unit_test(network_and_capabilities_are_those_asked_for),
        cmocka_unit_test(nothing_waits_for_the_disk_and_nobody_looks_into_pid_1),
        cmocka_unit_test(a_program_is_named_from_the_root_on),
        cmocka_unit_test(a_program_that_is_not_there_is_told),
        cmocka_unit_test(a_shut_descriptor_cannot_be_opened_for_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
