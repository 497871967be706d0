/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/proc.h"
#include "runtime/runtime.h"
#include "jail/jail.h"

/* Three processes:
 *   caller   waits for the report and answers one question (map the ids: newuidmap wants to be run
 *            from outside the new namespace)
 *   monitor  enters the namespaces, starts init, outlives both others to clean up. It has its own
 *            session, so that neither Ctrl-C nor a kill of the caller's process group takes it away
 *            before its work is done; it learns of the caller's death by the end of a pipe.
 *   init     pid 1 of the worker's pid namespace; runs main. It dies with the monitor, and all its
 *            descendants with it. */

enum { NEED_IDS = 65535 }; /* besides our own, which becomes 0 */

struct worker {
    const struct runtime_worker_spec *spec;
    bool userns;
    struct userns_range uids, gids;
    int life[2];   /* the caller holds [1]; its end is the caller's death */
    int report[2]; /* one wire message */
    int sync[2];   /* [0] caller, [1] monitor: "unshared" and "mapped" */
    char *cwd;     /* where the caller works, while we stand in spec->dir */
    int cwd_fd;
};
#define WORKER_INIT                                                                                \
    {                                                                                              \
        .life = { -1, -1 }, .report = { -1, -1 }, .sync = { -1, -1 }, .cwd_fd = -1                 \
    }

static void drop_fd(int *fd)
{
    cleanup_fd(fd);
    *fd = -1;
}

static void worker_fini(struct worker *w)
{
    for (int i = 0; i < 2; i++) {
        drop_fd(&w->life[i]);
        drop_fd(&w->report[i]);
        drop_fd(&w->sync[i]);
    }
    drop_fd(&w->cwd_fd);
    free(w->cwd);
}

static int enter_userns(struct worker *w, struct err *e)
{
    struct userns_ids own = { geteuid(), getegid() };
    if (ns_unshare(CLONE_NEWUSER) < 0)
        return userns_refused(errno, e);
    if (w->spec->need_root_map) {
        char c = 'u';
        if (write(w->sync[1], &c, 1) != 1 || read(w->sync[1], &c, 1) != 1)
            _exit(1); /* the caller has the error already */
    } else if (userns_map_single(own, (struct userns_ids){ 0, 0 }, -1, e) < 0) {
        return -1;
    }
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return err_sys(e, "cannot become root of the worker's user namespace");
    return 0;
}

/* A descriptor stays in the mount namespace in which it was opened, and nothing of another one can
 * be bound; but the working directory comes along into a new one. */
static int stand_in_dir(struct worker *w, struct err *e)
{
    w->cwd_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w->cwd = getcwd(NULL, 0);
    return fchdir(w->spec->dir->fd) < 0 ? err_sys(e, "cannot enter the worker's directory") : 0;
}

static int enter_namespaces(struct worker *w, struct err *e)
{
    if (w->userns && enter_userns(w, e) < 0)
        return -1;
    if (w->spec->prepare && w->spec->prepare(w->spec->ctx, e) < 0)
        return -1;
    if (w->spec->dir && stand_in_dir(w, e) < 0)
        return -1;
    if (ns_unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) < 0) {
        err_sys(e, "cannot make the worker's namespaces");
        err_code_set(e, ERR_HOST);
        return err_hint(e, "inside another container they are often forbidden: run hpcc on the "
                           "host itself, or as an ordinary user");
    }
    if (ns_mounts_private() < 0)
        return err_sys(e, "cannot make the worker's mounts private");
    return 0;
}

/* ── the directory of its own ── */

/* We stand in it. */
static int show_dir(struct runtime_own_dir *dir, struct err *e)
{
    int fd = ns_show_here(&dir->path, e);
    if (fd < 0)
        return -1;
    dir->fd = fd; /* the other stays open: who locked the directory locked that one */
    return 0;
}

/* By its name, which must lead where it led; one that cannot be found any more (removed, shut) is
 * the old one still, in the caller's mounts. */
static int go_back(const struct worker *w, struct err *e)
{
    struct stat was, now;
    if (w->cwd && chdir(w->cwd) == 0 && stat(".", &now) == 0 && fstat(w->cwd_fd, &was) == 0 &&
        now.st_dev == was.st_dev && now.st_ino == was.st_ino)
        return 0;
    return fchdir(w->cwd_fd) < 0 ? err_sys(e, "cannot go back to the working directory") : 0;
}

/* Pid 1. LINK is a pipe whose other end the monitor alone holds. */
NORETURN static void init_main(struct worker *w, int link)
{
    auto_err struct err e = { 0 };
    auto_str struct str result = { 0 };
    proc_signals_default();
    struct pollfd pfd = { .fd = link };
    if (process_dies_with_parent() < 0 || poll(&pfd, 1, 0) != 0)
        _exit(1); /* the monitor died before it could take us along */
    close(link);
    /* A namespace of its own, so that what main mounts is gone when cleanup comes to remove trees.
     * A fresh /proc fits the pid namespace; where the host forbids one, /proc/self still works. */
    if (ns_unshare(CLONE_NEWNS) < 0)
        err_sys(&e, "cannot make the worker's mount namespace");
    else if (ns_fresh_proc() < 0)
        log_debug("no fresh /proc in the worker: %s", strerror(errno));
    if (!e.msg && w->spec->dir && show_dir(w->spec->dir, &e) == 0 && go_back(w, &e) < 0)
        log_debug("the worker stays in its directory");
    if (!e.msg && w->spec->main(w->spec->ctx, &result, &e) < 0 && !e.code)
        err_set(&e, ERR_BUG, "the worker failed without a word");
    int failed = e.code != ERR_NONE;
    if (wire_send(w->report[1], &e, &result) < 0)
        _exit(1);
    _exit(failed);
}

