/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_SERVE_CASE_H
#define TESTS_IMAGE_SERVE_CASE_H

/* A file server on an image, mounted for one test. */
#include "tests/image/image_case.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* A descriptor over a socket. */
static inline void case_send_fd(int sock, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof fd)] = { 0 };
    struct iovec io = { &byte, 1 };
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(sock, &m, 0) != 1)
        _exit(90);
}

static inline int case_receive_fd(int sock)
{
    int fd = -1;
    char byte, control[CMSG_SPACE(sizeof fd)];
    struct iovec io = { &byte, 1 };
    struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) != 1)
        return -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

static inline int case_tree_open(int fd, const struct image_info *info, struct image_tree **out)
{
#ifdef HPCC_SQUASHFS
    if (info->kind != IMAGE_EXT)
        return image_tree_open_squashfs(fd, info->fs_offset, out, NULL);
#endif
    return image_tree_open_ext(fd, info->fs_offset, out, NULL);
}

/* The server's process: waits for the device on SOCK, confines itself and serves until the mount is
 * gone. Exits with 0, or with the step that failed. */
static inline NORETURN void case_serve(const char *image, int sock, bool confine)
{
    struct image_info info;
    struct image_tree *tree = NULL;
    struct image_serve_spec spec = { .fuse_fd = -1 };
    int image_fd = image_open(image, &info, NULL);
    if (image_fd < 0)
        _exit(10);
    if (case_tree_open(image_fd, &info, &tree) < 0)
        _exit(11);
    spec.tree = tree;
    spec.fuse_fd = case_receive_fd(sock);
    if (spec.fuse_fd < 0)
        _exit(12);
    close(sock);
    const int keep[] = { image_fd, spec.fuse_fd };
    if (confine &&
        image_serve_confine(&(struct image_confine_spec){ keep, ARRAY_LEN(keep), 16 }, NULL) < 0)
        _exit(13);
    if (image_serve(&spec, NULL) < 0)
        _exit(14);
    _exit(0);
}

/* Start a server for IMAGE; *SOCK takes the device. */
static inline pid_t case_server_start(const char *image, int *sock, bool confine)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pair[0]);
        case_serve(image, pair[1], confine);
    }
    close(pair[1]);
    *sock = pair[0];
    return pid;
}

static inline int case_fuse_mount(const char *dir)
{
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -1;
    auto_free char *options =
        mem_printf("fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other,default_permissions",
                   fd, geteuid(), getegid());
    if (mount("hpcc-img", dir, "fuse.hpcc", MS_RDONLY | MS_NOSUID | MS_NODEV, options) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline int case_wait(pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Become an ordinary user in a user namespace of one id, with a mount namespace. */
static inline int case_enter_userns(unsigned uid)
{
    if (geteuid() == 0 && (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0))
        return -1;
    prctl(PR_SET_DUMPABLE, 1); /* else /proc/self belongs to root */
    uid = geteuid();
    unsigned gid = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return -1;
    auto_free char *uid_map = mem_printf("%u %u 1", uid, uid);
    auto_free char *gid_map = mem_printf("%u %u 1", gid, gid);
    const char *const files[][2] = { { "/proc/self/setgroups", "deny" },
                                     { "/proc/self/uid_map", uid_map },
                                     { "/proc/self/gid_map", gid_map } };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        auto_close int fd = open(files[i][0], O_WRONLY | O_CLOEXEC);
        if (fd < 0 || write(fd, files[i][1], strlen(files[i][1])) < 0)
            return -1;
    }
    return 0;
}

#endif
