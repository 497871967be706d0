/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/server.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/defence.h"
#include "runtime/wire.h"

enum { READY_TIMEOUT_S = 30 };

/* ── in the server ── */

static int receive_fd(int sock)
{
    char byte;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t n;
    do
        n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&msg) : NULL;
    int fd = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

/* Root's server reads bytes that others wrote: it does so as the one who wrote them. */
static int drop_to_owner(const struct runtime_plan *p, struct err *e)
{
    if (!p->drop_to_owner || p->owner_uid == 0 || !defence("owner"))
        return 0;
    if (setgroups(0, NULL) < 0 && errno == EPERM)
        return 0; /* root of a user namespace only: no power over others to give up */
    if (setresgid(p->owner_gid, p->owner_gid, p->owner_gid) < 0 ||
        setresuid(p->owner_uid, p->owner_uid, p->owner_uid) < 0)
        return err_sys(e, "cannot become the image's owner to read it");
    return 0;
}

/* Our own stdio would keep the caller's pipes open after its program has ended. */
static void leave_terminal(void)
{
    auto_close int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    setsid();
    for (int fd = 0; fd < 3 && null_fd >= 0; fd++)
        if (dup2(null_fd, fd) < 0)
            _exit(1);
}

static void keep_only(const int *fds, size_t n)
{
    int from = 3;
    for (size_t i = 0; i < n; i++) { /* ascending */
        if (fds[i] > from)
            close_range((unsigned)from, (unsigned)fds[i] - 1, 0);
        from = fds[i] + 1;
    }
    close_range((unsigned)from, ~0u, 0);
}

static int prepare(const struct runtime_plan *p, struct image_reader **reader, struct err *e)
{
    if (drop_to_owner(p, e) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        (defence("dumpable") && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
        return err_sys(e, "cannot confine the image server");
    if (image_reader_open(p->image_fd, p->image.fs_offset, reader, e) < 0)
        return err_wrap(e, "image '%s'", p->image_path);
    return 0;
}

NORETURN static void server_main(const struct runtime_plan *p, int sock)
{
    auto_err struct err e = { 0 };
    struct image_reader *reader = NULL;
    sigset_t none;
    const int keep[2] = { p->image_fd < sock ? p->image_fd : sock,
                          p->image_fd < sock ? sock : p->image_fd };
    log_sink_set(NULL);
    leave_terminal();
    keep_only(keep, ARRAY_LEN(keep));
    for (int s = 1; s < 32; s++)
        signal(s, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int rc = prepare(p, &reader, &e);
    if (wire_send(sock, &e, NULL) < 0 || rc < 0)
        _exit(1);
    if (shutdown(sock, SHUT_WR) < 0)
        _exit(1);
    int fuse_fd = receive_fd(sock);
    close(sock);
    if (fuse_fd < 0)
        _exit(1); /* the start failed elsewhere, and was told there */
    struct image_serve_spec spec = { .image_fd = p->image_fd,
                                     .reader = reader,
                                     .fuse_fd = fuse_fd };
    if (image_serve_confine(&spec, &e) < 0 || image_serve(&spec, &e) < 0)
        _exit(1);
    _exit(0);
}

/* ── in the caller ── */

int server_start(const struct runtime_plan *p, struct server *s, struct err *e)
{
    int pair[2];
    /* The lock belongs to the open file, which the server keeps as long as the mount lives. */
    if (image_lock(p->image_fd, p->image_path, IMAGE_LOCK_READ, e) < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, "cannot start the image server");
    pid_t middle = fork();
    if (middle == 0) {
        close(pair[0]);
        pid_t pid = fork();
        if (pid == 0)
            server_main(p, pair[1]);
        _exit(pid < 0);
    }
    close(pair[1]);
    s->sock_fd = pair[0];
    int status = 1;
    while (middle > 0 && waitpid(middle, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0)
        return err_set(e, ERR_FAILED, "cannot start the image server");
    struct timeval patience = { .tv_sec = READY_TIMEOUT_S };
    setsockopt(s->sock_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return 0;
}

int server_ready(struct server *s, struct err *e)
{
    auto_err struct err from_server = { 0 };
    if (wire_receive(s->sock_fd, &from_server, NULL) != 1)
        return err_set(e, ERR_FAILED, "the image server died before it was ready");
    return from_server.code == ERR_NONE ? 0 : err_move(e, &from_server);
}

int server_give(struct server *s, int fuse_fd, struct err *e)
{
    char byte = 'f';
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fuse_fd);
    memcpy(CMSG_DATA(c), &fuse_fd, sizeof fuse_fd);
    if (sendmsg(s->sock_fd, &msg, MSG_NOSIGNAL) != 1)
        return err_sys(e, "cannot reach the image server");
    server_close(s);
    return 0;
}

void server_close(struct server *s)
{
    cleanup_fd(&s->sock_fd);
    s->sock_fd = -1;
}
