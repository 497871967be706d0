/* SPDX-License-Identifier: BSD-3-Clause */
/* attack WHAT [ARG]: try one thing from inside a container; prints "done" or the error's name. */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int terminal(void)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
        return -1;
    setsid();
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
        return -1;
    return slave;
}

static long push_input(unsigned long request)
{
    int fd = terminal();
    return fd < 0 ? -1 : syscall(SYS_ioctl, fd, request, "x");
}

#ifdef __x86_64__
/* The same call through the 32-bit gate; the argument has to lie below 4 GiB. */
static long push_input_i386(void)
{
    static char *low;
    int fd = terminal();
    long rc;
    low = (char *)syscall(SYS_mmap, 0x10000000, 4096, 3, 0x22, -1, 0);
    if (fd < 0 || (unsigned long)low >= 1ul << 32)
        return -1;
    *low = 'x';
    __asm__ volatile("int $0x80"
                     : "=a"(rc)
                     : "a"(54), "b"(fd), "c"(TIOCSTI), "d"((unsigned)(unsigned long)low)
                     : "memory", "r8", "r9", "r10", "r11");
    if (rc < 0) {
        errno = (int)-rc;
        return -1;
    }
    return rc;
}
#endif

static long by_handle(void)
{
    union {
        struct file_handle h;
        char room[sizeof(struct file_handle) + 128];
    } u;
    int mount_id;
    u.h.handle_bytes = 128;
    if (name_to_handle_at(AT_FDCWD, "/etc/passwd", &u.h, &mount_id, 0) < 0)
        return -1;
    int at = open("/", O_RDONLY);
    return open_by_handle_at(at, &u.h, O_RDONLY);
}

static long read_device(const char *path)
{
    char c;
    int fd = open(path, O_RDONLY);
    return fd < 0 ? -1 : read(fd, &c, 1) == 1 ? 0 : -1;
}

static long make_device(const char *path)
{
    unlink(path);
    return mknod(path, S_IFCHR | 0666, makedev(1, 5)) < 0 ? -1 : read_device(path);
}

/* Out by a directory that somebody left open: 3 … 9. */
static long kept_directory(const char *secret)
{
    for (int fd = 3; fd < 10; fd++)
        if (fchdir(fd) == 0 && access(secret + 1, F_OK) == 0)
            return 0;
    errno = ENOENT;
    return -1;
}

static long chroot_out(const char *secret)
{
    int root = open("/", O_RDONLY);
    if (chroot("/bin") < 0 || fchdir(root) < 0)
        return -1;
    for (int i = 0; i < 64; i++)
        if (chdir("..") < 0)
            return -1;
    return access(secret + 1, F_OK);
}

static long peek(pid_t pid)
{
    char buf[8], path[64];
    struct iovec local = { buf, sizeof buf }, remote = { (void *)0x400000, sizeof buf };
    static const char *const files[] = { "mem", "environ", "fd", "root" };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
        if (open(path, O_RDONLY) >= 0)
            return 0;
    }
    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) >= 0 || errno == EFAULT)
        return 0;
    return ptrace(PTRACE_ATTACH, pid, 0, 0);
}

static long write_exe(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    return open(path, O_WRONLY);
}

static long bpf_load(void)
{
    union bpf_attr a;
    memset(&a, 0, sizeof a);
    a.map_type = BPF_MAP_TYPE_ARRAY;
    a.key_size = a.value_size = 4;
    a.max_entries = 1;
    return syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof a);
}

/* The key that the caller's session had outside. */
static long find_key(const char *name)
{
    return syscall(SYS_request_key, "user", name, NULL, 0);
}

static long connect_to(const char *name)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    size_t len = strlen(name);
    memcpy(at.sun_path + 1, name, len < 100 ? len : 100);
    return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&at,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len));
}

/* With a new session keyring that holds the key NAME, become ARGV. */
static void with_key(const char *name, char **argv)
{
    if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 ||
        syscall(SYS_add_key, "user", name, "x", 1, KEY_SPEC_SESSION_KEYRING) < 0)
        perror("attack: key");
    execv(argv[0], argv);
}

/* In namespaces of one's own, with all capabilities there: a fresh file system KIND, and FILE in it
 * for writing. */
