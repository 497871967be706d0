/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/image.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "tests/base/deny_call.h"

static char path[] = "/tmp/hpcc-test-lock-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    auto_close int fd = mkstemp(path);
    return fd < 0 ? -1 : 0;
}

static int drop_file(void **state)
{
    (void)state;
    return unlink(path);
}

static int open_rw(void)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int open_ro(void)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void readers_share(void **state)
{
    (void)state;
    auto_close int a = open_ro(), b = open_ro();
    assert_int_equal(image_lock(a, path, IMAGE_LOCK_READ, NULL), 0);
    assert_int_equal(image_lock(b, path, IMAGE_LOCK_READ, NULL), 0);
}

static void writer_is_refused_while_read_and_told_the_pid(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_close int a = open_ro(), b = open_rw();
    assert_int_equal(image_lock(a, path, IMAGE_LOCK_READ, &e), 0);
    assert_int_equal(image_lock(b, path, IMAGE_LOCK_WRITE, &e), -1);
    assert_int_equal(e.code, ERR_FAILED);
    assert_int_equal(e.sys, EAGAIN);
    auto_free char *want =
        mem_printf("cannot change image '%s': it is in use by process %d", path, getpid());
    assert_string_equal(e.msg, want);
    assert_non_null(e.hint);
}

static void holder_in_another_process_is_named(void **state)
{
    (void)state;
    int go[2];
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_RDWR);
        char ok = fd >= 0 && image_lock(fd, path, IMAGE_LOCK_WRITE, NULL) == 0 ? 'y' : 'n';
        if (write(go[1], &ok, 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    char ok = 0;
    assert_int_equal(read(go[0], &ok, 1), 1);
    assert_int_equal(ok, 'y');
    auto_err struct err e = { 0 };
    auto_close int fd = open_ro();
    assert_int_equal(image_lock(fd, path, IMAGE_LOCK_READ, &e), -1);
    auto_free char *want =
        mem_printf("cannot use image '%s': it is being changed by process %d", path, child);
    assert_string_equal(e.msg, want);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(image_lock(fd, path, IMAGE_LOCK_READ, NULL), 0); /* died with its holder */
    close(go[0]);
    close(go[1]);
}

static void replacers_serialise_and_leave_readers_alone(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_close int a = open_rw(), b = open_rw(), c = open_ro();
    assert_int_equal(image_lock(a, path, IMAGE_LOCK_REPLACE, &e), 0);
    assert_int_equal(image_lock(c, path, IMAGE_LOCK_READ, &e), 0);
    assert_int_equal(image_lock(b, path, IMAGE_LOCK_REPLACE, &e), -1);
    assert_int_equal(e.sys, EAGAIN);
    assert_non_null(strstr(e.msg, "it is being changed by process"));
}

static void writer_and_replacer_exclude_each_other(void **state)
{
    (void)state;
    auto_close int a = open_rw(), b = open_rw();
    assert_int_equal(image_lock(a, path, IMAGE_LOCK_WRITE, NULL), 0);
    assert_int_equal(image_lock(b, path, IMAGE_LOCK_REPLACE, NULL), -1);
    close(steal_fd(&a));
    assert_int_equal(image_lock(b, path, IMAGE_LOCK_REPLACE, NULL), 0);
    auto_close int c = open_rw();
    assert_int_equal(image_lock(c, path, IMAGE_LOCK_WRITE, NULL), -1);
}

static void refused_writer_holds_nothing(void **state)
{
    (void)state;
    auto_close int reader = open_ro(), writer = open_rw(), replacer = open_rw();
    assert_int_equal(image_lock(reader, path, IMAGE_LOCK_READ, NULL), 0);
    assert_int_equal(image_lock(writer, path, IMAGE_LOCK_WRITE, NULL), -1);
    assert_int_equal(image_lock(replacer, path, IMAGE_LOCK_REPLACE, NULL), 0);
}

static void writer_needs_a_writable_descriptor(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_close int fd = open_ro();
    assert_int_equal(image_lock(fd, path, IMAGE_LOCK_WRITE, &e), -1);
    assert_int_equal(e.sys, EBADF);
}

/* ── file systems that have no locks ─────────────────────────────────────────────────────────── */

static void count_warning(void *ctx, enum log_level level, const char *text)
{
    (void)text;
    if (level == LOG_WARN)
        ++*(int *)ctx;
}

/* In a child whose lock calls fail with ERROR: exit status 0 when all is as documented, else the
 * number of the first thing that is not. */
static int lockless_child(int error)
{
    pid_t child = fork();
    if (child == 0) {
        int warnings = 0;
        log_sink_set(&(struct log_sink){ .write = count_warning, .ctx = &warnings });
        int fd = open(path, O_RDWR);
        deny_call(SYS_fcntl, F_OFD_SETLK, error);
        struct err e = { 0 };
        if (image_lock(fd, path, IMAGE_LOCK_READ, &e) != 0)
            _exit(1);
        if (warnings != 1)
            _exit(2);
        if (image_lock(fd, path, IMAGE_LOCK_WRITE, &e) != -1 || e.code != ERR_FAILED)
            _exit(3);
        if (e.sys != error || !e.hint || !strstr(e.msg, "no locks"))
            _exit(4);
        if (image_lock(fd, path, IMAGE_LOCK_REPLACE, &e) != -1 || warnings != 1)
            _exit(5);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static void without_locks_readers_warn_once_and_writers_refuse(void **state)
{
    (void)state;
    static const int errors[] = { ENOLCK, ENOSYS, EOPNOTSUPP, EINVAL };
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        int rc = lockless_child(errors[i]);
        if (rc == 77)
            skip();
        assert_int_equal(rc, 0);
    }
}

static void other_lock_errors_are_told(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        int fd = open(path, O_RDWR);
        deny_call(SYS_fcntl, F_OFD_SETLK, EIO);
        struct err e = { 0 };
        bool told = image_lock(fd, path, IMAGE_LOCK_READ, &e) == -1 && e.sys == EIO;
        _exit(told ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_share),
        cmocka_unit_test(writer_is_refused_while_read_and_told_the_pid),
        cmocka_unit_test(holder_in_another_process_is_named),
        cmocka_unit_test(replacers_serialise_and_leave_readers_alone),
        cmocka_unit_test(writer_and_replacer_exclude_each_other),
        cmocka_unit_test(refused_writer_holds_nothing),
        cmocka_unit_test(writer_needs_a_writable_descriptor),
        cmocka_unit_test(without_locks_readers_warn_once_and_writers_refuse),
        cmocka_unit_test(other_lock_errors_are_told),
    };
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
