/* SPDX-License-Identifier: BSD-3-Clause */
/* For run_share.sh, compiled there; statically, so that it runs in any root.
 *   peek hold        tell "PID ADDRESS" of a secret and wait for the end of stdin
 *   peek PID ADDRESS read it from that process (process_vm_readv, as MPI libraries do) and print it
 *   peek ask NAME    connect to the abstract socket NAME as a run that wants to join, and print how
 *                    many descriptors the answer brings
 *   peek pretend NAME MODE: listen there and hand out to whoever asks
 *                    own: this process's own namespaces; files: two files */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stddef.h>
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

static socklen_t address(const char *name, struct sockaddr_un *out)
{
    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    snprintf(out->sun_path + 1, sizeof out->sun_path - 1, "%s", name);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

static int send_fds(int sock, char what, const int *fds, size_t n)
{
    char room[CMSG_SPACE(2 * sizeof(int))] = { 0 };
    struct iovec iov = { &what, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    msg.msg_control = room;
    msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(c), fds, n * sizeof(int));
    return sendmsg(sock, &msg, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static int ask(const char *name)
{
    char byte, room[CMSG_SPACE(8 * sizeof(int))];
    struct sockaddr_un at;
    socklen_t len = address(name, &at);
    struct iovec iov = { &byte, 1 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    msg.msg_control = room;
    msg.msg_controllen = sizeof room;
    int sock = socket(AF_UNIX, SOCK_STREAM, 0), self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (sock < 0 || self < 0 || connect(sock, (struct sockaddr *)&at, len) < 0) {
        perror("connect");
        return 1;
    }
    if (send_fds(sock, 'j', &self, 1) < 0 || recvmsg(sock, &msg, 0) < 1) {
        puts("0 descriptors");
        return 0;
    }
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    printf("%zu descriptors\n", c ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0);
    return 0;
}

static int pretend(const char *name, const char *mode)
{
    struct sockaddr_un at;
    socklen_t len = address(name, &at);
    int own = strcmp(mode, "own") == 0;
    int fds[] = { open(own ? "/proc/self/ns/user" : "/dev/null", O_RDONLY),
                  open(own ? "/proc/self/ns/mnt" : "/dev/null", O_RDONLY) };
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fds[0] < 0 || fds[1] < 0 || bind(sock, (struct sockaddr *)&at, len) < 0 ||
        listen(sock, 8) < 0) {
        perror("pretend");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    for (;;) {
        int to = accept(sock, NULL, NULL);
        char byte;
        if (to < 0 || read(to, &byte, 1) != 1 || send_fds(to, 'w', fds, 2) < 0)
            perror("pretend");
        close(to);
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "hold") == 0)
        return hold();
    if (argc == 3 && strcmp(argv[1], "ask") == 0)
        return ask(argv[2]);
    if (argc == 4 && strcmp(argv[1], "pretend") == 0)
        return pretend(argv[2], argv[3]);
    if (argc == 3)
        return peek(argv[1], argv[2]);
    return 2;
}
