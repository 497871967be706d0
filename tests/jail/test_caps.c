/* SPDX-License-Identifier: BSD-3-Clause */
/* Capabilities on a paper kernel, which can be told to keep what it was asked to drop. */
#include "tests/base/test.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "jail/jail.h"

#define BIT(cap) (UINT64_C(1) << (cap))
enum { LAST = 40, REFUSE_NEVER = -1 };

static struct {
    uint64_t effective, permitted, inheritable, bounding, ambient;
    unsigned long securebits;
    uint64_t keeps[3]; /* what stays in the three sets whatever is asked */
    int refuse;        /* the call of this number fails: SYS_capget, SYS_capset or a PR_* */
    int n_set;
} paper;

static void fresh(uint64_t have)
{
    memset(&paper, 0, sizeof paper);
    paper.effective = paper.permitted = have;
    paper.bounding = BIT(LAST + 1) - 1;
    paper.ambient = paper.inheritable = BIT(CAP_CHOWN) | BIT(CAP_SYS_ADMIN);
    paper.refuse = REFUSE_NEVER;
}

static long paper_get(struct __user_cap_data_struct *d)
{
    for (int i = 0; i < 2; i++)
        d[i] = (struct __user_cap_data_struct){ (uint32_t)(paper.effective >> 32 * i),
                                                (uint32_t)(paper.permitted >> 32 * i),
                                                (uint32_t)(paper.inheritable >> 32 * i) };
    return 0;
}

static long paper_set(const struct __user_cap_data_struct *d)
{
    uint64_t e = d[0].effective | (uint64_t)d[1].effective << 32;
    uint64_t p = d[0].permitted | (uint64_t)d[1].permitted << 32;
    uint64_t i = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
    paper.n_set++;
    if ((p & ~paper.permitted) || (e & ~p)) {
        errno = EPERM;
        return -1;
    }
    paper.effective = e | paper.keeps[0];
    paper.permitted = p | paper.keeps[1];
    paper.inheritable = i | paper.keeps[2];
    return 0;
}

