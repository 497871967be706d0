/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Written as BPF by hand, like every other start-up cost here: libseccomp would add a library and
 * half a millisecond to every start. */

#if defined(__x86_64__)
#define NATIVE_ARCH  AUDIT_ARCH_X86_64
#define FOREIGN_ARCH AUDIT_ARCH_I386
#define X32_BIT      0x40000000u
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__powerpc64__)
#define NATIVE_ARCH AUDIT_ARCH_PPC64LE
#elif defined(__riscv)
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#else
#error "jail/seccomp.c does not know this architecture"
#endif

#define NONE (-1)

struct denied {
    int native;
    int foreign; /* i386's number */
    unsigned policy;
};

static const struct denied denied[] = {
    { SYS_kexec_load, 283, SECCOMP_BASE },
#ifdef SYS_kexec_file_load
    { SYS_kexec_file_load, NONE, SECCOMP_BASE },
#endif
    { SYS_init_module, 128, SECCOMP_BASE },
    { SYS_finit_module, 350, SECCOMP_BASE },
    { SYS_delete_module, 129, SECCOMP_BASE },
    { SYS_reboot, 88, SECCOMP_BASE },
    { SYS_swapon, 87, SECCOMP_BASE },
    { SYS_swapoff, 115, SECCOMP_BASE },
    { SYS_acct, 51, SECCOMP_BASE },
    { SYS_quotactl, 131, SECCOMP_BASE },
    { SYS_bpf, 357, SECCOMP_BASE },
    { SYS_open_by_handle_at, 342, SECCOMP_BASE },
    { SYS_settimeofday, 79, SECCOMP_BASE },
    { SYS_clock_settime, 264, SECCOMP_BASE },
    { NONE, 404, SECCOMP_BASE }, /* clock_settime64 */
    { NONE, 25, SECCOMP_BASE },  /* stime */
    { SYS_syslog, 103, SECCOMP_BASE },
#ifdef SYS_iopl
    { SYS_iopl, 110, SECCOMP_BASE },
    { SYS_ioperm, 101, SECCOMP_BASE },
#endif
    { SYS_add_key, 286, SECCOMP_CONTAIN },
    { SYS_request_key, 287, SECCOMP_CONTAIN },
    { SYS_keyctl, 288, SECCOMP_CONTAIN },
    { SYS_mount, 21, SECCOMP_CONTAIN },
    { SYS_umount2, 52, SECCOMP_CONTAIN },
    { NONE, 22, SECCOMP_CONTAIN }, /* umount */
    { SYS_pivot_root, 217, SECCOMP_CONTAIN },
    { SYS_open_tree, SYS_open_tree, SECCOMP_CONTAIN },
    { SYS_move_mount, SYS_move_mount, SECCOMP_CONTAIN },
    { SYS_fsopen, SYS_fsopen, SECCOMP_CONTAIN },
    { SYS_fsconfig, SYS_fsconfig, SECCOMP_CONTAIN },
    { SYS_fsmount, SYS_fsmount, SECCOMP_CONTAIN },
    { SYS_fspick, SYS_fspick, SECCOMP_CONTAIN },
    { SYS_mount_setattr, SYS_mount_setattr, SECCOMP_CONTAIN },
    { SYS_setns, 346, SECCOMP_CONTAIN },
};

/* Calls whose first argument is a set of CLONE_* flags. */
static const struct denied newuser[] = {
    { SYS_unshare, 310, SECCOMP_CONTAIN },
    { SYS_clone, 120, SECCOMP_CONTAIN },
};

enum { IOCTL_I386 = 54, CLONE3_ANY = 435, MAX_CODE = 512 };

struct program {
    struct sock_filter code[MAX_CODE];
    unsigned short n;
};

static void add(struct program *p, struct sock_filter op)
{
    if (p->n < MAX_CODE)
        p->code[p->n++] = op;
}

#define OFFSET_NR   offsetof(struct seccomp_data, nr)
#define OFFSET_ARCH offsetof(struct seccomp_data, arch)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OFFSET_ARG(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#else
#define OFFSET_ARG(n) (offsetof(struct seccomp_data, args) + 8 * (n) + 4)
#endif

static void load(struct program *p, size_t offset)
{
    add(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

static void ret(struct program *p, unsigned action)
{
    add(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void deny_nr(struct program *p, int nr, int error)
{
    if (nr == NONE)
        return;
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1));
    ret(p, SECCOMP_RET_ERRNO | (unsigned)error);
}

/* Only the low 32 bits of an ioctl's number count in the kernel, so only they are compared:
 * 0x100005412 is TIOCSTI too. */
static void deny_terminal(struct program *p, int ioctl_nr)
{
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)ioctl_nr, 0, 5));
    load(p, OFFSET_ARG(1));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 1, 0));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 0, 1));
    ret(p, SECCOMP_RET_ERRNO | EPERM);
    ret(p, SECCOMP_RET_ALLOW);
}

static void deny_newuser(struct program *p, int nr)
{
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 4));
    load(p, OFFSET_ARG(0));
    add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_NEWUSER, 0, 1));
    ret(p, SECCOMP_RET_ERRNO | EPERM);
    ret(p, SECCOMP_RET_ALLOW);
}

/* One ABI's rules; ends in a return on every path. */
static void abi(struct program *p, unsigned policy, bool native)
{
    load(p, OFFSET_NR);
#ifdef X32_BIT
    if (native) {
        add(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
        ret(p, SECCOMP_RET_ERRNO | ENOSYS);
    }
#endif
    for (size_t i = 0; i < ARRAY_LEN(denied); i++)
        if (denied[i].policy & policy)
            deny_nr(p, native ? denied[i].native : denied[i].foreign, EPERM);
    if (policy & SECCOMP_CONTAIN) {
        deny_nr(p, CLONE3_ANY, ENOSYS); /* its flags lie in memory: make libc use clone */
        for (size_t i = 0; i < ARRAY_LEN(newuser); i++)
            deny_newuser(p, native ? newuser[i].native : newuser[i].foreign);
    }
    deny_terminal(p, native ? SYS_ioctl : IOCTL_I386);
    ret(p, SECCOMP_RET_ALLOW);
}

int seccomp_install(unsigned policy, struct err *e)
{
    struct program native = { .n = 0 };
    struct program all = { .n = 0 };
    abi(&native, policy, true);
    load(&all, OFFSET_ARCH);
    /* A conditional jump reaches 255 steps only; "ja" reaches everything. */
    add(&all, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 0, 1));
    unsigned short skip = all.n;
    add(&all, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
#ifdef FOREIGN_ARCH
    add(&all, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FOREIGN_ARCH, 1, 0));
#endif
    ret(&all, SECCOMP_RET_ERRNO | ENOSYS);
#ifdef FOREIGN_ARCH
    abi(&all, policy, false);
#endif
    all.code[skip].k = (unsigned)(all.n - skip - 1);
    for (size_t i = 0; i < native.n; i++)
        add(&all, native.code[i]);
    if (all.n >= MAX_CODE)
        return err_set(e, ERR_BUG, "the system call filter is too long");
    struct sock_fprog prog = { .len = all.n, .filter = all.code };
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0) {
        err_sys(e, "cannot install the system call filter");
        return err_code_set(e, ERR_HOST);
    }
    return 0;
}
