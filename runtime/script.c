/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "jail/jail.h"
#include "runtime/runtime.h"

/* Files of the host that names on the network need. The root may lack them or hold a link to
 * nowhere; then an empty file is made to mount on, and taken away again. */
static const char *const net_files[] = { "/etc/resolv.conf", "/etc/hosts" };

struct script {
    const struct runtime_script_spec *spec;
    int report_fd; /* a wire message when the script never started */
    char *made[ARRAY_LEN(net_files)];
};

/* Where PATH's final link points inside the root, or PATH itself; one step is what resolv.conf has
 * in practice (→ ../run/systemd/resolve/stub-resolv.conf). */
static char *link_target(int rootfs_fd, const char *path)
{
    char buf[4096];
    auto_close int fd = fs_open_at(rootfs_fd, path, O_PATH | O_NOFOLLOW, 0, NULL);
    ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", buf, sizeof buf - 1);
    if (n <= 0)
        return mem_strdup(path);
    buf[n] = 0;
    auto_free char *dir = path_dir(path);
    auto_free char *full = buf[0] == '/' ? mem_strdup(buf) : path_join(dir, buf);
    return path_clean(full);
}

static int make_net_file(int rootfs_fd, const char *path, char **made, struct err *e)
{
    struct stat st;
    if (access(path, R_OK) < 0 || fs_stat_at(rootfs_fd, path, true, &st) == 0)
        return 0;
    auto_free char *target = link_target(rootfs_fd, path);
    auto_free char *dir = path_dir(target);
    if (fs_mkdirs_at(rootfs_fd, dir, 0755, e) < 0)
        return -1;
    auto_close int fd = fs_open_at(rootfs_fd, target, O_WRONLY | O_CREAT | O_EXCL, 0644, e);
    if (fd < 0)
        return -1;
    *made = steal_ptr(target);
    return 0;
}

static void unmake_net_file(int rootfs_fd, const char *path)
{
    auto_free char *name = NULL;
    struct stat st;
    auto_close int dir_fd = fs_open_parent_at(rootfs_fd, path, &name, NULL);
    if (dir_fd >= 0 && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(st.st_mode) && st.st_size == 0)
        unlinkat(dir_fd, name, 0);
}

/* The root as this mount namespace knows it: a descriptor from another one cannot be bound. */
static int same_root_here(int rootfs_fd, struct err *e)
{
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", rootfs_fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return err_sys(e, "cannot find the root's path");
    path[n] = 0;
    auto_close int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat a, b;
    if (fd < 0 || fstat(fd, &a) < 0 || fstat(rootfs_fd, &b) < 0)
        return err_sys(e, "cannot open the root '%s'", path);
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return err_set(e, ERR_FAILED, "the root '%s' was replaced while it was built", path);
    return steal_fd(&fd);
}

