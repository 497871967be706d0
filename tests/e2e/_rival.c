/* SPDX-License-Identifier: BSD-3-Clause */
/* What attacks from outside need beside a shell:
 *
 * rival swap A B…          exchange A with each of the others in turn, without end
 *
 * rival stalk UID CMD…     run CMD, and as UID try to get hold of it from first moment to last
 *
 * rival deny CALL CMD…     run CMD where the kernel refuses CALL with EPERM
 *
 * rival hold CMD…          run CMD with descriptors from 20 on of every kind that may lead out
 *
 * rival listen NAME        wait at an abstract socket
 *
 * rival make DIR UID GID…  files and directories of each mode, owned by UID and root, for each GID
 *
 * rival look DIR           what the caller may do with each of them */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int swap(const char *a, char **others)
{
    const struct timespec breath = { .tv_nsec = 20000 }; /* or nobody gets to the directory */
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    for (char **b = others; renameat2(AT_FDCWD, a, AT_FDCWD, *b, RENAME_EXCHANGE) == 0;) {
        b = b[1] ? b + 1 : others;
        nanosleep(&breath, NULL);
    }
    perror("rival: swap");
    return 1;
}

/* What cannot be had here (the last two need a privilege or a device) is left out. */
static int hold(char **cmd)
{
    const int fds[] = {
        open("/", O_PATH),
        open("/proc/self", O_RDONLY | O_DIRECTORY),
        open("/proc/self/ns/mnt", O_RDONLY),
        open("/proc/self/mem", O_RDWR),
        open("/sys/kernel", O_RDONLY | O_DIRECTORY),
        open("/dev/zero", O_RDWR),
        epoll_create1(0),
        inotify_init1(0),
        (int)syscall(SYS_pidfd_open, getpid(), 0),
        (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE),
        open("/dev/loop0", O_RDONLY),
    };
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0 && dup2(fds[i], 20 + (int)i) >= 0)
            close(fds[i]);
    execv(cmd[0], cmd);
    return 99;
}

static int listen_at(const char *name)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t len = strlen(name);
    memcpy(at.sun_path + 1, name, len < 100 ? len : 100);
    socklen_t n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len);
    if (sock < 0 || bind(sock, (struct sockaddr *)&at, n) < 0 || listen(sock, 16) < 0)
        return 1;
    puts("ready");
    fflush(stdout);
    return pause();
}

/* 1 when PID could be reached. */
static int reach(pid_t pid)
{
    static const char *const files[] = { "mem", "exe" };
    char path[64];
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
        int fd = open(path, i ? O_WRONLY : O_RDWR);
        if (fd >= 0 || errno == ETXTBSY)
            return 1;
    }
    if (ptrace(PTRACE_ATTACH, pid, 0, 0) < 0)
        return 0;
    waitpid(pid, NULL, __WALL);
    ptrace(PTRACE_DETACH, pid, 0, 0);
    return 1;
}

