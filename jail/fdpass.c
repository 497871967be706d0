/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <string.h>
#include <sys/socket.h>

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
};

int fdpass_send(int sock, char what, const int *fds, size_t n)
{
    union control control = { 0 };
    size_t bytes = n * sizeof *fds;
    struct iovec iov = { .iov_base = &what, .iov_len = 1 };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = &control,
                          .msg_controllen = CMSG_SPACE(bytes) };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(c), fds, bytes);
    ssize_t sent;
    do
        sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == 1 ? 0 : -1;
}

/* However many came: those that nobody asked for would stay open unseen. */
static size_t take(struct msghdr *msg, int *fds)
{
    size_t n = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
        if (count > FDPASS_MAX - n)
            count = FDPASS_MAX - n;
        memcpy(fds + n, CMSG_DATA(c), count * sizeof *fds);
        n += count;
    }
    return n;
}

int fdpass_receive(int sock, char what, int *fds, size_t n)
{
    int got[FDPASS_MAX];
    char byte = 0;
    union control control = { 0 };
    struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t len;
    do
        len = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (len < 0 && errno == EINTR);
    size_t count = len >= 0 ? take(&msg, got) : 0;
    if (len == 1 && byte == what && count == n) {
        memcpy(fds, got, n * sizeof *fds);
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        close(got[i]);
    for (size_t i = 0; i < n; i++)
        fds[i] = -1;
    if (len >= 0)
        errno = EPROTO;
    return -1;
}
