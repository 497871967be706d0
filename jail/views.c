/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

/* The one list of what /proc and /sys show that is not for a container. uid 0 needs no capability
 * to write to most of it. SEALED: to be read, since programs ask it for the host's sizes and
 * settings. HIDDEN: it tells of the host's memory, its keys, its log, its other processes, or does
 * something when it is written to. In ordinary runs profilers read what only a build or a contained
 * program of root has no use for; from ordinary users the kernel itself keeps what is not theirs. */

enum how { SEALED, HIDDEN };

#define EVERY  (JAIL_HOST_ROOT | JAIL_BUILD)
#define CLOSED (JAIL_CONTAIN | JAIL_BUILD)

static const struct view {
    const char *path;
    enum how how;
    unsigned variants;
} views[] = {
    { "/proc/sys", SEALED, EVERY },
    { "/proc/irq", SEALED, EVERY },
    { "/proc/bus", SEALED, EVERY },
    { "/proc/fs", SEALED, EVERY },
    { "/proc/acpi", SEALED, EVERY },
    { "/proc/scsi", SEALED, EVERY },  /* a write takes a disk away: CVE-2017-16539 */
    { "/proc/mtrr", SEALED, CLOSED }, /* a write wants CAP_SYS_ADMIN as well */
    { "/proc/driver", SEALED, EVERY },
    { "/proc/kcore", HIDDEN, EVERY },
    { "/proc/kmsg", HIDDEN, EVERY },
    { "/proc/sysrq-trigger", HIDDEN, EVERY },
    { "/proc/keys", HIDDEN, CLOSED },
    { "/proc/key-users", HIDDEN, CLOSED },
    { "/proc/kpagecount", HIDDEN, CLOSED }, /* where whose memory lies: rowhammer's map */
    { "/proc/kpageflags", HIDDEN, CLOSED },
    { "/proc/kpagecgroup", HIDDEN, CLOSED },
    { "/proc/latency_stats", HIDDEN, EVERY },
    { "/proc/timer_list", HIDDEN, CLOSED },
    { "/proc/timer_stats", HIDDEN, CLOSED },
    { "/proc/sched_debug", HIDDEN, CLOSED },
    { "/sys/firmware", HIDDEN, CLOSED },
    { "/sys/kernel/debug", HIDDEN, CLOSED },
    { "/sys/kernel/tracing", HIDDEN, CLOSED },
    { "/sys/kernel/security", HIDDEN, CLOSED },
    { "/sys/fs/bpf", HIDDEN, CLOSED },
    { "/sys/devices/virtual/powercap", HIDDEN, CLOSED }, /* CVE-2020-8694: what others compute */
};

#define SEAL_ATTRS (MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC)

static int seal(struct mounter *m, const char *path, struct err *e)
{
    auto_spent int fd = fs_open_at(m->root_fd, path, O_PATH, 0, e);
    return fd < 0 ? -1 : mounter_bind(m, fd, path, SEAL_ATTRS, e);
}

/* nodev, so that nothing of it can be opened: it is a lid, not a device. */
static int hide_file(struct mounter *m, const char *path, struct err *e)
{
    auto_spent int null_fd = devices_open_null(e);
    unsigned attrs = MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC | MOUNT_FLAT;
    return null_fd < 0 ? -1 : mounter_bind(m, null_fd, path, attrs, e);
}

static int hide_dir(struct mounter *m, const char *path, struct err *e)
{
    const struct mount_fs empty = {
        .type = "tmpfs", .source = "hidden", .options = "mode=0555,size=4k", .attrs = SEAL_ATTRS
    };
    return mounter_fs(m, &empty, path, e);
}

static int apply(struct mounter *m, const struct view *v, struct err *e)
{
    struct stat st;
    if (fs_stat_at(m->root_fd, v->path, false, &st) < 0)
        return 0; /* this kernel has no such file */
    if (v->how == SEALED)
        return seal(m, v->path, e);
    return S_ISDIR(st.st_mode) ? hide_dir(m, v->path, e) : hide_file(m, v->path, e);
}

int views_seal(struct mounter *m, const char *below, unsigned variants, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(views); i++)
        if ((views[i].variants & variants) && path_within(views[i].path, below) &&
            apply(m, &views[i], e) < 0)
            return -1;
    return 0;
}

static int show_proc(struct mounter *m, struct err *e)
{
    const struct mount_fs proc = { .type = "proc",
                                   .attrs = MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC };
    if (mounter_fs(m, &proc, "/proc", NULL) == 0)
        return 0;
    /* A host that hides parts of its own /proc (a container) allows no fresh one; its own shows
     * the wrong pids but works. */
    auto_close int host = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host < 0)
        return err_sys(e, "cannot open '/proc'");
    log_debug("the host allows no fresh /proc: its own is bound");
    return mounter_bind(m, host, "/proc", MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC, e);
}

static int show_sys(struct mounter *m, struct err *e)
{
    auto_close int sys = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return sys < 0 ? 0 : mounter_bind(m, sys, "/sys", SEAL_ATTRS, e);
}

int views_make(struct mounter *m, unsigned variants, struct err *e)
{
    if (show_proc(m, e) < 0 || views_seal(m, "/proc", variants, e) < 0)
        return -1;
    return show_sys(m, e) < 0 ? -1 : views_seal(m, "/sys", variants, e);
}
