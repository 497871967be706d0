/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/proc.h"
#include "base/defence.h"
#include "runtime/enter.h"
#include "jail/jail.h"
#include "runtime/share.h"

/* Without --pid the calling process itself enters and becomes the program, so that the scheduler
 * sees the pid it started. With --pid the namespace's first process has to be a child:
 *   caller   waits, passes signals on, ends as the program ended
 *   init     pid 1 inside: reaps orphans (--no-init: is the program)
 *   program */

struct run {
    const struct runtime_plan *p;
    int proc_fd; /* the host's /proc */
    struct rootfs *rootfs;
};

/* Become PID 1's waiting part. Signals that were meant for the program go to it. */
NORETURN static void init_loop(pid_t program, const sigset_t *watched)
{
    for (;;) {
        siginfo_t info;
        if (sigwaitinfo(watched, &info) < 0)
            continue;
        if (info.si_signo != SIGCHLD) {
            /* From the terminal the program got it too: only what was sent to us is passed on. */
            if (info.si_code <= 0)
                kill(program, info.si_signo);
            continue;
        }
        int status;
        pid_t got;
        while ((got = waitpid(-1, &status, WNOHANG)) > 0)
            if (got == program)
                _exit(proc_exit_status(status));
    }
}

static void watched_signals(sigset_t *set)
{
    static const int all[] = { SIGCHLD, SIGTERM, SIGINT,  SIGHUP,   SIGQUIT,
                               SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH, SIGALRM };
    sigemptyset(set);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        sigaddset(set, all[i]);
}

/* In the new pid namespace's first process. */
static int be_init(const struct run *run, const sigset_t *old_mask, struct err *e)
{
    sigset_t watched;
    watched_signals(&watched);
    if (process_dies_with_parent() < 0)
        return err_sys(e, "cannot tie the container to its caller");
    if (!(run->p->flags & RUNTIME_NO_INIT)) {
        /* The program does the mounts too: what it is denied, init has no use for either. */
        pid_t program = fork();
        if (program < 0)
            return err_sys(e, "cannot start the program");
        if (program > 0) {
            close_range(3, ~0u, 0);
            init_loop(program, &watched);
        }
    }
    sigprocmask(SIG_SETMASK, old_mask, NULL);
    return enter_and_exec(run->p, run->proc_fd, run->rootfs, e);
}

/* The server ends by itself, with success, when the mount is gone; any other end takes the files
 * away under the program. */
static bool server_failed(pid_t pid)
{
    int status;
    return waitpid(pid, &status, WNOHANG | __WCLONE) == pid && status != 0;
}

static void pass_signal(int signals, pid_t init)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD &&
        info.ssi_code <= 0)
        kill(init, (int)info.ssi_signo);
}

/* Pass signals to INIT and wait for its end. -1: it had to be ended, since the server failed. */
static int wait_for(pid_t init, const sigset_t *watched, pid_t server)
{
    auto_close int signals = signalfd(-1, watched, SFD_CLOEXEC);
    auto_close int server_fd = server > 0 ? (int)syscall(SYS_pidfd_open, server, 0) : -1;
    struct pollfd at[] = { { .fd = signals, .events = POLLIN },
                           { .fd = server_fd, .events = POLLIN } };
    for (bool failed = false;;) {
        int status;
        if (waitpid(init, &status, failed || signals < 0 ? 0 : WNOHANG) == init)
            return failed ? -1 : proc_exit_status(status);
        if (failed || signals < 0 || poll(at, ARRAY_LEN(at), -1) < 0)
            continue;
        if (at[0].revents)
            pass_signal(signals, init);
        if (!at[1].revents)
            continue;
        at[1].fd = -1;
        failed = server_failed(server);
        if (failed)
            kill(init, SIGKILL);
    }
}

static int with_pid_namespace(const struct run *run, int *status, struct err *e)
{
    const struct runtime_plan *p = run->p;
    auto_err struct err from_child = { 0 };
    int report[2];
    sigset_t watched, old_mask;
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_sys(e, "cannot start the container");
    watched_signals(&watched);
    sigprocmask(SIG_BLOCK, &watched, &old_mask);
    /* Not unshare and fork: the waiting part stays outside of everything. */
    int namespaces = CLONE_NEWPID | (p->userns ? CLONE_NEWUSER : 0);
    pid_t init = ns_fork(namespaces);
    if (init == 0) {
        auto_err struct err why = { 0 };
        close(report[0]);
        if ((enter_namespaces(p, true, run->proc_fd, &why) < 0 ||
             be_init(run, &old_mask, &why) < 0) &&
            wire_send(report[1], &why, NULL) < 0)
            _exit(1);
        _exit(125);
    }
    int clone_error = errno;
    close(report[1]);
    server_close(&run->rootfs->server);
    auto_close int from = report[0];
    if (init < 0)
        return p->userns ? userns_refused(clone_error, e)
                         : err_sys(e, "cannot make a pid namespace");
    int got = wire_receive(from, &from_child, NULL);
    *status = wait_for(init, &watched, run->rootfs->server.pid);
    if (got == 1)
        return err_move(e, &from_child);
    if (*status < 0) {
        err_set(e, ERR_FAILED, "the image server of '%s' died, and the container with it",
                p->image_path);
        return err_hint(e, "was it killed for memory? 'dmesg' or the scheduler's log may tell");
    }
    return 0;
}

static int restrict_fds(const struct runtime_plan *p, struct err *e)
{
    return defence("fds") ? fds_restrict(p->flags & RUNTIME_CONTAIN, &p->keep_fds, e) : 0;
}

int runtime_perform(const struct runtime_plan *p, int *status, struct err *e)
{
    cleanup_with(rootfs_close) struct rootfs rootfs = ROOTFS_INIT;
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigaction(SIGCHLD, &dfl, NULL); /* ignored, it would make children vanish unseen */
    auto_close int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc_fd < 0)
        return err_sys(e, "cannot open '/proc'");
    enum share_found found =
        share_possible(p) ? share_find(p, proc_fd, &rootfs.server.share) : SHARE_ALONE;
    if (found == SHARE_BROKEN) {
        err_sys(e, "cannot enter the mounts of another run of '%s'", p->image_path);
        return err_hint(e, "'--no-share' joins no other run");
    }
    if (found == SHARE_JOINED) {
        if (restrict_fds(p, e) < 0)
            return -1;
        return enter_shared(p, proc_fd, e);
    }
    if (rootfs_start(p, &rootfs, e) < 0 || restrict_fds(p, e) < 0)
        return -1;
    if (p->flags & RUNTIME_PID_NS)
        return with_pid_namespace(&(struct run){ p, proc_fd, &rootfs }, status, e);
    if (enter_namespaces(p, false, proc_fd, e) < 0)
        return -1;
    return enter_and_exec(p, proc_fd, &rootfs, e);
}
