/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/server/serve.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/defence.h"
#include "base/proc.h"

/* The server parses what a stranger wrote, outside of the container. When the reader has a hole
 * after all, this is what is left to find behind it: a few descriptors, and reading and writing
 * them. No socket can be made; those that are there lead to runs of the same user. */

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OUR_ARCH AUDIT_ARCH_PPC64LE
#endif

static const int allowed[] = {
    SYS_read,
    SYS_write,
    SYS_pread64,
    SYS_readv,
    SYS_writev,
    SYS_preadv,
    SYS_futex,
    SYS_munmap,
    SYS_madvise,
    SYS_brk,
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_restart_syscall,
    SYS_clock_gettime,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_gettid,
    SYS_getpid,
    SYS_fadvise64,
    SYS_sched_getattr,
    SYS_sched_setattr,
    SYS_close,
    SYS_lseek,
    SYS_sigaltstack,
    SYS_tgkill,
    /* its sockets: the caller hands it the mount, other runs ask to share it */
    SYS_ppoll,
    SYS_accept4,
    SYS_recvmsg,
    SYS_sendmsg,
    SYS_getsockopt,
    SYS_shutdown,
#if SANITIZED /* what its runtime does when a thread begins */
    SYS_prlimit64,
#endif
};

enum { MAX_FILTER = 16 + 2 * ARRAY_LEN(allowed) };

struct filter {
    struct sock_filter code[MAX_FILTER + 32];
    unsigned short n;
};

static void emit(struct filter *f, struct sock_filter op)
{
    f->code[f->n++] = op;
}

static void load(struct filter *f, size_t offset)
{
    emit(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void ret(struct filter *f, uint32_t action)
{
    emit(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* When the accumulator is NR, do the next N instructions; else skip them. */
static void when(struct filter *f, uint32_t nr, uint8_t n)
{
    emit(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, n));
}

/* System call NR is allowed when the low word of argument ARG, masked, is VALUE. Ends the filter
 * for NR. */
static void allow_if(struct filter *f, uint32_t nr, unsigned arg, uint32_t mask, uint32_t value)
{
    size_t at = offsetof(struct seccomp_data, args) + arg * 8;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    at += 4;
#endif
    when(f, nr, 5);
    load(f, at);
    emit(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask));
    when(f, value, 1);
    ret(f, SECCOMP_RET_ALLOW);
    ret(f, SECCOMP_RET_ERRNO | EPERM);
}

static int filter_calls(struct err *e)
{
#ifdef OUR_ARCH
    struct filter f = { .n = 0 };
    const uint32_t threads = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
    load(&f, offsetof(struct seccomp_data, arch));
    emit(&f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0));
    ret(&f, SECCOMP_RET_KILL_PROCESS);
    load(&f, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        when(&f, (uint32_t)allowed[i], 1);
        ret(&f, SECCOMP_RET_ALLOW);
    }
    allow_if(&f, SYS_mmap, 2, PROT_EXEC, 0);
    allow_if(&f, SYS_mprotect, 2, PROT_EXEC, 0);
    allow_if(&f, SYS_clone, 0, threads, threads);
    when(&f, SYS_clone3, 1); /* its flags are out of reach; libc then uses clone */
    ret(&f, SECCOMP_RET_ERRNO | ENOSYS);
    ret(&f, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog prog = { .len = f.n, .filter = f.code };
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0) {
        err_sys(e, "cannot confine the file server with seccomp");
        return err_code_set(e, ERR_HOST);
    }
#else
    (void)e;
#endif
    return 0;
}

/* No file can be opened any more, where the kernel has Landlock; seccomp says the same. */
static int forbid_files(struct err *e)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0)
        return 0;
    unsigned bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
    struct landlock_ruleset_attr attr = { .handled_access_fs = (1u << bits) - 1 };
    auto_close int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        return err_sys(e, "cannot confine the file server with Landlock");
    return 0;
}

/* Standard streams to /dev/null: a pipe held open here would keep its reader waiting for as long as
 * the mount lives. */
static int keep_only(const struct image_confine_spec *spec, struct err *e)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return err_sys(e, "cannot open '/dev/null'");
    for (int i = 0; i < 3; i++)
        if (null != i && dup2(null, i) < 0)
            return err_sys(e, "cannot redirect the file server's streams");
    int sorted[IMAGE_CONFINE_FDS];
    size_t n = 0;
    for (size_t i = 0; i < spec->n_keep && n < ARRAY_LEN(sorted); i++)
        if (spec->keep_fds[i] >= 0)
            sorted[n++] = spec->keep_fds[i];
    qsort(sorted, n, sizeof sorted[0], proc_compare_fds);
    unsigned from = 3;
    for (size_t i = 0; i < n; i++) {
        unsigned fd = (unsigned)sorted[i];
        if (fd < from)
            return err_set(e, ERR_BUG, "the file server's descriptors overlap the standard ones");
        if (fd > from)
            proc_close_span(from, fd - 1);
        from = fd + 1;
    }
    proc_close_span(from, ~0u);
    return 0;
}

static int limit(int what, rlim_t value, struct err *e)
{
    struct rlimit l = { .rlim_max = 0 };
    if (value && getrlimit(what, &l) < 0)
        return err_sys(e, "cannot read a resource limit");
    if (l.rlim_max > value)
        l.rlim_max = value;
    l.rlim_cur = l.rlim_max;
    if (setrlimit(what, &l) < 0)
        return err_sys(e, "cannot set a resource limit");
    return 0;
}

int image_serve_confine(const struct image_confine_spec *spec, struct err *e)
{
    if (setsid() < 0 && getsid(0) != getpid())
        return err_sys(e, "cannot give the file server its own session");
    if ((defence("dumpable") && prctl(PR_SET_DUMPABLE, 0) < 0) ||
        prctl(PR_SET_NAME, "hpcc-serve") < 0)
        return err_sys(e, "cannot prepare the file server's process");
    if (keep_only(spec, e) < 0 || chdir("/") < 0)
        return -1;
    if (limit(RLIMIT_CORE, 0, e) < 0 || limit(RLIMIT_FSIZE, 0, e) < 0 ||
        limit(RLIMIT_NOFILE, spec->max_fds, e) < 0)
        return -1;
    if (!SANITIZED && limit(RLIMIT_AS, (rlim_t)1 << 30, e) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(e, "cannot set no_new_privs");
    if (forbid_files(e) < 0)
        return -1;
    return filter_calls(e);
}