static long nested(const char *kind, const char *file)
{
    char map[64];
    int uid = (int)getuid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP |
                CLONE_NEWIPC) < 0)
        return -1;
    int fd = open("/proc/self/uid_map", O_WRONLY);
    if (fd < 0 || write(fd, map, (size_t)snprintf(map, sizeof map, "0 %d 1", uid)) < 0)
        return -1;
    if (fork() > 0) {
        wait(NULL);
        _exit(0);
    }
    return mount("none", "/tmp", kind, 0, NULL) < 0 ? -1 : open(file, O_WRONLY);
}

static long attempt_file(const char *what, const char *arg)
{
    if (!strcmp(what, "device"))
        return make_device(arg);
    if (!strcmp(what, "read"))
        return read_device(arg);
    if (!strcmp(what, "write"))
        return open(arg, O_WRONLY);
    if (!strcmp(what, "kept"))
        return kept_directory(arg);
    if (!strcmp(what, "chroot"))
        return chroot_out(arg);
    if (!strcmp(what, "peek"))
        return peek(atoi(arg));
    if (!strcmp(what, "exe"))
        return write_exe(atoi(arg));
    if (!strcmp(what, "setuid"))
        return setuid(0) < 0 ? -1 : 0;
    if (!strcmp(what, "securebits"))
        return prctl(PR_GET_SECUREBITS) & 1 ? 0 : -1;
    errno = ENOTSUP;
    return -1;
}

static long attempt(const char *what, const char *arg)
{
    struct timeval now;
    if (!strcmp(what, "tiocsti"))
        return push_input(TIOCSTI);
    if (!strcmp(what, "tiocsti-high"))
        return push_input(0x100000000ul | TIOCSTI);
    if (!strcmp(what, "tioclinux"))
        return push_input(0x541c);
#ifdef __x86_64__
    if (!strcmp(what, "tiocsti-i386"))
        return push_input_i386();
    if (!strcmp(what, "x32"))
        return syscall(0x40000000 | SYS_getpid);
#endif
    if (!strcmp(what, "mount"))
        return mount("x", "/tmp", "tmpfs", 0, "");
    if (!strcmp(what, "proc"))
        return nested("proc", "/tmp/sys/kernel/hostname");
    if (!strcmp(what, "sysfs"))
        return nested("sysfs", "/tmp/kernel/mm/ksm/run");
    if (!strcmp(what, "cgroup2"))
        return nested("cgroup2", "/tmp/cgroup.procs");
    if (!strcmp(what, "umount"))
        return umount2(arg, MNT_DETACH);
    if (!strcmp(what, "remount"))
        return mount(NULL, arg, NULL, MS_REMOUNT | MS_BIND, NULL);
    if (!strcmp(what, "newuser"))
        return unshare(CLONE_NEWUSER);
    if (!strcmp(what, "clone3")) {
        char args[64] = { 0 };
        *(unsigned long *)args = CLONE_NEWUSER;
        return syscall(SYS_clone3, args, sizeof args);
    }
    if (!strcmp(what, "setns"))
        return setns(open(arg, O_RDONLY), 0);
    if (!strcmp(what, "keyring"))
        return syscall(SYS_add_key, "user", "hpcc-test", "x", 1, -4);
    if (!strcmp(what, "find-key"))
        return find_key(arg);
    if (!strcmp(what, "connect"))
        return connect_to(arg);
    if (!strcmp(what, "handle"))
        return by_handle();
    if (!strcmp(what, "bpf"))
        return bpf_load();
    if (!strcmp(what, "module"))
        return syscall(SYS_init_module, "", 0, "");
    if (!strcmp(what, "swap"))
        return swapoff("/nonexistent");
    if (!strcmp(what, "clock"))
        return gettimeofday(&now, NULL) < 0 ? -1 : settimeofday(&now, NULL);
    return attempt_file(what, arg);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    if (argc > 3 && !strcmp(argv[1], "as")) { /* as UID PROGRAM…: as another user */
        unsigned uid = (unsigned)atoi(argv[2]);
        if (setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0)
            execv(argv[3], argv + 3);
    }
    if (argc > 3 && !strcmp(argv[1], "with-key"))
        with_key(argv[2], argv + 3);
    errno = 0;
    long rc = attempt(argv[1], argc > 2 ? argv[2] : "");
    puts(rc >= 0 ? "done" : strerrorname_np(errno));
    return 0;
}
