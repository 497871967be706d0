/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

/* Masks and binds come from the host's devices and are checked by number: a /dev/null that is
 * something else must not become a door (CVE-2025-31133). */
static const struct {
    const char *name;
    unsigned minor_number;
} devices[] = {
    { "null", 3 }, { "zero", 5 }, { "full", 7 }, { "random", 8 }, { "urandom", 9 },
};

enum { MEM_MAJOR = 1, TTY_MAJOR = 5 };

static int touch(struct mounter *m, const char *path, struct err *e)
{
    auto_close int fd = fs_open_at(m->root_fd, path, O_WRONLY | O_CREAT | O_EXCL, 0444, e);
    return fd < 0 ? -1 : 0;
}

static int bind_device(struct mounter *m, const char *name, dev_t want, struct err *e)
{
    auto_free char *path = mem_printf("/dev/%s", name);
    auto_spent int src = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (src < 0 || fstat(src, &st) < 0)
        return err_sys(e, "cannot use the host's '%s'", path);
    if (!S_ISCHR(st.st_mode) || st.st_rdev != want)
        return err_set(e, ERR_HOST, "the host's '%s' is not the device it should be", path);
    if (touch(m, path, e) < 0)
        return -1;
    return mounter_bind(m, src, path, MOUNT_NOSUID | MOUNT_NOEXEC | MOUNT_FLAT, e);
}

static int make_links(struct mounter *m, struct err *e)
{
    static const char *const links[][2] = {
        { "/proc/self/fd", "/dev/fd" },       { "/proc/self/fd/0", "/dev/stdin" },
        { "/proc/self/fd/1", "/dev/stdout" }, { "/proc/self/fd/2", "/dev/stderr" },
        { "pts/ptmx", "/dev/ptmx" },
    };
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        if (fs_symlink_at(m->root_fd, links[i][0], links[i][1], e) < 0)
            return -1;
    return 0;
}

static int make_terminals(struct mounter *m, struct err *e)
{
    /* Group 5 (tty) exists only where the namespace maps it. */
    static const char *const options[] = { "newinstance,ptmxmode=0666,mode=0620,gid=5",
                                           "newinstance,ptmxmode=0666,mode=0620" };
    struct mount_fs pts = { .type = "devpts", .attrs = MOUNT_NOSUID | MOUNT_NOEXEC };
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        pts.options = options[i];
        if (mounter_fs(m, &pts, "/dev/pts", i ? e : NULL) == 0)
            return 0;
    }
    return -1;
}

int devices_make(struct mounter *m, struct err *e)
{
    struct mount_fs dev = { .type = "tmpfs",
                            .source = "dev",
                            .options = "mode=0755,size=1m",
                            .attrs = MOUNT_NOSUID | MOUNT_NOEXEC };
    struct mount_fs shm = { .type = "tmpfs",
                            .source = "shm",
                            .options = "mode=1777",
                            .attrs = MOUNT_NOSUID | MOUNT_NODEV };
    if (mounter_fs(m, &dev, "/dev", e) < 0 || fs_mkdirs_at(m->root_fd, "/dev/pts", 0755, e) < 0 ||
        fs_mkdirs_at(m->root_fd, "/dev/shm", 0755, e) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(devices); i++)
        if (bind_device(m, devices[i].name, makedev(MEM_MAJOR, devices[i].minor_number), e) < 0)
            return -1;
    if (bind_device(m, "tty", makedev(TTY_MAJOR, 0), e) < 0)
        return -1;
    if (make_terminals(m, e) < 0 || mounter_fs(m, &shm, "/dev/shm", e) < 0)
        return -1;
    return make_links(m, e);
}

/* Make what is there below /proc read-only, without covering it. */
static int seal(struct mounter *m, const char *path, struct err *e)
{
    auto_spent int fd = fs_open_at(m->root_fd, path, O_PATH, 0, NULL);
    if (fd < 0)
        return 0; /* this kernel has no such file */
    return mounter_bind(m, fd, path, MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC, e);
}

static int cover(struct mounter *m, const char *path, struct err *e)
{
    struct stat st;
    auto_spent int null_fd = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (null_fd < 0 || fstat(null_fd, &st) < 0 || st.st_rdev != makedev(MEM_MAJOR, 3))
        return err_set(e, ERR_HOST, "the host's '/dev/null' is not the device it should be");
    if (fs_stat_at(m->root_fd, path, false, &st) < 0)
        return 0;
    /* nodev, so that nothing of it can be opened: it is a lid, not a device */
    return mounter_bind(m, null_fd, path, MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC | MOUNT_FLAT,
                        e);
}

int devices_seal_proc(struct mounter *m, struct err *e)
{
    static const char *const sealed[] = { "/proc/sys", "/proc/irq",  "/proc/bus",
                                          "/proc/fs",  "/proc/acpi", "/proc/scsi" };
    static const char *const covered[] = { "/proc/kcore", "/proc/sysrq-trigger", "/proc/kmsg" };
    for (size_t i = 0; i < ARRAY_LEN(sealed); i++)
        if (seal(m, sealed[i], e) < 0)
            return -1;
    for (size_t i = 0; i < ARRAY_LEN(covered); i++)
        if (cover(m, covered[i], e) < 0)
            return -1;
    return 0;
}

int devices_kernel_views(struct mounter *m, struct err *e)
{
    struct mount_fs proc = { .type = "proc", .attrs = MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC };
    if (mounter_fs(m, &proc, "/proc", NULL) < 0) {
        /* A host that hides parts of its own /proc (a container) allows no fresh one; its own shows
         * the wrong pids but works. */
        auto_close int host = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (host < 0)
            return err_sys(e, "cannot open '/proc'");
        if (mounter_bind(m, host, "/proc", MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC, e) < 0)
            return -1;
        log_debug("the host allows no fresh /proc: its own is bound");
    }
    if (devices_seal_proc(m, e) < 0)
        return -1;
    auto_close int sys = open("/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (sys < 0)
        return 0;
    return mounter_bind(m, sys, "/sys", MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC, e);
}
