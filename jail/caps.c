/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define BIT(cap) (UINT64_C(1) << (cap))

#define CAPS_FILES                                                                                 \
    (BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_SETFCAP))
#define CAPS_OTHER                                                                                 \
    (BIT(CAP_KILL) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) |                        \
     BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_NET_RAW) | BIT(CAP_SYS_CHROOT) | BIT(CAP_AUDIT_WRITE) |   \
     BIT(CAP_IPC_LOCK) | BIT(CAP_IPC_OWNER) | BIT(CAP_SYS_NICE) | BIT(CAP_SYS_RESOURCE) |          \
     BIT(CAP_LEASE))

const uint64_t caps_for_scripts = CAPS_FILES | CAPS_OTHER | BIT(CAP_MKNOD) | BIT(CAP_SYS_PTRACE);
const uint64_t caps_for_root = CAPS_FILES | CAPS_OTHER;

struct cap_sets {
    uint64_t effective, permitted, inheritable;
};

static int sets_get(struct cap_sets *out)
{
    struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct d[2];
    if (syscall(SYS_capget, &h, d) < 0)
        return -1;
    out->effective = d[0].effective | (uint64_t)d[1].effective << 32;
    out->permitted = d[0].permitted | (uint64_t)d[1].permitted << 32;
    out->inheritable = d[0].inheritable | (uint64_t)d[1].inheritable << 32;
    return 0;
}

static int sets_put(const struct cap_sets *s)
{
    struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct d[2] = {
        { (uint32_t)s->effective, (uint32_t)s->permitted, (uint32_t)s->inheritable },
        { (uint32_t)(s->effective >> 32), (uint32_t)(s->permitted >> 32),
          (uint32_t)(s->inheritable >> 32) },
    };
    return (int)syscall(SYS_capset, &h, d);
}

/* The kernel's highest capability ends the loop: beyond it is EINVAL. */
static int bounding_drop(uint64_t keep)
{
    for (int cap = 0; cap < 64; cap++)
        if (!(keep & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap) < 0)
            return errno == EINVAL ? 0 : -1;
    return 0;
}

/* One read where /proc is, else one call for each capability. */
static bool bounding_within(uint64_t keep)
{
    char text[4096];
    unsigned long long set;
    auto_spent int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    const char *line = strstr(text, "\nCapBnd:");
    if (line && sscanf(line, " CapBnd: %llx", &set) == 1)
        return !(set & ~keep);
    for (int cap = 0; cap < 64; cap++)
        if (!(keep & BIT(cap)) && prctl(PR_CAPBSET_READ, cap) > 0)
            return false;
    return true;
}

int caps_bound(uint64_t keep, struct err *e)
{
    struct cap_sets s;
    if (bounding_drop(keep) < 0 || sets_get(&s) < 0)
        return err_sys(e, "cannot drop capabilities");
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); /* EINVAL before Linux 4.3: none */
    s.permitted &= keep;
    s.effective = s.permitted;
    s.inheritable = 0;
    if (sets_put(&s) < 0)
        return err_sys(e, "cannot drop capabilities");
    struct cap_sets now;
    if (sets_get(&now) < 0 || (now.permitted & ~keep) || (now.effective & ~keep) ||
        now.inheritable || !bounding_within(keep))
        return err_set(e, ERR_FAILED, "cannot drop capabilities: the kernel kept some");
    return 0;
}

int caps_drop_all(struct err *e)
{
    /* Without CAP_SETPCAP neither can be done; then there is nothing to gain by them either, since
     * no_new_privs holds for all that comes. */
    struct cap_sets s;
    if (sets_get(&s) < 0)
        return err_sys(e, "cannot read capabilities");
    if (s.effective & BIT(CAP_SETPCAP)) {
        unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                             SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                             SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
        if (prctl(PR_SET_SECUREBITS, bits) < 0)
            return err_sys(e, "cannot lock securebits");
        return caps_bound(0, e);
    }
    if (s.permitted | s.inheritable) {
        s = (struct cap_sets){ 0 };
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        if (sets_put(&s) < 0)
            return err_sys(e, "cannot drop capabilities");
    }
    if (sets_get(&s) < 0 || s.effective || s.permitted || s.inheritable)
        return err_set(e, ERR_FAILED, "cannot drop capabilities: the kernel kept some");
    return 0;
}
