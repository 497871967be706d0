/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"

/* Kernel file systems whose files are handles on the host: processes, namespaces, settings. */
static bool kernel_handle(int fd)
{
    static const unsigned long magics[] = { PROC_SUPER_MAGIC,   SYSFS_MAGIC,         NSFS_MAGIC,
                                            CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,
                                            SECURITYFS_MAGIC };
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(magics); i++)
        if ((unsigned long)fs.f_type == magics[i])
            return true;
    return false;
}

static bool may_pass(int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_PATH) || fstat(fd, &st) < 0)
        return false;
    switch (st.st_mode & S_IFMT) {
    case S_IFIFO:
    case S_IFSOCK:
        return true;
    case S_IFREG:
        return !kernel_handle(fd);
    case S_IFCHR: /* terminals and /dev/null are where 0, 1 and 2 usually point */
        return fd <= 2;
    default: /* directories, block devices, epoll, mounts, unknown kinds */
        return false;
    }
}

static int close_later(int fd, struct err *e)
{
    if (fd > 2)
        return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? err_sys(e, "cannot close descriptor %d", fd)
                                                  : 0;
    auto_close int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, fd) < 0)
        return err_sys(e, "cannot replace descriptor %d", fd);
    return 0;
}

static int check_keep(const struct strv *keep, struct err *e)
{
    for (size_t i = 0; i < keep->n; i++) {
        uint64_t fd;
        if (str_parse_u64(keep->v[i], INT_MAX, &fd) < 0 || fcntl((int)fd, F_GETFD) < 0)
            return err_set(e, ERR_USAGE, "--keep-fd: '%s' is not an open descriptor", keep->v[i]);
    }
    return 0;
}

struct restricting {
    bool contain;
    const struct strv *keep;
    struct err *e;
};

static int restrict_one(void *ctx, const char *name)
{
    const struct restricting *x = ctx;
    uint64_t n;
    if (str_parse_u64(name, INT_MAX, &n) < 0)
        return 0;
    int fd = (int)n;
    int flags = fd <= 2 ? 0 : fcntl(fd, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) || strv_has(x->keep, name))
        return 0;
    bool pass = may_pass(fd) && (fd <= 2 || !x->contain);
    return pass ? 0 : close_later(fd, x->e);
}

int fds_restrict(bool contain, const struct strv *keep, struct err *e)
{
    struct restricting x = { contain, keep, e };
    if (check_keep(keep, e) < 0)
        return -1;
    auto_close int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fs_each_name(fd, restrict_one, &x);
    return rc < 0 && !(e && e->code) ? err_sys(e, "cannot read '/proc/self/fd'") : rc;
}

enum { FEW = 16, MANY = 64, ENOUGH = 256 };

/* Of the process, as the descriptors are: whoever closes one with auto_spent has nothing at hand that
 * a list of his own could hang on, and what was spent by one room is closed by another's call. Only
 * its main thread spends any. */
static struct {
    int fd[MANY];
    size_t n;
    size_t max; /* FEW where descriptors are scarce; 0: not looked yet */
} spent;

/* How many may be kept back. */
static size_t most(void)
{
    struct rlimit limit;
    if (spent.n < FEW)
        return FEW;
    if (!spent.max)
        spent.max = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= ENOUGH ? MANY : FEW;
    return spent.max;
}

void fds_spend(int fd)
{
    if (spent.n >= most())
        fds_close_spent();
    if (fd >= 0)
        spent.fd[spent.n++] = fd;
}

void fds_cleanup(const int *fd)
{
    fds_spend(*fd);
}

void fds_close_spent(void)
{
    int saved = errno;
    qsort(spent.fd, spent.n, sizeof spent.fd[0], proc_compare_fds);
    for (size_t i = 0, end; i < spent.n; i = end) {
        for (end = i + 1; end < spent.n && spent.fd[end] == spent.fd[end - 1] + 1; end++)
            ;
        proc_close_span((unsigned)spent.fd[i], (unsigned)spent.fd[end - 1]);
    }
    spent.n = 0;
    errno = saved;
}
