/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/init.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/proc.h"

void init_block_signals(sigset_t *watched, sigset_t *old)
{
    static const int all[] = { SIGCHLD, SIGTERM, SIGINT,  SIGHUP,   SIGQUIT,
                               SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH, SIGALRM };
    sigemptyset(watched);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        sigaddset(watched, all[i]);
    sigprocmask(SIG_BLOCK, watched, old);
}

NORETURN void init_loop(pid_t program, const sigset_t *watched)
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

int init_wait(pid_t init, const sigset_t *watched, pid_t server)
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
