/* SPDX-License-Identifier: BSD-3-Clause */
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "jail/filter.h"
#include "jail/jail.h"
#include "base/mem.h"

/* The one table of system calls. The first row that holds decides. Except for the server, what no
 * row names may be called: all that MPI, debuggers, profilers, GPUs and io_uring want. The server,
 * which parses a stranger's bytes outside of any container, may call what its rows name. */

#define NONE FILTER_NONE

/* Nobody in a jail changes the kernel under the host. */
#define ALL (JAIL_RUN | JAIL_BUILD)
/* Who would be somebody on the host finds no way back to powers that were taken from him: in a
 * namespace of his own he would have all of them, and could mount a fresh sysfs or cgroup2, whose
 * files ask for uid 0 alone. setns leads into one that another process of his has made. */
#define SHUT (JAIL_CONTAIN | JAIL_BUILD | JAIL_HOST_ROOT)
/* Keys of the caller's session, which AFS and Kerberos keep there. */
#define KEYS (JAIL_CONTAIN | JAIL_BUILD)

#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)

/* Newer than some headers; since Linux 5.1 a number is the same everywhere. */
enum { CALL_CLONE3 = 435, CALL_QUOTACTL_FD = 443, CALL_OPEN_TREE_ATTR = 467 };

#define DENY(native, i386, variants)                                                               \
    {                                                                                              \
        (native), (i386), (variants), EPERM, 0, 0, 0                                               \
    }
#define DENY_SINCE_5_1(nr, variants) DENY(nr, nr, variants)
#define DENY_FLAG(native, i386, variants, arg, flag)                                               \
    {                                                                                              \
        (native), (i386), (variants), EPERM, (arg), (flag), (flag)                                 \
    }
/* Only the low 32 bits of an ioctl's number count in the kernel: 0x100005412 is TIOCSTI too. */
#define DENY_IOCTL(request)                                                                        \
    {                                                                                              \
        SYS_ioctl, 54, ALL, EPERM, 1, UINT32_MAX, (request)                                        \
    }
#define PRETEND(native, i386)                                                                      \
    {                                                                                              \
        (native), (i386), JAIL_NO_SYNC, 0, 0, 0, 0                                                 \
    }
#define LET(native)                                                                                \
    {                                                                                              \
        (native), NONE, JAIL_SERVER, FILTER_LET, 0, 0, 0                                           \
    }
#define LET_IF(native, arg, mask, value)                                                           \
    {                                                                                              \
        (native), NONE, JAIL_SERVER, FILTER_LET, (arg), (mask), (value)                            \
    }

