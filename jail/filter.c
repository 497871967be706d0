/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "jail/jail.h"

/* Written as BPF by hand, like every other start-up cost here: libseccomp would add a library and
 * half a millisecond to every start. */

#if defined(__x86_64__)
#define NATIVE_ARCH  AUDIT_ARCH_X86_64
#define FOREIGN_ARCH AUDIT_ARCH_I386
#define X32_BIT      0x40000000u
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_ARCH AUDIT_ARCH_PPC64LE
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#else
#error "jail/filter.c does not know this architecture"
#endif

static void add(struct filter *f, struct sock_filter op)
{
    if (f->n < FILTER_MAX)
        f->code[f->n++] = op;
}

#define OFFSET_NR   offsetof(struct seccomp_data, nr)
#define OFFSET_ARCH offsetof(struct seccomp_data, arch)
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OFFSET_ARG(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#else
#define OFFSET_ARG(n) (offsetof(struct seccomp_data, args) + 8 * (n) + 4)
#endif

static void load(struct filter *f, size_t offset)
{
    add(f, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

static void ret(struct filter *f, unsigned action)
{
    add(f, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

/* When the accumulator is VALUE, do the next N instructions; else skip them. */
static void when(struct filter *f, uint32_t value, unsigned n)
{
    add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, (uint8_t)n));
}

static unsigned action_of(const struct filter_rule *r)
{
    return r->answer == FILTER_LET ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | (unsigned)r->answer;
}

/* The accumulator holds the call's number, before and after. */
static void rule(struct filter *f, int nr, const struct filter_rule *r)
{
    if (!r->mask) {
        when(f, (uint32_t)nr, 1);
        ret(f, action_of(r));
        return;
    }
    when(f, (uint32_t)nr, 5);
    load(f, OFFSET_ARG(r->arg));
    add(f, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, r->mask));
    when(f, r->value, 1);
    ret(f, action_of(r));
    load(f, OFFSET_NR);
}

/* The server speaks no other ABI than ours; others may, and the rules hold there too. */
static unsigned otherwise(unsigned variants)
{
    return variants & JAIL_SERVER ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW;
}

static unsigned strange(unsigned variants)
{
    return variants & JAIL_SERVER ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | ENOSYS;
}

/* One ABI's rules; ends in a return on every path. */
static void abi(struct filter *f, unsigned variants, bool native)
{
    load(f, OFFSET_NR);
#ifdef X32_BIT
    if (native) {
        add(f, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
        ret(f, SECCOMP_RET_ERRNO | ENOSYS);
    }
#endif
    for (size_t i = 0; i < filter_n_rules; i++) {
        const struct filter_rule *r = &filter_rules[i];
        int nr = native ? r->native : r->i386;
        if ((r->variants & variants) && nr != FILTER_NONE)
            rule(f, nr, r);
    }
    ret(f, otherwise(variants));
}

void filter_build(unsigned variants, struct filter *out)
{
    out->n = 0;
    load(out, OFFSET_ARCH);
    /* A conditional jump reaches 255 steps only; "ja" reaches everything. */
    when(out, NATIVE_ARCH, 1);
    unsigned skip = out->n;
    add(out, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
#ifdef FOREIGN_ARCH
    if (!(variants & JAIL_SERVER)) {
        add(out, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FOREIGN_ARCH, 1, 0));
        ret(out, SECCOMP_RET_ERRNO | ENOSYS);
        abi(out, variants, false);
    }
#endif
    ret(out, strange(variants));
    out->code[skip].k = out->n - skip - 1;
    abi(out, variants, true);
}

int filter_install(unsigned variants, struct err *e)
{
    struct filter f;
    filter_build(variants, &f);
    if (f.n >= FILTER_MAX)
        return err_set(e, ERR_BUG, "the system call filter is too long");
    struct sock_fprog prog = { .len = (unsigned short)f.n, .filter = f.code };
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0) {
        err_sys(e, "cannot install the system call filter");
        return err_code_set(e, ERR_HOST);
    }
    return 0;
}
