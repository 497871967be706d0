/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/deb/deb.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/mem.h"
#include "base/str.h"

#if defined(__x86_64__)
#define AUDIT_ARCH_OURS AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define AUDIT_ARCH_OURS AUDIT_ARCH_AARCH64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define AUDIT_ARCH_OURS AUDIT_ARCH_PPC64LE
#elif defined(__riscv) && __riscv_xlen == 64
#define AUDIT_ARCH_OURS AUDIT_ARCH_RISCV64
#endif

static const char *const devices[DEB_JAIL_DEVICES] = { "null",   "zero",    "full",
                                                       "random", "urandom", "tty" };

/* debootstrap runs `eval "chroot \"$TARGET\" …"`: only these characters are safe in TARGET. */
static bool is_safe(const char *path)
{
    return path[0] == '/' && path[1] &&
           !path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "0123456789/._+-,@:=")];
}

/* Whether PATH still names the directory that FD holds. */
static bool names(const char *path, int fd)
{
    struct stat a, b;
    return stat(path, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

int deb_jail_init(struct deb_jail *j, int rootfs_fd, struct err *e)
{
    /* Directories that a host has and that neither debootstrap nor a mirror of files needs. */
    static const char *const stands_in[] = { "/boot", "/media", "/mnt" };
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", rootfs_fd);
    ssize_t n = readlink(link, j->target, sizeof j->target - 1);
    j->target[n > 0 ? n : 0] = 0;
    j->source[0] = 0;
    if (n <= 0 || !names(j->target, rootfs_fd))
        return err_set(e, ERR_FAILED, "the directory of the root has no name any more");
    if (!is_safe(j->target)) {
        struct stat st;
        size_t i = 0;
        while (i < ARRAY_LEN(stands_in) && (lstat(stands_in[i], &st) < 0 || !S_ISDIR(st.st_mode)))
            i++;
        if (i == ARRAY_LEN(stands_in))
            return err_set(e, ERR_FAILED,
                           "the directory of the root has a name that debootstrap "
                           "cannot handle; choose another with --tmpdir");
        /* By its path: a descriptor from before the namespace cannot be bound inside it. */
        memcpy(j->source, j->target, sizeof j->source);
        snprintf(j->target, sizeof j->target, "%s", stands_in[i]);
    }
    snprintf(j->dev, sizeof j->dev, "%s/dev", j->target);
    snprintf(j->pts, sizeof j->pts, "%s/pts", j->dev);
    snprintf(j->shm, sizeof j->shm, "%s/shm", j->dev);
    for (size_t i = 0; i < DEB_JAIL_DEVICES; i++)
        snprintf(j->nodes[i], sizeof j->nodes[i], "%s/%s", j->dev, devices[i]);
    return 0;
}

/* The host's own nodes, bound: the same for root and for a user in a namespace. */
static int make_dev(const struct deb_jail *j)
{
    char host[32];
    if (mount("hpcc-dev", j->dev, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=1m") < 0)
        return -1;
    for (size_t i = 0; i < DEB_JAIL_DEVICES; i++) {
        snprintf(host, sizeof host, "/dev/%s", devices[i]);
        int fd = open(j->nodes[i], O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
        if (fd < 0 || close(fd) < 0)
            return -1;
        if (mount(host, j->nodes[i], NULL, MS_BIND, NULL) < 0)
            return -1;
    }
    if (mkdir(j->pts, 0755) < 0 || mkdir(j->shm, 01777) < 0)
        return -1;
    /* Terminals are a comfort: some hosts do not let a namespace have its own. */
    int rc = mount("hpcc-pts", j->pts, "devpts", MS_NOSUID | MS_NOEXEC,
                   "newinstance,ptmxmode=0666,mode=0620");
    (void)rc;
    return 0;
}

int deb_jail_enter(const struct deb_jail *j)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
        return -1;
    if (j->source[0] && mount(j->source, j->target, NULL, MS_BIND, NULL) < 0)
        return -1;
    if (make_dev(j) < 0 || deb_jail_no_sync() < 0)
        return -1;
    return dup2(1, 3) < 0 ? -1 : 0;
}

int deb_jail_no_sync(void)
{
#ifdef AUDIT_ARCH_OURS
#define ANSWER_OK(nr)                                                                              \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO)
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_OURS, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ANSWER_OK(SYS_fsync),
        ANSWER_OK(SYS_fdatasync),
        ANSWER_OK(SYS_sync),
        ANSWER_OK(SYS_syncfs),
        ANSWER_OK(SYS_msync),
#ifdef SYS_sync_file_range
        ANSWER_OK(SYS_sync_file_range),
#endif
#ifdef SYS_sync_file_range2
        ANSWER_OK(SYS_sync_file_range2),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = ARRAY_LEN(code), .filter = code };
    /* As uid 0 of our namespace we may filter without no_new_privs, which would take setuid
     * programs away from maintainer scripts. */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 &&
        (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0))
        return errno == ENOSYS || errno == EINVAL ? 0
                                                  : -1; /* a kernel without filters: only slower */
#endif
    return 0;
}
