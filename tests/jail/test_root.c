/* SPDX-License-Identifier: BSD-3-Clause */
/* A root built in namespaces of the test's own, with the new mount calls and, where the kernel is
 * told to lack them, the old. Skipped where none can be made. */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "jail/jail.h"

enum { SKIPPED = 77 };

#define WANT(what)                                                                                 \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            fprintf(stderr, "line %d: %s: %s%s%s\n", __LINE__, #what, strerror(errno),             \
                    e->msg ? ": " : "", e->msg ? e->msg : "");                                     \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static char dir[64]; /* a root: a b/ c/ file link dev/ proc/ sys/ */

static void in_namespaces(void (*test)(bool old, struct err *e), bool old)
{
    pid_t pid = fork();
    if (pid == 0) {
        auto_err struct err e = { 0 };
        const struct userns_ids own = { geteuid(), getegid() };
        if (ns_unshare(CLONE_NEWUSER) < 0 ||
            userns_map_single(own, (struct userns_ids){ 0, 0 }, -1, &e) < 0 ||
            ns_unshare(CLONE_NEWNS | CLONE_NEWPID) < 0 || ns_mounts_private() < 0)
            _exit(SKIPPED);
        pid_t init = fork();
        if (init == 0) {
            test(old, &e);
            _exit(0);
        }
        int status = 1;
        waitpid(init, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 2);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != SKIPPED)
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void both(void (*test)(bool old, struct err *e))
{
    in_namespaces(test, false);
    in_namespaces(test, true);
}

static void open_root(struct newroot *r, bool old, struct err *e)
{
    newroot_init(r);
    r->m.old_api |= old;
    int tree = mounter_clone(&r->m, dir, MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV);
    WANT(tree >= 0);
    WANT(newroot_open(r, e) == 0);
    WANT(mounter_root_attach(&r->m, tree, MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV, e) == 0);
    umask(0);
}

static bool is_kind(const char *path, mode_t kind)
{
    struct stat st;
    return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == kind;
}

struct wanted {
    const char *point;
    unsigned long flags;
    bool found;
};

static int look_for(void *ctx, const struct mountinfo *mi)
{
    struct wanted *w = ctx;
    if (str_eq(mi->mount_point, w->point)) {
        w->flags = mi->flags;
        w->found = true;
    }
    return 0;
}

static unsigned long flags_at(int proc_fd, const char *point)
{
    struct wanted w = { .point = point };
    if (mountinfo_each(proc_fd, look_for, &w) < 0 || !w.found)
        return 0;
    return w.flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
}

static void missing_places_are_made_in_an_underlay(bool old, struct err *e)
{
    struct newroot r;
    open_root(&r, old, e);
    WANT(newroot_provide(&r, "/b", false, e) == 0); /* is there */
    WANT(r.covers.n == 0);
    WANT(newroot_provide(&r, "/b/new/deep", false, e) == 0);
    WANT(newroot_provide(&r, "/b/new/file", true, e) == 0);
    WANT(r.covers.n == 1);
    WANT(newroot_provide(&r, "/link/by", false, e) == 0); /* link -> c */
    WANT(newroot_provide(&r, "/c/../top/x", false, e) == 0);
    WANT(newroot_provide(&r, "/dangling/y", false, e) == 0); /* -> /nowhere */
    WANT(newroot_provide(&r, "/a/x", false, e) < 0);         /* a is a file */
    WANT(e->code == ERR_INPUT && strstr(e->msg, "not a directory"));
    err_clear(e);
    WANT(newroot_provide(&r, "/loop/x", false, e) < 0);
    WANT(e->code == ERR_INPUT && strstr(e->msg, "too many links"));
    err_clear(e);
    WANT(mounter_pivot(&r.m, e) == 0);
    WANT(is_kind("/b/new/deep", S_IFDIR) && is_kind("/b/new/file", S_IFREG));
    WANT(is_kind("/b/inner", S_IFREG)); /* what was there still shows */
    WANT(is_kind("/c/by", S_IFDIR) && is_kind("/top/x", S_IFDIR) && is_kind("/nowhere/y", S_IFDIR));
    WANT(is_kind("/link", S_IFLNK) && is_kind("/a", S_IFREG));
    WANT(mkdir("/b/mine", 0755) < 0 && errno == EROFS);
    WANT(mkdir("/mine", 0755) < 0 && errno == EROFS);
    newroot_close(&r);
}

static void a_bind_gets_its_attributes_and_a_file_its_content(bool old, struct err *e)
{
    struct newroot r;
    auto_close int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_str struct str text = { 0 };
    str_add(&text, "words");
    open_root(&r, old, e);
    int fd = newroot_file(&r, "f", &text, e);
    WANT(fd >= 0);
    WANT(mounter_bind(&r.m, fd, "/a", MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC, e) ==
         0);
    WANT(mounter_fs(&r.m,
                    &(struct mount_fs){ .type = "tmpfs",
                                        .source = "t",
                                        .options = "mode=0700,size=64k",
                                        .attrs = MOUNT_NOSUID | MOUNT_NOEXEC },
                    "/b", e) == 0);
    WANT(mounter_fs(&r.m, &(struct mount_fs){ .type = "nosuchfs" }, "/b", e) < 0);
    WANT(e->code == ERR_HOST);
    err_clear(e);
    WANT(mounter_bind(&r.m, fd, "/absent", 0, e) < 0);
    err_clear(e);
    WANT(newroot_file(&r, "f", &text, e) < 0); /* once */
    err_clear(e);
    WANT(mounter_pivot(&r.m, e) == 0);
    char buf[16] = "";
    auto_close int a = open("/a", O_RDONLY | O_CLOEXEC);
    WANT(a >= 0 && read(a, buf, sizeof buf - 1) == 5 && strcmp(buf, "words") == 0);
    WANT(open("/a", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
    WANT(flags_at(proc_fd, "/a") == (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC));
    WANT(flags_at(proc_fd, "/b") == (MS_NOSUID | MS_NOEXEC));
    WANT(flags_at(proc_fd, "/") == (MS_RDONLY | MS_NOSUID | MS_NODEV));
    struct stat st;
    WANT(stat("/b", &st) == 0 && (st.st_mode & 07777) == 0700);
    newroot_close(&r);
}

static bool is_device(const char *path, unsigned major_number, unsigned minor_number)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISCHR(st.st_mode) &&
           st.st_rdev == makedev(major_number, minor_number);
}

static void a_build_sees_devices_and_sealed_views(bool old, struct err *e)
{
    struct newroot r;
    auto_close int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    open_root(&r, old, e);
    WANT(devices_make(&r.m, e) == 0);
    WANT(views_make(&r.m, JAIL_BUILD, e) == 0);
    WANT(mounter_pivot(&r.m, e) == 0);
    WANT(is_device("/dev/null", 1, 3) && is_device("/dev/zero", 1, 5) &&
         is_device("/dev/full", 1, 7) && is_device("/dev/random", 1, 8) &&
         is_device("/dev/urandom", 1, 9) && is_device("/dev/tty", 5, 0));
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    WANT(fd >= 0 && write(fd, "x", 1) == 1);
    WANT(is_kind("/dev/fd", S_IFLNK) && is_kind("/dev/ptmx", S_IFLNK) &&
         is_kind("/dev/pts/ptmx", S_IFCHR));
    WANT(mkdir("/dev/shm/x", 0700) == 0);
    WANT(access("/proc/self/status", R_OK) == 0);
    WANT(open("/proc/sys/kernel/hostname", O_WRONLY | O_CLOEXEC) < 0 && errno == EROFS);
    WANT(access("/proc/kcore", F_OK) < 0 || open("/proc/kcore", O_RDONLY | O_CLOEXEC) < 0);
    WANT(access("/proc/keys", F_OK) < 0 || open("/proc/keys", O_RDONLY | O_CLOEXEC) < 0);
    WANT(flags_at(proc_fd, "/proc") == (MS_NOSUID | MS_NODEV | MS_NOEXEC));
    unsigned long sealed = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
    WANT(flags_at(proc_fd, "/proc/sys") == sealed);
    WANT(access("/sys/kernel", F_OK) < 0 || flags_at(proc_fd, "/sys") == sealed);
    WANT(rmdir("/sys/firmware") < 0);
    struct stat st;
    if (stat("/sys/firmware", &st) == 0)
        WANT(st.st_nlink == 2 && flags_at(proc_fd, "/sys/firmware") == sealed);
    WANT(views_close_tree(proc_fd, e) == 0);
    WANT(filter_install(JAIL_BUILD | JAIL_NO_SYNC, e) == 0);
    WANT(caps_bound(JAIL_BUILD, e) == 0);
    WANT(mount("none", "/dev/shm", "tmpfs", 0, NULL) < 0 && errno == EPERM);
    WANT(fsync(-1) == 0);
    newroot_close(&r);
}

static void a_run_of_root_is_closed_wherever_a_window_lies(bool old, struct err *e)
{
    struct newroot r;
    auto_close int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    open_root(&r, old, e);
    WANT(mounter_bind(&r.m, proc_fd, "/b", MOUNT_NOSUID | MOUNT_NODEV, e) == 0);
    WANT(mounter_bind(&r.m, proc_fd, "/proc", MOUNT_NOSUID | MOUNT_NODEV, e) == 0);
    WANT(views_seal(&r.m, "/proc", JAIL_HOST_ROOT, e) == 0);
    WANT(mounter_pivot(&r.m, e) == 0);
    WANT(!(flags_at(proc_fd, "/b") & MS_RDONLY));
    WANT(views_close_tree(proc_fd, e) == 0);
    WANT(flags_at(proc_fd, "/b") & MS_RDONLY);
    WANT(!(flags_at(proc_fd, "/proc") & MS_RDONLY) && (flags_at(proc_fd, "/proc/sys") & MS_RDONLY));
    newroot_close(&r);
}

static void test_underlay(void **state)
{
    (void)state;
    both(missing_places_are_made_in_an_underlay);
}
static void test_binds(void **state)
{
    (void)state;
    both(a_bind_gets_its_attributes_and_a_file_its_content);
}
static void test_build(void **state)
{
    (void)state;
    both(a_build_sees_devices_and_sealed_views);
}
static void test_close(void **state)
{
    (void)state;
    both(a_run_of_root_is_closed_wherever_a_window_lies);
}

static const char *const folders[] = { "b", "c", "dev", "proc", "sys" };
static const char *const files[] = { "b/inner", "a" };
static const char *const links[][2] = { { "c", "link" },
                                        { "/nowhere", "dangling" },
                                        { "loop", "loop" } };

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/hpcc-test-root.XXXXXX");
    if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
        return -1;
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        if (mkdirat(fd, folders[i], 0755) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (mknodat(fd, files[i], S_IFREG | 0644, 0) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        if (symlinkat(links[i][0], fd, links[i][1]) < 0)
            return -1;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        unlinkat(fd, links[i][1], 0);
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        unlinkat(fd, files[i], 0);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        unlinkat(fd, folders[i], AT_REMOVEDIR);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_underlay),
        cmocka_unit_test(test_binds),
        cmocka_unit_test(test_build),
        cmocka_unit_test(test_close),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
