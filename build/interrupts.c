/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "base/mem.h"
#include "build/parts.h"

/* The caller of a worker only waits; a thread of its own looks at the signals meanwhile. */
struct interrupts {
    int signal_fd;
    int stop[2]; /* told the worker's monitor: a byte */
    int quit[2]; /* told the thread: end of file */
    int signal;  /* that came; read after the thread has ended */
    sigset_t old_mask;
    pthread_t thread;
};

static void *look(void *ctx)
{
    struct interrupts *i = ctx;
    struct pollfd p[2] = { { .fd = i->signal_fd, .events = POLLIN }, { .fd = i->quit[0] } };
    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return NULL;
        struct signalfd_siginfo info;
        if (p[0].revents && read(i->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
            if (!i->signal && write(i->stop[1], "s", 1) != 1)
                return NULL;
            i->signal = (int)info.ssi_signo;
        }
        if (p[1].revents)
            return NULL;
    }
}

static void interrupts_free(struct interrupts *i)
{
    cleanup_fd(&i->signal_fd);
    for (int k = 0; k < 2; k++) {
        cleanup_fd(&i->stop[k]);
        cleanup_fd(&i->quit[k]);
    }
    pthread_sigmask(SIG_SETMASK, &i->old_mask, NULL);
    free(i);
}

struct interrupts *interrupts_catch(struct err *e)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    struct interrupts *i = mem_zero(1, sizeof *i);
    i->signal_fd = i->stop[0] = i->stop[1] = i->quit[0] = i->quit[1] = -1;
    pthread_sigmask(SIG_BLOCK, &mask, &i->old_mask);
    i->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (i->signal_fd < 0 || pipe2(i->stop, O_CLOEXEC) < 0 || pipe2(i->quit, O_CLOEXEC) < 0) {
        err_sys(e, "cannot watch for signals");
        interrupts_free(i);
        return NULL;
    }
    int rc = pthread_create(&i->thread, NULL, look, i);
    if (rc) {
        errno = rc;
        err_sys(e, "cannot watch for signals");
        interrupts_free(i);
        return NULL;
    }
    return i;
}

int interrupts_stop_fd(const struct interrupts *i)
{
    return i->stop[0];
}

int interrupts_release(struct interrupts *i)
{
    close(i->quit[1]);
    i->quit[1] = -1;
    pthread_join(i->thread, NULL);
    int came = i->signal;
    interrupts_free(i);
    return came;
}
