/* SPDX-License-Identifier: BSD-3-Clause */
/* The filters as the kernel would run them: each variant, each system call, both ABIs. */
#include "tests/base/test.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "jail/filter.h"
#include "jail/jail.h"

#if !defined(__x86_64__)
int main(void)
{
    return 77;
}
#else

enum { I386 = AUDIT_ARCH_I386, CALLS = 512 };

/* seccomp's subset of BPF (the kernel's networking/filter documentation). */
static uint32_t simulate(const struct filter *f, const struct seccomp_data *d)
{
    uint32_t a = 0;
    for (size_t at = 0; at < f->n; at++) {
        const struct sock_filter *op = &f->code[at];
        switch (op->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(op->k % 4 == 0 && op->k < sizeof *d);
            memcpy(&a, (const char *)d + op->k, sizeof a);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= op->k;
            break;
        case BPF_JMP | BPF_JA:
            at += op->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            at += a == op->k ? op->jt : op->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            at += a >= op->k ? op->jt : op->jf;
            break;
        case BPF_RET | BPF_K:
            return op->k;
        default:
            fail_msg("instruction %zu has the unknown code %#x", at, op->code);
        }
    }
    fail_msg("the program runs over its end");
    return 0;
}

static uint32_t answer(unsigned variants, unsigned arch, int nr, const uint64_t args[3])
{
    struct filter f;
    struct seccomp_data d = { .nr = nr, .arch = arch };
    for (size_t i = 0; args && i < 3; i++)
        d.args[i] = args[i];
    filter_build(variants, &f);
    assert_true(f.n < FILTER_MAX);
    return simulate(&f, &d);
}

#define LET           SECCOMP_RET_ALLOW
#define DENY          (SECCOMP_RET_ERRNO | EPERM)
#define NONE          (SECCOMP_RET_ERRNO | ENOSYS)
#define FAKE          (SECCOMP_RET_ERRNO | 0)

static bool has(const int *list, size_t n, int nr)
{
    for (size_t i = 0; i < n; i++)
        if (list[i] == nr)
            return true;
    return false;
}

/* Written down a second time, by number: what is in the table by mistake is not here. */
static const int kernel_64[] = { 246, 320, 175, 313, 176, 169, 167, 168, 163,
                                 179, 443, 321, 304, 164, 227, 103, 172, 173 };
static const int kernel_32[] = { 283, 128, 350, 129, 88,  87, 115, 51,  131, 443,
                                 357, 342, 79,  264, 404, 25, 103, 110, 101 };
static const int keys_64[] = { 248, 249, 250 };
static const int keys_32[] = { 286, 287, 288 };
static const int shut_64[] = { 165, 166, 155, 428, 429, 430, 431, 432, 433, 442, 467, 308 };
static const int shut_32[] = { 21, 52, 22, 217, 428, 429, 430, 431, 432, 433, 442, 467, 346 };
static const int sync_64[] = { 74, 75, 162, 306, 26, 277 };
static const int sync_32[] = { 118, 148, 36, 344, 144, 314 };
#define HAS(list, nr) has(list, ARRAY_LEN(list), nr)

static uint32_t wanted(unsigned variants, bool native, int nr)
{
    bool all = variants & (JAIL_RUN | JAIL_BUILD);
    bool shut = variants & (JAIL_CONTAIN | JAIL_BUILD | JAIL_HOST_ROOT);
    bool keys = variants & (JAIL_CONTAIN | JAIL_BUILD);
    if (all && (native ? HAS(kernel_64, nr) : HAS(kernel_32, nr)))
        return DENY;
    if (keys && (native ? HAS(keys_64, nr) : HAS(keys_32, nr)))
        return DENY;
    if (shut && (native ? HAS(shut_64, nr) : HAS(shut_32, nr)))
        return DENY;
    if (shut && nr == 435)
        return NONE;
    if ((variants & JAIL_NO_SYNC) && (native ? HAS(sync_64, nr) : HAS(sync_32, nr)))
        return FAKE;
    return LET;
}

static void each_variant_answers_each_call_as_written_down(void **state)
{
    (void)state;
    static const unsigned variants[] = {
        JAIL_RUN,
        JAIL_RUN | JAIL_CONTAIN,
        JAIL_RUN | JAIL_HOST_ROOT,
        JAIL_RUN | JAIL_HOST_ROOT | JAIL_CONTAIN,
        JAIL_BUILD,
        JAIL_BUILD | JAIL_NO_SYNC,
        JAIL_NO_SYNC,
    };
    for (size_t i = 0; i < ARRAY_LEN(variants); i++)
        for (int nr = 0; nr < CALLS; nr++) {
            struct filter f;
            filter_build(variants[i], &f);
            struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
            if (simulate(&f, &d) != wanted(variants[i], true, nr))
                fail_msg("variant %#x, call %d", variants[i], nr);
            d.arch = I386;
            if (simulate(&f, &d) != wanted(variants[i], false, nr))
                fail_msg("variant %#x, call %d of i386", variants[i], nr);
        }
}