/* Wait for init's end or the caller's, whichever comes first. */
static int watch(struct worker *w, pid_t init)
{
    int status = 0;
    auto_close int pidfd = (int)syscall(SYS_pidfd_open, init, 0);
    struct pollfd pfd[2] = { { .fd = w->life[0] }, { .fd = pidfd, .events = POLLIN } };
    for (;;) {
        poll(pfd, 2, pidfd < 0 ? 50 : -1); /* kernels before 5.3 have no pidfd_open: look often */
        if (pfd[0].revents)
            kill(init, SIGKILL);
        pid_t got = waitpid(init, &status, pfd[0].revents ? 0 : WNOHANG);
        if (got == init || (got < 0 && errno != EINTR))
            return status;
    }
}

NORETURN static void monitor_main(struct worker *w)
{
    auto_err struct err e = { 0 };
    int link[2] = { -1, -1 };
    setsid();
    proc_signals_default();
    drop_fd(&w->life[1]);
    drop_fd(&w->report[0]);
    drop_fd(&w->sync[0]);
    pid_t init = -1;
    if (enter_namespaces(w, &e) == 0 && pipe2(link, O_CLOEXEC) < 0)
        err_sys(&e, "cannot make a pipe");
    if (!e.msg) {
        init = fork();
        if (init < 0)
            err_sys(&e, "cannot start the worker");
    }
    if (init == 0) {
        close(link[1]);
        drop_fd(&w->life[0]);
        init_main(w, link[0]);
    }
    drop_fd(&link[0]);
    if (e.msg && wire_send(w->report[1], &e, NULL) < 0)
        _exit(1);
    drop_fd(&w->report[1]);
    int status = init > 0 ? watch(w, init) : 0;
    if (w->spec->cleanup)
        w->spec->cleanup(w->spec->ctx);
    _exit(proc_exit_status(status) & 0xff);
}

/* The caller's part of the mapping. */
static int answer_map(struct worker *w, pid_t monitor, struct err *e)
{
    char c;
    ssize_t n;
    do
        n = read(w->sync[0], &c, 1);
    while (n < 0 && errno == EINTR);
    if (n != 1)
        return 0; /* it could not unshare: its report says why */
    if (userns_map_ranges(monitor, &w->uids, &w->gids, e) < 0)
        return -1;
    return write(w->sync[0], &c, 1) == 1 ? 0 : err_sys(e, "cannot talk to the worker");
}

/* Until there is a report to read. When the caller is told to stop, the monitor is told that the
 * caller is gone. */
static void await_report(struct worker *w)
{
    struct pollfd pfd[2] = { { .fd = w->report[0], .events = POLLIN },
                             { .fd = w->spec->stop_fd ? *w->spec->stop_fd : -1,
                               .events = POLLIN } };
    while (!pfd[0].revents && !pfd[1].revents)
        if (poll(pfd, 2, -1) < 0 && errno != EINTR)
            return;
    if (pfd[1].revents)
        drop_fd(&w->life[1]);
}

static int collect(struct worker *w, pid_t monitor, struct str *result, struct err *e)
{
    auto_err struct err from_child = { 0 };
    auto_err struct err map_error = { 0 };
    int mapped = w->sync[0] < 0 ? 0 : answer_map(w, monitor, &map_error);
    drop_fd(&w->sync[0]);
    await_report(w);
    int got = wire_receive(w->report[0], &from_child, result);
    int status = 0;
    while (waitpid(monitor, &status, 0) < 0 && errno == EINTR)
        ;
    if (mapped < 0)
        return err_move(e, &map_error);
    if (got == 1)
        return from_child.code == ERR_NONE ? 0 : err_move(e, &from_child);
    int code = proc_exit_status(status);
    err_set(e, ERR_FAILED, "the worker died before it was done (status %d)", code);
    if (code == 128 + SIGKILL)
        err_hint(e, "something killed it; when it was the kernel ('dmesg'), memory ran out");
    return -1;
}

int runtime_worker_run(const struct runtime_worker_spec *spec, struct str *result, struct err *e)
{
    cleanup_with(worker_fini) struct worker w = WORKER_INIT;
    w.spec = spec;
    w.userns = geteuid() != 0;
    bool map = w.userns && spec->need_root_map;
    if (map && userns_ranges(NEED_IDS, &w.uids, &w.gids, e) < 0)
        return -1;
    if (pipe2(w.life, O_CLOEXEC) < 0 || pipe2(w.report, O_CLOEXEC) < 0 ||
        (map && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w.sync) < 0))
        return err_sys(e, "cannot start a worker");
    fflush(NULL); /* what is buffered would be written twice */
    pid_t monitor = fork();
    if (monitor < 0)
        return err_sys(e, "cannot start a worker");
    if (monitor == 0)
        monitor_main(&w);
    drop_fd(&w.life[0]);
    drop_fd(&w.report[1]);
    drop_fd(&w.sync[1]);
    return collect(&w, monitor, result, e);
}
