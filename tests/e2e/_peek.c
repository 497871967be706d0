/* SPDX-License-Identifier: BSD-3-Clause */
/* For run_share.sh, compiled there; statically, so that it runs in any root.
 *   peek hold        tell "PID ADDRESS" of a secret and wait for the end of stdin
 *   peek PID ADDRESS read it from that process (process_vm_readv, as MPI libraries do) and print it
 *   peek ask SOCKET KEY
 *                    connect as a run that wants to join, and print what the answer is
 *   peek pretend SOCKET KEY PID
 *                    listen there and name PID (0: this process; -1: say nothing) to whoever asks */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

static char secret[] = "from one rank to the other";

static int hold(void)
{
    char byte;
    printf("%d %p\n", (int)getpid(), (void *)secret);
    fflush(stdout);
    while (read(0, &byte, 1) > 0)
        ;
    return 0;
}

static int peek(const char *pid, const char *address)
{
    char got[sizeof secret] = "";
    struct iovec here = { got, sizeof got };
    struct iovec there = { (void *)strtoull(address, NULL, 16), sizeof got };
    if (process_vm_readv(atoi(pid), &here, 1, &there, 1, 0) != (ssize_t)sizeof got) {
        perror("process_vm_readv");
        return 1;
    }
    puts(got);
    return 0;
}

enum { KEY_BYTES = 65 };

struct welcome {
    char key[KEY_BYTES];
    int32_t pid;
};

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    return at;
}

static int send_fd(int sock, char what, int fd)
{
    char room[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec iov = { &what, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    msg.msg_control = room;
    msg.msg_controllen = sizeof room;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    return sendmsg(sock, &msg, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int ask(const char *path, const char *key)
{
    struct sockaddr_un at = address(path);
    struct welcome got = { .pid = 0 };
    char mine[KEY_BYTES] = "";
    int sock = socket(AF_UNIX, SOCK_STREAM, 0), self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    snprintf(mine, sizeof mine, "%s", key);
    if (sock < 0 || self < 0 || connect(sock, (struct sockaddr *)&at, sizeof at) < 0) {
        perror("connect");
        return 1;
    }
    if (send(sock, mine, sizeof mine, MSG_NOSIGNAL) < 0 || send_fd(sock, 'j', self) < 0 ||
        read(sock, &got, sizeof got) != (ssize_t)sizeof got)
        puts("nothing");
    else
        printf("welcome %d\n", (int)got.pid);
    return 0;
}

static int pretend(const char *path, const char *key, int pid)
{
    struct sockaddr_un at = address(path);
    struct welcome w = { .pid = pid ? pid : getpid() };
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(w.key, sizeof w.key, "%s", key);
    unlink(path);
    if (bind(sock, (struct sockaddr *)&at, sizeof at) < 0 || listen(sock, 8) < 0) {
        perror("pretend");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        int to = accept(sock, NULL, NULL);
        if (pid >= 0 && send(to, &w, sizeof w, MSG_NOSIGNAL) < 0)
            perror("pretend");
        if (pid >= 0)
            close(to);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "hold") == 0)
        return hold();
    if (argc == 4 && strcmp(argv[1], "ask") == 0)
        return ask(argv[2], argv[3]);
    if (argc == 5 && strcmp(argv[1], "pretend") == 0)
        return pretend(argv[2], argv[3], atoi(argv[4]));
    if (argc == 3)
        return peek(argv[1], argv[2]);
    return 2;
}
