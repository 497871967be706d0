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
static const struct device {
    const char *name;
    unsigned major_number, minor_number; /* see the kernel's admin-guide/devices.txt */
} devices[] = {
    { "null", 1, 3 },   { "zero", 1, 5 },    { "full", 1, 7 },
    { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static int touch(struct mounter *m, const char *path, struct err *e)
{
    auto_close int fd = fs_open_at(m->root_fd, path, O_WRONLY | O_CREAT | O_EXCL, 0444, e);
    return fd < 0 ? -1 : 0;
}

/* The host's node, which is what its number says. */
static int open_device(const struct device *d, struct err *e)
{
    auto_free char *path = mem_printf("/dev/%s", d->name);
    auto_close int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(e, "cannot use the host's '%s'", path);
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(d->major_number, d->minor_number))
        return err_set(e, ERR_HOST, "the host's '%s' is not the device it should be", path);
    return steal_fd(&fd);
}

int devices_open_null(struct err *e)
{
    return open_device(&devices[0], e);
}

static int bind_device(struct mounter *m, const struct device *d, struct err *e)
{
    auto_free char *path = mem_printf("/dev/%s", d->name);
    auto_spent int src = open_device(d, e);
    if (src < 0 || touch(m, path, e) < 0)
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
        if (bind_device(m, &devices[i], e) < 0)
            return -1;
    if (make_terminals(m, e) < 0 || mounter_fs(m, &shm, "/dev/shm", e) < 0)
        return -1;
    return make_links(m, e);
}
