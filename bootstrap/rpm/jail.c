/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netdb.h>
#include <nss.h>
#include <pwd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/mem.h"
#include "bootstrap/deb/deb.h"
#include "bootstrap/rpm/install.h"

static const char *const nodes[] = { "null", "zero", "full", "random", "urandom", "tty" };

static int fail(const char *what, struct err *e)
{
    err_sys(e, "cannot %s for librpm", what);
    return err_code_set(e, ERR_HOST);
}

/* Bind host file /dev/NAME over a new file of the root's /dev; we are inside that directory. */
static int bind_node(const char *name, struct err *e)
{
    auto_free char *host = mem_printf("/dev/%s", name);
    auto_close int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || mount(host, name, NULL, MS_BIND, NULL) < 0)
        return fail("bind a device", e);
    return 0;
}

static int make_dev(struct err *e)
{
    if (mount("hpcc-dev", "dev", "tmpfs", MS_NOSUID, "mode=0755,size=1m") < 0 || chdir("dev") < 0)
        return fail("mount /dev", e);
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++)
        if (bind_node(nodes[i], e) < 0)
            return -1;
    static const char *const links[][2] = { { "/proc/self/fd", "fd" },
                                            { "/proc/self/fd/0", "stdin" },
                                            { "/proc/self/fd/1", "stdout" },
                                            { "/proc/self/fd/2", "stderr" } };
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        if (symlink(links[i][0], links[i][1]) < 0)
            return fail("fill /dev", e);
    if (mkdir("shm", 01777) < 0 || chmod("shm", 01777) < 0 || mkdir(".rpm", 0700) < 0 ||
        chdir("..") < 0)
        return fail("fill /dev", e);
    return 0;
}

/* Scriptlets run as uid 0: what /proc lets uid 0 do to the host is made read-only. */
static int make_proc(struct err *e)
{
    static const char *const closed[] = { "proc/sys",           "proc/irq",  "proc/bus", "proc/fs",
                                          "proc/sysrq-trigger", "proc/acpi", "proc/scsi" };
    if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return 0; /* forbidden inside some containers; few scriptlets miss it */
    for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
        if (mount(closed[i], closed[i], NULL, MS_BIND | MS_REC, NULL) < 0) {
            if (errno == ENOENT)
                continue;
            return fail("close a part of /proc", e);
        }
        if (mount(NULL, closed[i], NULL,
                  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
            return fail("close a part of /proc", e);
    }
    return 0;
}

/* Directories that stay in the image; packages' own copies of them are not unpacked (mounts lie
 * over them, see _netsharedpath). */
static int make_mount_points(int rootfs_fd, struct err *e)
{
    static const struct {
        const char *path;
        mode_t mode;
    } dirs[] = { { "/dev", 0755 }, { "/proc", 0555 }, { "/sys", 0555 } };
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (fs_mkdirs_at(rootfs_fd, dirs[i].path, dirs[i].mode, e) < 0)
            return -1;
    return 0;
}

/* The root as a mount of its own, on which device nodes that a package or scriptlet makes are
 * dead. */
static int bind_root(int rootfs_fd, struct err *e)
{
    char path[4096];
    struct statvfs vfs;
    if (fchdir(rootfs_fd) < 0 || !getcwd(path, sizeof path) ||
        mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(path) < 0 ||
        statvfs(".", &vfs) < 0)
        return fail("bind the root", e);
    unsigned long flags = MS_REMOUNT | MS_BIND | MS_NODEV;
    flags |= vfs.f_flag & ST_NOSUID ? MS_NOSUID : 0;
    flags |= vfs.f_flag & ST_NOATIME ? MS_NOATIME : 0;
    flags |= vfs.f_flag & ST_NODIRATIME ? MS_NODIRATIME : 0;
    flags |= vfs.f_flag & ST_RELATIME ? MS_RELATIME : 0;
    if (mount(NULL, path, NULL, flags, NULL) < 0)
        return fail("bind the root", e);
    return 0;
}

/* librpm asks getpwnam for the owners of files. Accounts come from the root's own files, never from
 * a service of the host; asking once here loads what glibc may want to load. */
static void pin_accounts(void)
{
    __nss_configure_lookup("passwd", "files");
    __nss_configure_lookup("group", "files");
    __nss_configure_lookup("hosts", "files");
    (void)getpwnam("root");
    (void)getgrnam("root");
    endpwent();
    endgrent();
}

int yum_jail_mounts(int rootfs_fd, struct err *e)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return fail("make mounts private", e);
    pin_accounts();
    if (make_mount_points(rootfs_fd, e) < 0 || bind_root(rootfs_fd, e) < 0 || make_dev(e) < 0 ||
        make_proc(e) < 0)
        return -1;
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return fail("enter the root", e);
    umask(022);
    return 0;
}

/* What installing needs; everything that reaches the kernel or the host goes. */
static const int kept[] = { CAP_CHOWN,  CAP_DAC_OVERRIDE, CAP_FOWNER,     CAP_FSETID, CAP_KILL,
                            CAP_SETGID, CAP_SETUID,       CAP_SYS_CHROOT, CAP_MKNOD,  CAP_SETFCAP };

int yum_jail_privileges(struct err *e)
{
    uint64_t keep = 0;
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        keep |= 1ull << kept[i];
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) < 0 && errno != EINVAL)
            return fail("drop privileges", e);
    if (deb_jail_no_sync() < 0)
        return fail("set a system call filter", e);
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct have[2], want[2];
    if (syscall(SYS_capget, &head, have) < 0)
        return fail("read privileges", e);
    for (int i = 0; i < 2; i++) {
        uint32_t mask = (uint32_t)(keep >> 32 * i);
        want[i].effective = want[i].permitted = have[i].permitted & mask;
        want[i].inheritable = 0;
    }
    return syscall(SYS_capset, &head, want) < 0 ? fail("drop privileges", e) : 0;
}