const struct filter_rule filter_rules[] = {
    /* the kernel itself, and the host's time, disks and memory */
    DENY(SYS_kexec_load, 283, ALL),
#ifdef SYS_kexec_file_load
    DENY(SYS_kexec_file_load, NONE, ALL),
#endif
    DENY(SYS_init_module, 128, ALL),
    DENY(SYS_finit_module, 350, ALL),
    DENY(SYS_delete_module, 129, ALL),
    DENY(SYS_reboot, 88, ALL),
    DENY(SYS_swapon, 87, ALL),
    DENY(SYS_swapoff, 115, ALL),
    DENY(SYS_acct, 51, ALL),
    DENY(SYS_quotactl, 131, ALL),
    DENY_SINCE_5_1(CALL_QUOTACTL_FD, ALL),
    DENY(SYS_bpf, 357, ALL),
    DENY(SYS_open_by_handle_at, 342, ALL),
    DENY(SYS_settimeofday, 79, ALL),
    DENY(SYS_clock_settime, 264, ALL),
    DENY(NONE, 404, ALL), /* clock_settime64 */
    DENY(NONE, 25, ALL),  /* stime */
    DENY(SYS_syslog, 103, ALL),
#ifdef SYS_iopl
    DENY(SYS_iopl, 110, ALL),
    DENY(SYS_ioperm, 101, ALL),
#endif
    /* words put into the terminal's input, as if the caller had typed them */
    DENY_IOCTL(TIOCSTI),
    DENY_IOCTL(TIOCLINUX),

    DENY(SYS_add_key, 286, KEYS),
    DENY(SYS_request_key, 287, KEYS),
    DENY(SYS_keyctl, 288, KEYS),

    DENY(SYS_mount, 21, SHUT),
    DENY(SYS_umount2, 52, SHUT),
    DENY(NONE, 22, SHUT), /* umount */
    DENY(SYS_pivot_root, 217, SHUT),
    DENY_SINCE_5_1(SYS_open_tree, SHUT),
    DENY_SINCE_5_1(SYS_move_mount, SHUT),
    DENY_SINCE_5_1(SYS_fsopen, SHUT),
    DENY_SINCE_5_1(SYS_fsconfig, SHUT),
    DENY_SINCE_5_1(SYS_fsmount, SHUT),
    DENY_SINCE_5_1(SYS_fspick, SHUT),
    DENY_SINCE_5_1(SYS_mount_setattr, SHUT),
    DENY_SINCE_5_1(CALL_OPEN_TREE_ATTR, SHUT),
    DENY(SYS_setns, 346, SHUT),
    DENY_FLAG(SYS_unshare, 310, SHUT, 0, CLONE_NEWUSER),
    DENY_FLAG(SYS_clone, 120, SHUT, 0, CLONE_NEWUSER),
    /* its flags lie in memory, out of a filter's reach: libc then uses clone */
    { CALL_CLONE3, CALL_CLONE3, SHUT | JAIL_SERVER, ENOSYS, 0, 0, 0 },

    /* what is thrown away after a crash needs no disk to be waited for */
    PRETEND(SYS_fsync, 118),
    PRETEND(SYS_fdatasync, 148),
    PRETEND(SYS_sync, 36),
    PRETEND(SYS_syncfs, 344),
    PRETEND(SYS_msync, 144),
#ifdef SYS_sync_file_range
    PRETEND(SYS_sync_file_range, 314),
#endif
#ifdef SYS_sync_file_range2
    PRETEND(SYS_sync_file_range2, NONE),
#endif

    LET(SYS_read),
    LET(SYS_write),
    LET(SYS_pread64),
    LET(SYS_readv),
    LET(SYS_writev),
    LET(SYS_preadv),
    LET(SYS_futex),
    LET(SYS_munmap),
    LET(SYS_madvise),
    LET(SYS_brk),
    LET(SYS_exit),
    LET(SYS_exit_group),
    LET(SYS_rt_sigaction),
    LET(SYS_rt_sigprocmask),
    LET(SYS_rt_sigreturn),
    LET(SYS_restart_syscall),
    LET(SYS_clock_gettime),
    LET(SYS_sched_yield),
    LET(SYS_sched_getaffinity),
    LET(SYS_set_robust_list),
    LET(SYS_rseq),
    LET(SYS_gettid),
    LET(SYS_getpid),
    LET(SYS_fadvise64),
    LET(SYS_sched_getattr),
    LET(SYS_sched_setattr),
    LET(SYS_close),
    LET(SYS_lseek),
    LET(SYS_sigaltstack),
    LET(SYS_tgkill),
    /* its sockets: the caller hands it the mount, other runs ask to share it */
    LET(SYS_ppoll),
    LET(SYS_accept4),
    LET(SYS_recvmsg),
    LET(SYS_sendmsg),
    LET(SYS_getsockopt),
    LET(SYS_shutdown),
    LET_IF(SYS_mmap, 2, PROT_EXEC, 0),
    LET_IF(SYS_mprotect, 2, PROT_EXEC, 0),
    LET_IF(SYS_clone, 0, THREAD, THREAD),
#if JAIL_SANITIZED /* what its runtime does when a thread begins */
    LET(SYS_prlimit64),
#endif
};

const size_t filter_n_rules = ARRAY_LEN(filter_rules);
