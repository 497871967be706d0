/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "jail/jail.h"
#include "runtime/runtime.h"

/* Everything is tried, not guessed: in a child, so that nothing stays. */

struct findings {
    struct runtime_finding *v;
    size_t n;
    char *(*squashfs_server)(void);
};

static void found(struct findings *f, struct runtime_finding what)
{
    f->v = mem_grow(f->v, f->n, sizeof *f->v);
    what.text = mem_strdup(what.text);
    what.cure = what.ok ? NULL : mem_strdup(what.cure);
    f->v[f->n++] = what;
}

/* Run TRY in a child; its error comes back. */
static int in_child(int (*try)(struct err *e), struct err *e)
{
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0)
        return err_sys(e, "cannot make a pipe");
    pid_t pid = fork();
    if (pid == 0) {
        auto_err struct err why = { 0 };
        int rc = try(&why);
        _exit(wire_send(p[1], &why, NULL) < 0 || rc < 0);
    }
    close(p[1]);
    auto_close int from = p[0];
    auto_err struct err why = { 0 };
    int status = 1;
    int got = pid < 0 ? -1 : wire_receive(from, &why, NULL);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (got != 1)
        return err_set(e, ERR_FAILED, "a test process died");
    return why.code == ERR_NONE ? 0 : err_move(e, &why);
}

static int enter_userns(struct err *e)
{
    struct userns_ids own = { geteuid(), getegid() };
    if (ns_unshare(CLONE_NEWUSER) < 0)
        return userns_refused(errno, e);
    if (userns_map_single(own, (struct userns_ids){ 0, 0 }, -1, e) < 0)
        return -1;
    if (ns_unshare(CLONE_NEWNS) < 0)
        return userns_refused(errno, e);
    return 0;
}

static int try_mount(const struct mount_fs *fs, const char *where, struct err *e)
{
    cleanup_with(mounter_close) struct mounter m;
    mounter_open(&m);
    m.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return m.root_fd < 0 ? err_sys(e, "cannot open '/'") : mounter_fs(&m, fs, where, e);
}

static int try_userns(struct err *e)
{
    if (enter_userns(e) < 0)
        return -1;
    return try_mount(&(struct mount_fs){ .type = "tmpfs" }, "/proc", e);
}

static int try_overlay(struct err *e)
{
    if (geteuid() != 0 && enter_userns(e) < 0)
        return -1;
    if (geteuid() == 0 && ns_unshare(CLONE_NEWNS) < 0)
        return err_sys(e, "cannot make a mount namespace");
    const struct mount_fs overlay = { .type = "overlay",
                                      .options = "lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w" };
    if (ns_mounts_private() < 0)
        return err_sys(e, "cannot prepare a test of overlays");
    if (try_mount(&(struct mount_fs){ .type = "tmpfs" }, "/tmp", e) < 0)
        return -1;
    if (mkdir("/tmp/l", 0700) < 0 || mkdir("/tmp/u", 0700) < 0 || mkdir("/tmp/w", 0700) < 0 ||
        mkdir("/tmp/m", 0700) < 0)
        return err_sys(e, "cannot prepare a test of overlays");
    return try_mount(&overlay, "/tmp/m", e);
}

static void report(struct findings *f, const char *name, bool fatal, const char *good,
                   const struct err *e)
{
    bool ok = e->code == ERR_NONE;
    found(f, (struct runtime_finding){ .name = name,
                                       .ok = ok,
                                       .fatal = !ok && fatal,
                                       .text = ok ? (char *)(uintptr_t)good : e->msg,
                                       .cure = e->hint ? e->hint : (char[]){ "" } });
}

static void check_userns(struct findings *f)
{
    auto_err struct err e = { 0 };
    if (in_child(try_userns, &e) < 0 && !e.hint)
        err_hint(&e, "ask the administrator to allow user namespaces");
    report(f, "userns", geteuid() != 0, "user namespaces work", &e);
}

static void check_fuse(struct findings *f)
{
    auto_err struct err e = { 0 };
    auto_close int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        err_sys(&e, "cannot open '/dev/fuse'");
        err_hint(&e, "the administrator types: modprobe fuse; chmod 666 /dev/fuse");
    }
    report(f, "fuse", geteuid() != 0, "image files can be mounted in user space", &e);
}

