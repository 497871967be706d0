/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

int ns_unshare(int kinds)
{
    return unshare(kinds);
}

pid_t ns_fork(int kinds)
{
    return (pid_t)syscall(SYS_clone, kinds | SIGCHLD, 0, 0, 0, 0);
}

pid_t ns_fork_unnoticed(void)
{
    return (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
}

int ns_join(int fd, int kind)
{
    return setns(fd, kind);
}

int ns_mounts_private(void)
{
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int ns_mounts_follow(void)
{
    return mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
}

int ns_fresh_proc(void)
{
    return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

int process_dies_with_parent(void)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int process_no_new_privs(struct err *e)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(e, "cannot forbid new privileges");
    return 0;
}

int process_call(const char *name)
{
    return prctl(PR_SET_NAME, name);
}

int process_close_memory(void)
{
    return prctl(PR_SET_DUMPABLE, 0);
}

void process_new_keyring(void)
{
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}
