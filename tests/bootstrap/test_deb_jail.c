/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "bootstrap/deb/deb.h"

/* A root in a directory called NAME, prepared; the caller drops DIR. */
static int make_root(char dir[], const char *name, struct deb_jail *j)
{
    assert_non_null(mkdtemp(dir));
    auto_free char *path = path_join(dir, name);
    auto_free char *dev = path_join(path, "dev");
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(mkdir(dev, 0755), 0);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(deb_jail_init(j, fd, NULL), 0);
    return fd;
}

static void drop(const char *dir)
{
    auto_free char *base = path_base(dir);
    auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fs_remove_tree(tmp, base, NULL), 0);
}

/* In the jail: 0, or the number of what does not hold. */
static int look_around(const struct deb_jail *j, int rootfs_fd)
{
    struct stat root, target, node;
    if (fstat(rootfs_fd, &root) < 0 || deb_jail_enter(j) < 0) /* ROOTFS_FD may be 3 */
        return 1;
    if (stat(j->target, &target) < 0 || root.st_ino != target.st_ino ||
        root.st_dev != target.st_dev)
        return 2;
    auto_close int null = open(j->nodes[0], O_WRONLY | O_CLOEXEC);
    if (null < 0 || fstat(null, &node) < 0 || !S_ISCHR(node.st_mode) || write(null, "x", 1) != 1)
        return 3;
    if (fsync(-1) != 0 || fdatasync(-1) != 0) /* answered before the kernel sees that -1 is none */
        return 4;
    return fcntl(3, F_GETFD) < 0 ? 5 : 0;
}

static void expect_jail(const char *name, bool by_its_own_name)
{
    char dir[] = "/tmp/hpcc-test.XXXXXX";
    auto_free struct deb_jail *j = mem_zero(1, sizeof *j);
    auto_close int fd = make_root(dir, name, j);
    assert_int_equal(str_starts(j->target, dir), by_its_own_name);
    assert_null(strpbrk(j->target, " $`'\"\\;"));
    pid_t pid = fork();
    if (pid == 0)
        _exit(look_around(j, fd));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    auto_free char *dev = mem_printf("%s/%s/dev/null", dir, name);
    int left = access(dev, F_OK);
    drop(dir);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(left, -1); /* the mounts went with the process */
}

static void root_is_entered_by_its_name(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    expect_jail("root", true);
}

static void name_that_a_shell_would_run_is_replaced(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    expect_jail("a b", false);
    expect_jail("$(touch pwned)", false);
    expect_jail("it's \"; `x`", false);
    expect_jail("line\nbreak", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_is_entered_by_its_name),
        cmocka_unit_test(name_that_a_shell_would_run_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