static void check_loop(struct findings *f)
{
    auto_err struct err e = { 0 };
    if (geteuid() != 0)
        return;
    auto_close int fd = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        err_sys(&e, "cannot open '/dev/loop-control'");
        err_hint(&e, "load the module: 'modprobe loop'; in a container pass the loop devices");
    }
    report(f, "loop", false, "root's images are mounted by the kernel", &e);
}

static void check_subids(struct findings *f)
{
    auto_err struct err e = { 0 };
    struct userns_range uids, gids;
    if (geteuid() == 0)
        return;
    (void)!userns_ranges(65535, &uids, &gids, &e);
    report(f, "subuid", false, "bootstrap has a range of ids to install packages with", &e);
}

static void check_overlay(struct findings *f)
{
    auto_err struct err e = { 0 };
    if (in_child(try_overlay, &e) < 0)
        err_hint(&e, "--overlay and --writable-tmpfs need Linux 5.11 and the overlay module");
    report(f, "overlay", false, "--overlay and --writable-tmpfs work", &e);
}

static void check_kernel(struct findings *f)
{
    auto_err struct err e = { 0 };
    struct mounter m;
    mounter_open(&m);
    if (m.old_api) {
        err_set(&e, ERR_HOST, "the kernel is older than Linux 5.12");
        err_hint(&e, "hpcc works, with a slower way to mount");
    }
    report(f, "kernel", false, "mounts are made by descriptor", &e);
}

static void check_memlock(struct findings *f)
{
    auto_err struct err e = { 0 };
    struct rlimit lim;
    if (access("/dev/infiniband", F_OK) < 0)
        return;
    if (getrlimit(RLIMIT_MEMLOCK, &lim) == 0 && lim.rlim_cur != RLIM_INFINITY) {
        err_set(&e, ERR_HOST, "locked memory is limited to %llu KiB, InfiniBand wants it unlimited",
                (unsigned long long)lim.rlim_cur / 1024);
        err_hint(&e, "the administrator sets 'memlock unlimited' in /etc/security/limits.conf and "
                     "for the batch system");
    }
    report(f, "memlock", false, "InfiniBand may lock memory", &e);
}

static void check_tmp(struct findings *f)
{
    auto_err struct err e = { 0 };
    struct statvfs fs;
    if (access("/tmp", W_OK | X_OK) < 0 || statvfs("/tmp", &fs) < 0) {
        err_sys(&e, "cannot use '/tmp'");
        err_hint(&e, "the administrator types: chmod 1777 /tmp");
    } else if ((uint64_t)fs.f_bavail * fs.f_frsize < 64u << 20) {
        err_set(&e, ERR_HOST, "'/tmp' has less than 64 MiB left");
        err_hint(&e, "make room, or leave it out: '--no-mount tmp'");
    }
    report(f, "tmp", false, "'/tmp' can be written and has room", &e);
}

static void check_home(struct findings *f)
{
    auto_err struct err e = { 0 };
    const struct passwd *pw = getpwuid(geteuid());
    if (!pw) {
        err_set(&e, ERR_HOST, "user %u has no passwd entry", geteuid());
        err_hint(&e, "the container starts in '/'; give a home with '--home DIR'");
    } else if (access(pw->pw_dir, X_OK) < 0) {
        err_sys(&e, "cannot enter your home '%s'", pw->pw_dir);
        err_hint(&e, "give another one with '--home DIR', or '--no-home'");
    }
    report(f, "home", false, "your home can be bound", &e);
}

static void check_squashfs(struct findings *f)
{
    auto_err struct err e = { 0 };
    auto_free char *path = f->squashfs_server ? f->squashfs_server() : NULL;
    if (!path) {
        err_set(&e, ERR_HOST, "this hpcc was built without libsquashfuse");
        err_hint(&e, "install libsquashfuse-dev and build again, or unpack such images: "
                     "'unsquashfs -d DIR IMAGE'");
    }
    report(f, "squashfs", false, "squashfs and SIF images of anybody can be run", &e);
}

int runtime_doctor(char *(*squashfs_server)(void), struct runtime_finding **out, size_t *n,
                   struct err *e)
{
    static void (*const checks[])(struct findings *) = {
        check_userns,   check_fuse,   check_loop,    check_subids, check_overlay,
        check_squashfs, check_kernel, check_memlock, check_tmp,    check_home,
    };
    struct findings f = { .squashfs_server = squashfs_server };
    (void)e;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        checks[i](&f);
    *out = f.v;
    *n = f.n;
    return 0;
}

void runtime_findings_free(struct runtime_finding *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(f[i].text);
        free(f[i].cure);
    }
    free(f);
}
