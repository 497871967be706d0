/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"

/* ── what of us stays visible ── */

/* The caller's variables lie where exec put them, and /proc/PID/environ of a forked child shows
 * that very memory. The kernel alone knows where it is. */
static int forget_environment(struct err *e)
{
    auto_str struct str text = { 0 };
    unsigned long long start = 0, end = 0;
    if (!defence("cell-env"))
        return 0;
    if (fs_read_file("/proc/self/stat", 8192, &text, e) < 0)
        return err_wrap(e, "cannot find the environment");
    const char *p = strrchr(str_text(&text), ')'); /* the name before it may hold anything */
    for (int field = 2; p && field < 50; field++) {
        p = strchr(p, ' ');
        p = p ? p + 1 : NULL;
    }
    if (!p || sscanf(p, "%llu %llu", &start, &end) != 2 || start > end)
        return err_set(e, ERR_HOST, "'/proc/self/stat' does not tell where the environment lies");
    if (start)
        memset((void *)(uintptr_t)start, 0, (size_t)(end - start)); /* NOLINT */
    clearenv();
    return 0;
}

int cell_confine(const struct cell *c, struct err *e)
{
    if (defence("keyring"))
        process_new_keyring();
    if (defence("cell-filter") && filter_install(JAIL_BUILD | JAIL_NO_SYNC, e) < 0)
        return -1;
    if (defence("cell-caps") && caps_bound(c->idle ? 0 : JAIL_BUILD, e) < 0)
        return -1;
    /* Nobody but the kernel looks into us from now on: not our memory, not what /proc/PID/fd, cwd,
     * root and environ lead to. */
    if (defence("cell-env") && process_close_memory() < 0)
        return err_sys(e, "cannot hide the process");
    return 0;
}

/* ── programs ── */

struct running {
    const struct cell *cell;
    const struct proc_spec *program;
    int tree_fd;
    int report_fd; /* a wire message when the program never started */
};

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

NORETURN static void give_up(const struct running *r, const struct err *e)
{
    _exit(wire_send(r->report_fd, e, NULL) < 0 ? 126 : 127);
}

/* The stub outside: keeps KEEP alone, whose end tells pid 1 of our death. */
NORETURN static void stub_main(pid_t init, int keep)
{
    if (dup2(keep, 3) != 3)
        _exit(127);
    proc_close_span(4, ~0u);
    wait_and_exit(init);
}

static pid_t fork_or_give_up(const struct running *r)
{
    auto_err struct err e = { 0 };
    pid_t pid = fork();
    if (pid < 0) {
        err_sys(&e, "cannot start the program");
        give_up(r, &e);
    }
    return pid;
}

/* Pid 1: dies with the stub, which may be gone already. */
static void follow_stub(int link)
{
    char c;
    if (process_dies_with_parent() < 0 || fcntl(link, F_SETFL, O_NONBLOCK) < 0 ||
        read(link, &c, 1) == 0)
        _exit(127);
    close(link);
}

/* Runs in proc_run's child, which becomes a waiting stub outside the new pid namespace; its child
 * is pid 1 inside; and the grandchild returns from here to execute the program. */
static int enter(void *ctx)
{
    const struct running *r = ctx;
    auto_err struct err e = { 0 };
    int link[2];
    if (pipe2(link, O_CLOEXEC) < 0)
        err_sys(&e, "cannot make a pipe");
    if (e.code || cell_leave_host(r->cell, &e) < 0)
        give_up(r, &e);
    pid_t init = fork_or_give_up(r);
    if (init > 0)
        stub_main(init, link[1]);
    close(link[1]);
    follow_stub(link[0]);
    if (cell_enter(r->cell, r->tree_fd, &e) < 0 || cell_confine(r->cell, &e) < 0)
        give_up(r, &e);
    pid_t program = fork_or_give_up(r);
    if (program > 0) {
        proc_close_span(3, ~0u); /* as long as we hold them, the caller waits for their end */
        wait_and_exit(program);
    }
    return r->program->before_exec ? r->program->before_exec(r->program->ctx) : 0;
}

static void pass_line(void *ctx, const char *line)
{
    const struct running *r = ctx;
    r->program->on_line(r->program->ctx, line);
}

static int run(struct running *r, int report_in, int *status, struct err *e)
{
    auto_err struct err from_child = { 0 };
    struct proc_spec spec = *r->program;
    spec.before_exec = enter;
    spec.on_line = spec.on_line ? pass_line : NULL;
    spec.ctx = r;
    spec.die_with_us = true;
    int rc = proc_run(&spec, status, e);
    cleanup_fd(&r->report_fd);
    r->report_fd = -1;
    if (wire_receive(report_in, &from_child, NULL) != 1)
        return rc;
    if (e)
        err_clear(e);
    err_move(e, &from_child);
    return err_wrap(e, "cannot run '%s' in the root", spec.argv[0]);
}

int cell_run(const struct cell *c, const struct proc_spec *program, int *status, struct err *e)
{
    int report[2];
    struct running r = { .cell = c, .program = program };
    if (program->argv[0][0] != '/')
        return err_set(e, ERR_BUG, "'%s' is not an absolute path inside the root",
                       program->argv[0]);
    auto_close int tree = cell_open(c, e);
    if (tree < 0)
        return -1;
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_sys(e, "cannot make a pipe");
    auto_close int report_in = report[0];
    r.tree_fd = tree;
    r.report_fd = report[1];
    return run(&r, report_in, status, e);
}

int cell_leave_host(const struct cell *c, struct err *e)
{
    int spaces = CLONE_NEWNS | CLONE_NEWIPC;
    if (defence("cell-pids"))
        spaces |= CLONE_NEWPID;
    if (!c->network)
        spaces |= CLONE_NEWNET;
    if (forget_environment(e) < 0)
        return -1;
    if (ns_unshare(spaces) == 0)
        return 0;
    err_sys(e, "cannot make namespaces for the build");
    return err_code_set(e, ERR_HOST);
}