/* It takes six arguments whatever it was given, as the kernel does. */
__attribute__((no_sanitize("address"))) long syscall(long nr, ...)
{
    va_list list;
    long a[6];
    va_start(list, nr);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (nr == paper.refuse) {
        errno = EPERM;
        return -1;
    }
    if (nr == SYS_capget)
        return paper_get((struct __user_cap_data_struct *)a[1]);
    if (nr == SYS_capset)
        return paper_set((const struct __user_cap_data_struct *)a[1]);
    long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return next(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int prctl(int what, ...)
{
    va_list list;
    va_start(list, what);
    unsigned long arg = va_arg(list, unsigned long);
    va_end(list);
    if (what == paper.refuse) {
        errno = EPERM;
        return -1;
    }
    if (what == PR_SET_SECUREBITS)
        paper.securebits = arg;
    if (what == PR_CAP_AMBIENT && arg == PR_CAP_AMBIENT_CLEAR_ALL)
        paper.ambient = 0;
    if (what != PR_CAPBSET_DROP && what != PR_CAPBSET_READ)
        return 0;
    int cap = (int)arg;
    if (cap > LAST) {
        errno = EINVAL;
        return -1;
    }
    if (what == PR_CAPBSET_READ)
        return (int)(paper.bounding >> cap & 1);
    paper.bounding &= ~BIT(cap);
    return 0;
}

/* Without /proc/self/status, whose CapBnd is not the paper's. */
int open(const char *path, int flags, ...)
{
    if (strcmp(path, "/proc/self/status") != 0)
        return openat(AT_FDCWD, path, flags);
    errno = ENOENT;
    return -1;
}

static const uint64_t everything = BIT(LAST + 1) - 1;

static void nobody_keeps_what_reaches_the_host(void **state)
{
    (void)state;
    static const int never[] = { CAP_SYS_ADMIN,       CAP_SYS_MODULE,    CAP_SYS_RAWIO,
                                 CAP_SYS_PTRACE,      CAP_SYS_BOOT,      CAP_SYS_TIME,
                                 CAP_MKNOD,           CAP_NET_ADMIN,     CAP_SYSLOG,
                                 CAP_DAC_READ_SEARCH, CAP_BPF,           CAP_PERFMON,
                                 CAP_MAC_ADMIN,       CAP_MAC_OVERRIDE,  CAP_SYS_PACCT,
                                 CAP_WAKE_ALARM,      CAP_BLOCK_SUSPEND, CAP_AUDIT_CONTROL };
    static const int always[] = { CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_SETUID,
                                  CAP_SETGID, CAP_SETFCAP,      CAP_KILL,   CAP_SYS_CHROOT };
    uint64_t root = caps_kept(JAIL_ROOT), build = caps_kept(JAIL_BUILD);
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        assert_false((root | build) & BIT(never[i]));
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        assert_true(root & build & BIT(always[i]));
    assert_true(root & BIT(CAP_NET_RAW));
    assert_false(build & BIT(CAP_NET_RAW));
    assert_int_equal(caps_kept(JAIL_RUN | JAIL_CONTAIN | JAIL_HOST_ROOT | JAIL_SERVER), 0);
    assert_int_equal(caps_kept(JAIL_ROOT | JAIL_BUILD), root | build);
}

static void all_but_the_kept_ones_go(void **state)
{
    (void)state;
    uint64_t keep = caps_kept(JAIL_BUILD);
    fresh(everything);
    assert_int_equal(caps_bound(JAIL_BUILD, NULL), 0);
    assert_int_equal(paper.permitted, keep);
    assert_int_equal(paper.effective, keep);
    assert_int_equal(paper.bounding, keep);
    assert_int_equal(paper.inheritable, 0);
    assert_int_equal(paper.ambient, 0);
}

static void what_was_lacking_stays_lacking(void **state)
{
    (void)state;
    fresh(BIT(CAP_CHOWN) | BIT(CAP_SYS_ADMIN));
    assert_int_equal(caps_bound(JAIL_ROOT, NULL), 0);
    assert_int_equal(paper.permitted, BIT(CAP_CHOWN));
    assert_int_equal(paper.effective, BIT(CAP_CHOWN));
}

static void a_kernel_that_keeps_some_is_found_out(void **state)
{
    (void)state;
    static const uint64_t kept[][3] = { { BIT(CAP_SYS_ADMIN) },
                                        { 0, BIT(CAP_SYS_ADMIN) },
                                        { 0, 0, BIT(CAP_SYS_ADMIN) },
                                        { 0, BIT(CAP_PERFMON) } };
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        auto_err struct err e = { 0 };
        fresh(everything);
        memcpy(paper.keeps, kept[i], sizeof kept[i]);
        assert_int_equal(caps_bound(JAIL_ROOT, &e), -1);
        assert_string_equal(e.msg, "cannot drop capabilities: the kernel kept some");
        for (int with_setpcap = 0; with_setpcap < 2; with_setpcap++) {
            err_clear(&e);
            fresh(with_setpcap ? everything : BIT(CAP_CHOWN));
            memcpy(paper.keeps, kept[i], sizeof kept[i]);
            assert_int_equal(caps_drop_all(&e), -1);
            assert_string_equal(e.msg, "cannot drop capabilities: the kernel kept some");
        }
    }
}

static void each_refusal_is_an_error(void **state)
{
    (void)state;
    static const int calls[] = { SYS_capget, SYS_capset, PR_CAPBSET_DROP };
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        fresh(everything);
        paper.refuse = calls[i];
        assert_int_equal(caps_bound(JAIL_ROOT, NULL), -1);
        assert_int_equal(caps_drop_all(NULL), -1);
    }
    fresh(BIT(CAP_CHOWN));
    paper.refuse = SYS_capset;
    assert_int_equal(caps_drop_all(NULL), -1);
    fresh(everything);
    paper.refuse = PR_SET_SECUREBITS;
    assert_int_equal(caps_drop_all(NULL), -1);
    fresh(everything);
    paper.refuse = PR_CAP_AMBIENT; /* a kernel before 4.3 has none */
    assert_int_equal(caps_drop_all(NULL), 0);
}

static void with_setpcap_uid_0_loses_its_magic(void **state)
{
    (void)state;
    fresh(BIT(CAP_SETPCAP) | BIT(CAP_CHOWN));
    assert_int_equal(caps_drop_all(NULL), 0);
    assert_int_equal(paper.permitted | paper.effective | paper.inheritable | paper.bounding, 0);
    unsigned long want = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                         SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                         SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    assert_int_equal(paper.securebits, want);
}

static void without_setpcap_the_sets_are_emptied(void **state)
{
    (void)state;
    fresh(BIT(CAP_CHOWN));
    assert_int_equal(caps_drop_all(NULL), 0);
    assert_int_equal(paper.permitted | paper.effective | paper.inheritable | paper.ambient, 0);
    assert_int_equal(paper.securebits, 0);
    fresh(0);
    assert_int_equal(caps_drop_all(NULL), 0); /* inheritable ones alone */
    assert_int_equal(paper.inheritable, 0);
    assert_int_equal(paper.n_set, 1);
    fresh(0);
    paper.inheritable = 0;
    assert_int_equal(caps_drop_all(NULL), 0);
    assert_int_equal(paper.n_set, 0); /* nothing is asked for: an ordinary start */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_keeps_what_reaches_the_host),
        cmocka_unit_test(all_but_the_kept_ones_go),
        cmocka_unit_test(what_was_lacking_stays_lacking),
        cmocka_unit_test(a_kernel_that_keeps_some_is_found_out),
        cmocka_unit_test(each_refusal_is_an_error),
        cmocka_unit_test(with_setpcap_uid_0_loses_its_magic),
        cmocka_unit_test(without_setpcap_the_sets_are_emptied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
