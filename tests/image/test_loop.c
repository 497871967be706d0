/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/image.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "tests/base/deny_call.h"

enum { FILE_BYTES = 1 << 20, MARK_AT = 4096 };

static char path[] = "/tmp/hpcc-test-loop-XXXXXX";

static int make_file(void **state)
{
    (void)state;
    auto_close int fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, FILE_BYTES) < 0)
        return -1;
    return fs_pwrite_full(fd, "marked", 6, MARK_AT);
}

static int drop_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* Attach, read the mark through the device, and see how the device is set: 0 when all is right,
 * 77 when there are no loop devices here. */
static int attach_and_look(bool read_only)
{
    auto_err struct err e = { 0 };
    char name[32], buf[6];
    auto_close int fd = open(path, read_only ? O_RDONLY : O_RDWR);
    auto_close int loop_fd = image_loop_attach(
        &(struct image_loop_spec){ .fd = fd, .offset = MARK_AT, .read_only = read_only }, name, &e);
    if (loop_fd < 0)
        return e.code == ERR_HOST && e.hint ? 77 : 1;
    close(steal_fd(&fd)); /* the device keeps the file */
    if (fs_pread_full(loop_fd, buf, 6, 0) != 6 || memcmp(buf, "marked", 6) != 0)
        return 2;
    struct loop_info64 info;
    if (ioctl(loop_fd, LOOP_GET_STATUS64, &info) < 0 || !(info.lo_flags & LO_FLAGS_AUTOCLEAR))
        return 3;
    if (read_only != !!(info.lo_flags & LO_FLAGS_READ_ONLY) || info.lo_offset != MARK_AT)
        return 4;
    return 0;
}

static void device_shows_the_file(void **state)
{
    (void)state;
    int rc = attach_and_look(true);
    if (rc == 77)
        skip();
    assert_int_equal(rc, 0);
    assert_int_equal(attach_and_look(false), 0);
}

/* The size of the device's blocks, or 0 when there are no loop devices here. */
static int block_size_for(uint64_t file_bytes, uint64_t offset, uint32_t block_bytes)
{
    char name[32];
    int size = 0;
    auto_close int fd = open(path, O_RDONLY);
    const struct image_loop_spec spec = { .fd = fd,
                                          .offset = offset,
                                          .file_bytes = file_bytes,
                                          .block_bytes = block_bytes,
                                          .read_only = true };
    auto_close int loop_fd = image_loop_attach(&spec, name, NULL);
    return loop_fd < 0 || ioctl(loop_fd, BLKSSZGET, &size) < 0 ? 0 : size;
}

static void the_block_size_is_a_hint_that_never_cuts_the_file(void **state)
{
    (void)state;
    int size = block_size_for(FILE_BYTES, 4096, 4096);
    if (size == 0)
        skip();
    assert_true(size == 4096 || size == 512); /* before Linux 5.8 */
    assert_int_equal(block_size_for(FILE_BYTES, 31, 4096), 512);
    assert_int_equal(block_size_for(FILE_BYTES + 512, 0, 4096), 512);
    assert_int_equal(block_size_for(0, 0, 4096), 512);
    assert_int_equal(block_size_for(FILE_BYTES, 0, 0), 512);
}

static void device_goes_with_its_descriptor(void **state)
{
    (void)state;
    char name[32];
    auto_close int fd = open(path, O_RDONLY);
    int loop_fd =
        image_loop_attach(&(struct image_loop_spec){ .fd = fd, .read_only = true }, name, NULL);
    if (loop_fd < 0)
        skip();
    close(loop_fd);
    struct stat st;
    struct loop_info64 info;
    assert_int_equal(stat(path, &st), 0);
    /* Free, or by now another process's. */
    auto_close int again = open(name, O_RDONLY | O_CLOEXEC);
    bool still = again >= 0 && ioctl(again, LOOP_GET_STATUS64, &info) == 0 &&
                 info.lo_inode == (uint64_t)st.st_ino;
    assert_false(still);
}

static void kernels_without_loop_configure_work_too(void **state)
{
    (void)state;
    static const int errors[] = { EINVAL, ENOTTY };
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        pid_t child = fork();
        if (child == 0) {
            deny_call(SYS_ioctl, LOOP_CONFIGURE, errors[i]);
            _exit(attach_and_look(true));
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (WEXITSTATUS(status) == 77)
            skip();
        assert_int_equal(status, 0);
    }
}

static void a_device_that_stays_busy_is_an_error_in_the_end(void **state)
{
    (void)state;
    if (access("/dev/loop-control", R_OK | W_OK) < 0)
        skip();
    pid_t child = fork();
    if (child == 0) {
        struct err e = { 0 };
        char name[32];
        int fd = open(path, O_RDONLY);
        deny_call(SYS_ioctl, LOOP_CONFIGURE, EBUSY);
        int loop_fd =
            image_loop_attach(&(struct image_loop_spec){ .fd = fd, .read_only = true }, name, &e);
        _exit(loop_fd == -1 && e.code == ERR_HOST && strstr(e.msg, "free loop device") ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void many_at_once_do_not_race(void **state)
{
    (void)state;
    pid_t children[32];
    for (size_t i = 0; i < ARRAY_LEN(children); i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(attach_and_look(true));
    }
    int worst = 0;
    for (size_t i = 0; i < ARRAY_LEN(children); i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        if (WEXITSTATUS(status) > worst)
            worst = WEXITSTATUS(status);
    }
    if (worst == 77)
        skip();
    assert_int_equal(worst, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(device_shows_the_file),
        cmocka_unit_test(the_block_size_is_a_hint_that_never_cuts_the_file),
        cmocka_unit_test(device_goes_with_its_descriptor),
        cmocka_unit_test(kernels_without_loop_configure_work_too),
        cmocka_unit_test(a_device_that_stays_busy_is_an_error_in_the_end),
        cmocka_unit_test(many_at_once_do_not_race),
    };
    return cmocka_run_group_tests(tests, make_file, drop_file);
}
