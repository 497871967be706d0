/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/mem.h"
#include "runtime/wire.h"

enum { READY_TIMEOUT_S = 30 };

/* ── in the server ── */

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

/* Another program reads squashfs, so that this one need not load what that takes. It gets nothing
 * of the caller's environment. */
static int exec_squashfs(const struct runtime_plan *p, int sock, struct err *e)
{
    auto_free char *image_fd = mem_printf("%d", p->image_fd);
    auto_free char *sock_fd = mem_printf("%d", sock);
    auto_free char *offset = mem_printf("%llu", (unsigned long long)p->image.fs_offset);
    auto_free char *uid = mem_printf("%u", p->drop_to_owner ? p->owner_uid : 0);
    auto_free char *gid = mem_printf("%u", p->drop_to_owner ? p->owner_gid : 0);
    char all_root[] = { p->all_root ? '1' : '0', 0 };
    char *const argv[] = { p->squashfs_server, image_fd,      sock_fd, offset, uid, gid,
                           all_root,           p->image_path, NULL };
    char *const envp[] = { NULL };
    if (fcntl(p->image_fd, F_SETFD, 0) == 0 && fcntl(sock, F_SETFD, 0) == 0)
        execve(p->squashfs_server, argv, envp);
    err_sys(e, "cannot start '%s'", p->squashfs_server);
    return err_code_set(e, ERR_HOST);
}

NORETURN static void server_main(const struct runtime_plan *p, int sock)
{
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
    if (p->image.kind != IMAGE_EXT) {
        auto_err struct err e = { 0 };
        _exit(exec_squashfs(p, sock, &e) < 0 && wire_send(sock, &e, NULL) < 0 ? 2 : 1);
    }
    const struct runtime_serve_spec spec = {
        .image_fd = p->image_fd,
        .sock_fd = sock,
        .image_path = p->image_path,
        .fs_offset = p->image.fs_offset,
        .owner_uid = p->drop_to_owner ? p->owner_uid : 0,
        .owner_gid = p->drop_to_owner ? p->owner_gid : 0,
        .all_root = p->all_root,
        .open = image_tree_open_ext,
    };
    runtime_serve(&spec);
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
