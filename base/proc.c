/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/proc.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

const char *const proc_clean_env[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C.UTF-8",
    "HOME=/nonexistent",
    NULL,
};

char *proc_find(const char *name)
{
    static const char *const dirs[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                        "/usr/bin",        "/sbin",          "/bin" };
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        auto_free char *path = path_join(dirs[i], name);
        if (access(path, X_OK) == 0)
            return steal_ptr(path);
    }
    return NULL;
}

int proc_exit_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

void proc_close_span(unsigned first, unsigned last)
{
    if (first > last || syscall(SYS_close_range, first, last, 0) == 0)
        return;
    struct rlimit limit = { .rlim_cur = 1024 };
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    for (unsigned fd = first; fd <= last && fd < limit.rlim_cur && fd < 1u << 16; fd++)
        close((int)fd);
}

int proc_compare_fds(const void *a, const void *b)
{
    int x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x - y;
}

int proc_thread(size_t stack_bytes, void *(*run)(void *arg), void *arg)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, stack_bytes);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    int rc = pthread_create(&thread, &attr, run, arg);
    pthread_attr_destroy(&attr);
    return rc;
}

void proc_signals_default(void)
{
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    for (int s = 1; s < 32; s++)
        sigaction(s, &dfl, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Tell the parent why exec never happened. */
NORETURN static void give_up(int report_fd)
{
    int code = errno;
    ssize_t n = write(report_fd, &code, sizeof code);
    (void)n;
    _exit(127);
}

struct pipes {
    int out[2];    /* captured lines */
    int report[2]; /* errno of a child that could not exec; closed by a successful exec */
};

NORETURN static void child(const struct proc_spec *spec, const char *path, const struct pipes *p,
                           pid_t parent)
{
    proc_signals_default();
    if (spec->die_with_us && (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent))
        _exit(127);
    int rest = spec->on_line ? p->out[1] : 2;
    int in = spec->stdin_fd >= 0 ? spec->stdin_fd : open("/dev/null", O_RDONLY | O_CLOEXEC);
    /* Lift all three above 2 first, so that placing one cannot overwrite another's source. */
    int from[3] = { fcntl(in, F_DUPFD_CLOEXEC, 10),
                    fcntl(spec->stdout_fd >= 0 ? spec->stdout_fd : rest, F_DUPFD_CLOEXEC, 10),
                    fcntl(spec->stderr_fd >= 0 ? spec->stderr_fd : rest, F_DUPFD_CLOEXEC, 10) };
    for (int i = 0; i < 3; i++)
        if (from[i] < 0 || dup2(from[i], i) < 0)
            give_up(p->report[1]);
    /* What our own caller left open is not the helper's either. Kernels before 5.11 lack the flag:
     * there only what others left without O_CLOEXEC gets through. */
    (void)syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
    if (spec->before_exec && spec->before_exec(spec->ctx) != 0)
        _exit(127);
    if (spec->cwd && chdir(spec->cwd) < 0)
        give_up(p->report[1]);
    const char *const *envp = spec->envp ? spec->envp : proc_clean_env;
    execve(path, (char *const *)spec->argv, (char *const *)envp);
    give_up(p->report[1]);
}

static int64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Hand complete lines of BUF to the callback; what is left stays. */
static void drain_lines(const struct proc_spec *spec, struct str *buf, bool at_end)
{
    size_t from = 0;
    for (size_t i = 0; i < buf->len; i++) {
        if (buf->data[i] != '\n')
            continue;
        buf->data[i] = 0;
        spec->on_line(spec->ctx, buf->data + from);
        from = i + 1;
    }
    size_t left = buf->len - from;
    if (left && (at_end || left > 16384)) {
        spec->on_line(spec->ctx, buf->data + from);
        from = buf->len;
        left = 0;
    }
    if (buf->data)
        memmove(buf->data, buf->data + from, left);
    buf->len = left;
    if (buf->data)
        buf->data[left] = 0;
}

/* Read the child's output until it is closed. Returns false when the time is over. */
static bool pump(const struct proc_spec *spec, int fd, int64_t deadline)
{
    auto_str struct str buf = { 0 };
    char chunk[8192];
    for (;;) {
        int wait = -1;
        if (deadline) {
            int64_t left = deadline - now_ms();
            if (left <= 0)
                return false;
            wait = (int)left;
        }
        struct pollfd pfd = { .fd = fd, .events = POLLIN };
        int n = poll(&pfd, 1, wait);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            return false;
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        str_add_n(&buf, chunk, (size_t)got);
        drain_lines(spec, &buf, false);
    }
    drain_lines(spec, &buf, true);
    return true;
}

/* Wait for PID; false when the deadline passes first. */
static bool reap(pid_t pid, int64_t deadline, int *wait_status)
{
    for (;;) {
        pid_t got = waitpid(pid, wait_status, deadline ? WNOHANG : 0);
        if (got == pid)
            return true;
        if (got < 0 && errno != EINTR)
            return true;
        if (deadline) {
            if (now_ms() >= deadline)
                return false;
            nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
        }
    }
}

static int parent_side(const struct proc_spec *spec, pid_t pid, struct pipes *p, int *wait_status,
                       struct err *e)
{
    int64_t deadline = spec->timeout_ms ? now_ms() + spec->timeout_ms : 0;
    int code = 0;
    ssize_t n;
    do
        n = read(p->report[0], &code, sizeof code);
    while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof code) {
        while (waitpid(pid, wait_status, 0) < 0 && errno == EINTR)
            ;
        errno = code;
        return err_sys(e, "cannot run '%s'", spec->argv[0]);
    }
    bool in_time = !spec->on_line || pump(spec, p->out[0], deadline);
    if (in_time && reap(pid, deadline, wait_status))
        return 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, wait_status, 0) < 0 && errno == EINTR)
        ;
    return err_set(e, ERR_FAILED, "'%s' took longer than %u s and was stopped", spec->argv[0],
                   spec->timeout_ms / 1000);
}

static void close_pipes(struct pipes *p)
{
    cleanup_fd(&p->out[0]);
    cleanup_fd(&p->out[1]);
    cleanup_fd(&p->report[0]);
    cleanup_fd(&p->report[1]);
}

int proc_run(const struct proc_spec *spec, int *status, struct err *e)
{
    const char *name = spec->argv[0];
    auto_free char *path = strchr(name, '/') ? mem_strdup(name) : proc_find(name);
    if (!path)
        return err_set(e, ERR_HOST, "'%s' is not installed on this host", name);
    cleanup_with(close_pipes) struct pipes p = { .out = { -1, -1 }, .report = { -1, -1 } };
    if ((spec->on_line && pipe2(p.out, O_CLOEXEC) < 0) || pipe2(p.report, O_CLOEXEC) < 0)
        return err_sys(e, "cannot run '%s'", name);

    pid_t self = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(e, "cannot start '%s'", name);
    if (pid == 0)
        child(spec, path, &p, self);
    cleanup_fd(&p.out[1]);
    cleanup_fd(&p.report[1]);
    p.out[1] = p.report[1] = -1;

    int wait_status = 0;
    if (parent_side(spec, pid, &p, &wait_status, e) < 0)
        return -1;
    int code = proc_exit_status(wait_status);
    if (status) {
        *status = code;
        return 0;
    }
    if (code == 0)
        return 0;
    err_set(e, ERR_FAILED, "'%s' failed with status %d", name, code);
    if (e)
        e->status = code;
    return -1;
}