static void a_new_user_namespace_is_seen_among_other_flags(void **state)
{
    (void)state;
    static const int calls[][2] = { { SYS_unshare, 310 }, { SYS_clone, 120 } };
    const uint64_t with[3] = { CLONE_NEWNS | CLONE_NEWUSER | 17 };
    const uint64_t without[3] = { CLONE_NEWNS | CLONE_VM | 17 };
    const uint64_t elsewhere[3] = { 17, CLONE_NEWUSER, CLONE_NEWUSER };
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        unsigned run = JAIL_RUN | JAIL_HOST_ROOT;
        assert_int_equal(answer(run, AUDIT_ARCH_X86_64, calls[i][0], with), DENY);
        assert_int_equal(answer(run, AUDIT_ARCH_X86_64, calls[i][0], without), LET);
        assert_int_equal(answer(run, AUDIT_ARCH_X86_64, calls[i][0], elsewhere), LET);
        assert_int_equal(answer(JAIL_BUILD, I386, calls[i][1], with), DENY);
        assert_int_equal(answer(JAIL_BUILD, I386, calls[i][1], without), LET);
        assert_int_equal(answer(JAIL_RUN, AUDIT_ARCH_X86_64, calls[i][0], with), LET);
    }
}

static void words_are_not_put_into_a_terminal_whatever_the_high_bits(void **state)
{
    (void)state;
    static const uint64_t requests[] = { TIOCSTI, 0x100000000u | TIOCSTI, TIOCLINUX };
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        const uint64_t args[3] = { 0, requests[i] };
        const uint64_t other[3] = { requests[i], requests[i] + 1, requests[i] };
        assert_int_equal(answer(JAIL_RUN, AUDIT_ARCH_X86_64, SYS_ioctl, args), DENY);
        assert_int_equal(answer(JAIL_RUN, I386, 54, args), DENY);
        assert_int_equal(answer(JAIL_BUILD, I386, 54, args), DENY);
        assert_int_equal(answer(JAIL_RUN, AUDIT_ARCH_X86_64, SYS_ioctl, other), LET);
    }
}

static void strange_abis_have_no_calls(void **state)
{
    (void)state;
    assert_int_equal(answer(JAIL_RUN, AUDIT_ARCH_ARM, 0, NULL), NONE);
    assert_int_equal(answer(JAIL_RUN, AUDIT_ARCH_X86_64, 0x40000000, NULL), NONE);
    assert_int_equal(answer(JAIL_RUN, AUDIT_ARCH_X86_64, -1, NULL), NONE);
    assert_int_equal(answer(JAIL_RUN, AUDIT_ARCH_X86_64, 0x3fffffff, NULL), LET);
    assert_int_equal(answer(JAIL_SERVER, I386, 3, NULL), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(answer(JAIL_SERVER, AUDIT_ARCH_ARM, 3, NULL), SECCOMP_RET_KILL_PROCESS);
}

static void the_server_may_do_what_serving_needs(void **state)
{
    (void)state;
    static const int may[] = { 0,   1,   17, 19,  20,  295, 202, 11,  28,  12,  60, 231,
                               13,  14,  15, 219, 228, 24,  204, 273, 334, 186, 39, 221,
                               315, 314, 3,  8,   131, 234, 271, 288, 47,  46,  55, 48 };
    for (int nr = 0; nr < CALLS; nr++) {
        if (nr == SYS_mmap || nr == SYS_mprotect || nr == SYS_clone || nr == SYS_prlimit64)
            continue;
        uint32_t want = HAS(may, nr) ? LET : nr == SYS_clone3 ? NONE : DENY;
        if (answer(JAIL_SERVER, AUDIT_ARCH_X86_64, nr, NULL) != want)
            fail_msg("call %d", nr);
    }
    assert_int_equal(answer(JAIL_SERVER, AUDIT_ARCH_X86_64, SYS_prlimit64, NULL),
                     JAIL_SANITIZED ? LET : DENY);
}

static void the_server_makes_threads_and_memory_but_no_code_and_no_process(void **state)
{
    (void)state;
    const uint64_t thread =
        CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    const uint64_t data[3] = { PROT_EXEC, PROT_EXEC, PROT_READ | PROT_WRITE };
    const uint64_t code[3] = { 0, 0, PROT_READ | PROT_EXEC };
    const uint64_t threads[3] = { thread };
    const uint64_t no_thread[3] = { thread & ~(uint64_t)CLONE_THREAD, thread };
    const uint64_t process[3] = { 17 };
    assert_int_equal(answer(JAIL_SERVER, AUDIT_ARCH_X86_64, SYS_mmap, data), LET);
    assert_int_equal(answer(JAIL_SERVER, AUDIT_ARCH_X86_64, SYS_mmap, code), DENY);
    assert_int_equal(answer(JAIL_SERVER, AUDIT_ARCH_X86_64, SYS_mprotect, data), LET);
    assert_int_equal(answer(JAIL_SERVER, AUDIT_ARCH_X86_64, SYS_mprotect, code), DENY);
    assert_int_equal(answer(JAIL_SERVER, AUDIT_ARCH_X86_64, SYS_clone, threads), LET);
    assert_int_equal(answer(JAIL_SERVER, AUDIT_ARCH_X86_64, SYS_clone, no_thread), DENY);
    assert_int_equal(answer(JAIL_SERVER, AUDIT_ARCH_X86_64, SYS_clone, process), DENY);
}

static void the_kernel_takes_every_variant(void **state)
{
    (void)state;
    for (unsigned variant = JAIL_RUN; variant < JAIL_SERVER; variant <<= 1) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(process_no_new_privs(NULL) < 0 || filter_install(variant, NULL) < 0);
        int status = -1;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_variant_answers_each_call_as_written_down),
        cmocka_unit_test(a_new_user_namespace_is_seen_among_other_flags),
        cmocka_unit_test(words_are_not_put_into_a_terminal_whatever_the_high_bits),
        cmocka_unit_test(strange_abis_have_no_calls),
        cmocka_unit_test(the_server_may_do_what_serving_needs),
        cmocka_unit_test(the_server_makes_threads_and_memory_but_no_code_and_no_process),
        cmocka_unit_test(the_kernel_takes_every_variant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
