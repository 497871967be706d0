/* SPDX-License-Identifier: BSD-3-Clause */
#include <signal.h>
#include <sys/signalfd.h>

#include "build/parts.h"

int interrupts_catch(struct interrupts *i, struct err *e)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    sigset_t mask;
    sigemptyset(&mask);
    for (size_t k = 0; k < ARRAY_LEN(signals); k++) {
        /* What nohup(1) or the shell made us ignore stays ignored: a blocked signal would not. */
        struct sigaction now;
        if (sigaction(signals[k], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(&mask, signals[k]);
    }
    if (sigprocmask(SIG_BLOCK, &mask, &i->old_mask) < 0)
        return err_sys(e, "cannot watch for signals");
    i->fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (i->fd >= 0)
        return 0;
    err_sys(e, "cannot watch for signals");
    sigprocmask(SIG_SETMASK, &i->old_mask, NULL);
    return -1;
}

int interrupts_release(struct interrupts *i)
{
    struct signalfd_siginfo info;
    int came = 0;
    while (read(i->fd, &info, sizeof info) == (ssize_t)sizeof info)
        came = (int)info.ssi_signo;
    close(i->fd);
    i->fd = -1;
    sigprocmask(SIG_SETMASK, &i->old_mask, NULL);
    return came;
}
