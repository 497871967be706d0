/* SPDX-License-Identifier: BSD-3-Clause */
/* deny ERRNO CALL… -- COMMAND: run COMMAND on a kernel that answers these system calls with ERRNO.
 * Shows how hpcc does on kernels that lack them. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    int nr;
} calls[] = {
    { "openat2", SYS_openat2 },       { "open_tree", SYS_open_tree },
    { "move_mount", SYS_move_mount }, { "mount_setattr", SYS_mount_setattr },
    { "fsopen", SYS_fsopen },         { "fsconfig", SYS_fsconfig },
    { "fsmount", SYS_fsmount },       { "close_range", SYS_close_range },
    { "pidfd_open", SYS_pidfd_open }, { "unshare", SYS_unshare },
    { "clone3", SYS_clone3 },         { "capset", SYS_capset },
    { "pivot_root", SYS_pivot_root }, { "setresuid", SYS_setresuid },
    { "prctl", SYS_prctl },           { "umount2", SYS_umount2 },
    { "open_tree_attr", 467 }, /* Linux 6.15; newer than the headers */
};

int main(int argc, char **argv)
{
    struct sock_filter code[64] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                             offsetof(struct seccomp_data, nr)) };
    unsigned short n = 1;
    int i = 2;
    unsigned error = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++)
        for (size_t k = 0; k < sizeof calls / sizeof calls[0]; k++)
            if (strcmp(argv[i], calls[k].name) == 0) {
                code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                                         (unsigned)calls[k].nr, 0, 1);
                code[n++] =
                    (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
            }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog prog = { .len = n, .filter = code };
    if (i + 1 >= argc || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) < 0) {
        fprintf(stderr, "usage: deny ERRNO CALL... -- COMMAND\n");
        return 2;
    }
    execvp(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 127;
}