static int stalk(unsigned uid, char **cmd)
{
    int go[2];
    unsigned long tries = 0;
    int reached = 0;
    if (pipe(go) < 0)
        return 1;
    pid_t prey = fork();
    if (prey == 0) {
        char c;
        close(go[1]);
        if (read(go[0], &c, 1) != 0)
            _exit(1);
        close(go[0]);
        execv(cmd[0], cmd);
        _exit(1);
    }
    pid_t hunter = fork();
    if (hunter == 0) {
        close(go[0]);
        if (getuid() != uid && (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
            _exit(1);
        close(go[1]);
        while (kill(prey, 0) == 0 || errno == EPERM) {
            reached |= reach(prey);
            tries++;
        }
        printf("%s\n", reached ? "done" : tries >= 1000 ? "EPERM" : "too few tries");
        fflush(stdout);
        _exit(0);
    }
    close(go[0]);
    close(go[1]);
    waitpid(prey, NULL, 0);
    waitpid(hunter, NULL, 0);
    return 0;
}

struct call {
    const char *name;
    unsigned nr;
    int first; /* only with this first argument; -1: with any */
};

static int deny(const char *name, char **cmd)
{
    static const struct call calls[] = {
        { "seccomp", SYS_seccomp, SECCOMP_SET_MODE_FILTER },
        { "seccomp-prctl", SYS_prctl, PR_SET_SECCOMP },
        { "no-new-privs", SYS_prctl, PR_SET_NO_NEW_PRIVS },
        { "capset", SYS_capset, -1 },
        { "bounding", SYS_prctl, PR_CAPBSET_DROP },
        { "securebits", SYS_prctl, PR_SET_SECUREBITS },
        { "setresuid", SYS_setresuid, -1 },
        { "setgroups", SYS_setgroups, -1 },
        { "nothing", ~0u, -1 },
    };
    const struct call *c = calls;
    while (strcmp(c->name, name) && strcmp(c->name, "nothing"))
        c++;
    unsigned allow = SECCOMP_RET_ALLOW, refuse = SECCOMP_RET_ERRNO | EPERM;
    struct sock_filter f[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, c->nr, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)c->first, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, allow),
        BPF_STMT(BPF_RET | BPF_K, refuse),
    };
    if (c->first < 0) /* no look at the argument */
        f[2] = f[3] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 0, 0, 0);
    if (c->first < 0)
        f[3].k = 1;
    struct sock_fprog prog = { sizeof f / sizeof f[0], f };
    if ((geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0) {
        perror("rival: deny");
        return 99;
    }
    execv(cmd[0], cmd);
    return 99;
}

static int make(const char *dir, unsigned uid, char **gids)
{
    char name[64];
    if (chdir(dir) < 0)
        return 1;
    for (; *gids; gids++)
        for (unsigned n = 0; n < 2 * 2 * 512; n++) {
            unsigned gid = (unsigned)atoi(*gids), mode = n % 512, owner = n / 512 % 2 ? 0 : uid;
            snprintf(name, sizeof name, "%c-%u-%u-%03o", n < 1024 ? 'f' : 'd', owner, gid, mode);
            int fd = n < 1024 ? creat(name, 0600) : mkdir(name, 0700);
            if (fd < 0 || chown(name, owner, gid) < 0 || chmod(name, mode) < 0)
                return 1;
            if (n < 1024)
                close(fd);
        }
    return 0;
}

/* What really happens, not what access(2) says. */
static int look(const char *dir)
{
    struct dirent **list;
    if (chdir(dir) < 0)
        return 1;
    int n = scandir(".", &list, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;
        char below[300];
        if (name[0] == '.')
            continue;
        int isdir = name[0] == 'd', r = open(name, O_RDONLY), w, x;
        snprintf(below, sizeof below, "%s/x", name);
        w = isdir ? mkdir(below, 0700) : open(name, O_WRONLY);
        if (isdir && w == 0)
            rmdir(below);
        x = isdir ? chdir(name) : access(name, X_OK);
        if (isdir && x == 0 && chdir("..") < 0)
            return 1;
        printf("%s %d %d %d\n", name, r >= 0, w >= 0, x == 0);
        if (r >= 0)
            close(r);
        if (!isdir && w >= 0)
            close(w);
    }
    return n < 0;
}

int main(int argc, char **argv)
{
    if (argc > 3 && !strcmp(argv[1], "swap"))
        return swap(argv[2], argv + 3);
    if (argc > 2 && !strcmp(argv[1], "hold"))
        return hold(argv + 2);
    if (argc == 3 && !strcmp(argv[1], "listen"))
        return listen_at(argv[2]);
    if (argc > 3 && !strcmp(argv[1], "stalk"))
        return stalk((unsigned)atoi(argv[2]), argv + 3);
    if (argc > 3 && !strcmp(argv[1], "deny"))
        return deny(argv[2], argv + 3);
    if (argc > 4 && !strcmp(argv[1], "make"))
        return make(argv[2], (unsigned)atoi(argv[3]), argv + 4);
    if (argc == 3 && !strcmp(argv[1], "look"))
        return look(argv[2]);
    return 2;
}