static int bind_net_files(struct mounter *m, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(net_files); i++) {
        struct stat st;
        auto_close int src = open(net_files[i], O_PATH | O_CLOEXEC);
        if (src < 0 || access(net_files[i], R_OK) < 0 ||
            fs_stat_at(m->root_fd, net_files[i], true, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        unsigned attrs = MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC | MOUNT_FLAT;
        if (mounter_bind(m, src, net_files[i], attrs, e) < 0)
            return -1;
    }
    return 0;
}

/* In pid 1 of the script's namespace: new root, then no way back. Device files that packages make
 * stay closed (nodev), so they need no watching. */
static int enter_root(const struct script *s, struct err *e)
{
    static const char *const dirs[] = { "/dev", "/proc", "/sys" };
    cleanup_with(mounter_close) struct mounter m;
    mounter_open(&m);
    if (ns_mounts_private() < 0)
        return err_sys(e, "cannot make mounts private");
    auto_close int root_fd = same_root_here(s->spec->rootfs_fd, e);
    if (root_fd < 0 || mounter_root_bind(&m, root_fd, MOUNT_NODEV, e) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (fs_mkdirs_at(m.root_fd, dirs[i], 0755, e) < 0)
            return -1;
    if (devices_make(&m, e) < 0 || views_make(&m, JAIL_BUILD, e) < 0 || bind_net_files(&m, e) < 0)
        return -1;
    if (mounter_pivot(&m, e) < 0)
        return -1;
    umask(022);
    if (filter_install(JAIL_BUILD, e) < 0)
        return -1;
    return caps_bound(JAIL_BUILD, e);
}

/* Reap until CHILD is gone; the rest of the namespace dies with us. */
NORETURN static void wait_and_exit(pid_t child)
{
    int status = 0;
    for (;;) {
        pid_t got = waitpid(-1, &status, 0);
        if (got == child)
            _exit(proc_exit_status(status));
        if (got < 0 && errno != EINTR)
            _exit(127);
    }
}

/* Descriptors of the caller's that only the script itself may keep: as long as we hold them, the
 * caller waits for their end. */
static void let_go(void)
{
    if (close_range(3, ~0u, 0) < 0)
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
}

NORETURN static void give_up(const struct script *s, const struct err *e)
{
    _exit(wire_send(s->report_fd, e, NULL) < 0 ? 126 : 127);
}

/* Runs in proc_run's child, which becomes a waiting stub outside the new pid namespace; its child
 * is pid 1 inside; and the grandchild returns from here to exec the script. */
static int enter(void *ctx)
{
    struct script *s = ctx;
    auto_err struct err e = { 0 };
    int link[2];
    if (ns_unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC) < 0 || pipe2(link, O_CLOEXEC) < 0) {
        err_sys(&e, "cannot make the script's namespaces");
        give_up(s, &e);
    }
    pid_t init = fork();
    if (init < 0) {
        err_sys(&e, "cannot start the script");
        give_up(s, &e);
    }
    if (init > 0) {
        /* The write end of LINK stays open here: its end tells init of our death. */
        int keep = link[1];
        if (dup2(keep, 3) != 3)
            _exit(127);
        if (close_range(4, ~0u, 0) < 0)
            for (int fd = 4; fd < 1024; fd++)
                close(fd);
        wait_and_exit(init);
    }
    close(link[1]);
    char c;
    fcntl(link[0], F_SETFL, O_NONBLOCK);
    if (process_dies_with_parent() < 0 || read(link[0], &c, 1) == 0)
        _exit(127);
    close(link[0]);
    if (enter_root(s, &e) < 0)
        give_up(s, &e);
    pid_t script = fork();
    if (script < 0) {
        err_sys(&e, "cannot start the script");
        give_up(s, &e);
    }
    if (script > 0) {
        let_go();
        wait_and_exit(script);
    }
    return 0;
}

static void pass_line(void *ctx, const char *line)
{
    const struct script *s = ctx;
    s->spec->on_line(s->spec->ctx, line);
}

static int perform(struct script *s, int *status, struct err *e)
{
    auto_err struct err from_child = { 0 };
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_sys(e, "cannot start the script");
    auto_close int report_in = report[0];
    s->report_fd = report[1];
    struct proc_spec proc = {
        .argv = s->spec->argv,
        .envp = s->spec->envp,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .on_line = s->spec->on_line ? pass_line : NULL,
        .before_exec = enter,
        .ctx = s,
        .die_with_us = true,
    };
    int rc = proc_run(&proc, status, e);
    close(s->report_fd);
    if (wire_receive(report_in, &from_child, NULL) == 1) {
        err_move(e, &from_child);
        return err_wrap(e, "cannot run '%s' in the root", s->spec->argv[0]);
    }
    return rc;
}

int runtime_script_run(const struct runtime_script_spec *spec, int *status, struct err *e)
{
    struct script s = { .spec = spec };
    int rc = 0;
    if (spec->argv[0][0] != '/')
        return err_set(e, ERR_BUG, "'%s' is not an absolute path inside the root", spec->argv[0]);
    for (size_t i = 0; i < ARRAY_LEN(net_files) && rc == 0; i++)
        rc = make_net_file(spec->rootfs_fd, net_files[i], &s.made[i], e);
    if (rc == 0)
        rc = perform(&s, status, e);
    for (size_t i = 0; i < ARRAY_LEN(net_files); i++) {
        if (s.made[i])
            unmake_net_file(spec->rootfs_fd, s.made[i]);
        free(s.made[i]);
    }
    return rc;
}
