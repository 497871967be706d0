/* SPDX-License-Identifier: BSD-3-Clause */
#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/defence.h"
#include "runtime/runtime.h"
#include "runtime/wire.h"

/* The life of an image server, in a process of its own. */

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
static int drop_to_owner(const struct runtime_serve_spec *spec, struct err *e)
{
    if (spec->owner_uid == 0 || !defence("owner"))
        return 0;
    if (setgroups(0, NULL) < 0 && errno == EPERM)
        return 0; /* root of a user namespace only: no power over others to give up */
    if (setresgid(spec->owner_gid, spec->owner_gid, spec->owner_gid) < 0 ||
        setresuid(spec->owner_uid, spec->owner_uid, spec->owner_uid) < 0)
        return err_sys(e, "cannot become the image's owner to read it");
    return 0;
}

static int prepare(const struct runtime_serve_spec *spec, struct image_tree **tree, struct err *e)
{
    if (drop_to_owner(spec, e) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        (defence("dumpable") && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
        return err_sys(e, "cannot confine the image server");
    if (spec->open(spec->image_fd, spec->fs_offset, tree, e) < 0)
        return err_wrap(e, "image '%s'", spec->image_path);
    return 0;
}

void runtime_serve(const struct runtime_serve_spec *spec)
{
    auto_err struct err e = { 0 };
    struct image_tree *tree = NULL;
    int rc = prepare(spec, &tree, &e);
    if (wire_send(spec->sock_fd, &e, NULL) < 0 || rc < 0)
        _exit(1);
    if (shutdown(spec->sock_fd, SHUT_WR) < 0)
        _exit(1);
    int fuse_fd = receive_fd(spec->sock_fd);
    close(spec->sock_fd);
    if (fuse_fd < 0)
        _exit(1); /* the start failed elsewhere, and was told there */
    struct image_serve_spec serve = {
        .image_fd = spec->image_fd, .tree = tree, .fuse_fd = fuse_fd, .all_root = spec->all_root
    };
    if (image_serve_confine(&serve, &e) < 0 || image_serve(&serve, &e) < 0)
        _exit(1);
    _exit(0);
}
