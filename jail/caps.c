/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/mem.h"

#define BIT(cap) (UINT64_C(1) << (cap))

/* Who keeps what. Nobody: what changes the kernel, the network or the clock, mounts, raw I/O,
 * device nodes, other processes' memory. No raw packets in a build: its network is the host's. */
static const struct {
    int cap;
    unsigned variants;
} kept[] = {
    { CAP_CHOWN, JAIL_ROOT | JAIL_BUILD },
    { CAP_DAC_OVERRIDE, JAIL_ROOT | JAIL_BUILD },
    { CAP_FOWNER, JAIL_ROOT | JAIL_BUILD },
    { CAP_FSETID, JAIL_ROOT | JAIL_BUILD },
    { CAP_SETFCAP, JAIL_ROOT | JAIL_BUILD },
    { CAP_KILL, JAIL_ROOT | JAIL_BUILD },
    { CAP_SETGID, JAIL_ROOT | JAIL_BUILD },
    { CAP_SETUID, JAIL_ROOT | JAIL_BUILD },
    { CAP_SETPCAP, JAIL_ROOT | JAIL_BUILD },
    { CAP_NET_BIND_SERVICE, JAIL_ROOT | JAIL_BUILD },
    { CAP_NET_RAW, JAIL_ROOT },
    { CAP_SYS_CHROOT, JAIL_ROOT | JAIL_BUILD },
    { CAP_AUDIT_WRITE, JAIL_ROOT | JAIL_BUILD },
    { CAP_IPC_LOCK, JAIL_ROOT | JAIL_BUILD },
    { CAP_IPC_OWNER, JAIL_ROOT | JAIL_BUILD },
    { CAP_SYS_NICE, JAIL_ROOT | JAIL_BUILD },
    { CAP_SYS_RESOURCE, JAIL_ROOT | JAIL_BUILD },
    { CAP_LEASE, JAIL_ROOT | JAIL_BUILD },
};

uint64_t caps_kept(unsigned variants)
{
    uint64_t set = 0;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (kept[i].variants & variants)
            set |= BIT(kept[i].cap);
    return set;
}

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

static int bound(uint64_t keep, struct err *e)
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

int caps_bound(unsigned variants, struct err *e)
{
    return bound(caps_kept(variants), e);
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
        return bound(0, e);
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
