/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/server.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/mem.h"
#include "jail/jail.h"
#include "runtime/serve_words.h"
#include "runtime/share.h"

enum { READY_TIMEOUT_S = 30 };

/* ── in the server ── */

/* Another program reads squashfs, so that this one need not load what that takes. It gets nothing
 * of the caller's environment. */
static int exec_squashfs(const char *program, const struct runtime_serve_spec *spec, struct err *e)
{
    const int keep[] = { spec->image_fd, spec->sock_fd, spec->listen_fd };
    auto_strv struct strv argv = { 0 };
    char *const envp[] = { NULL };
    serve_words_write(program, spec, &argv);
    for (size_t i = 0; i < ARRAY_LEN(keep); i++)
        if (keep[i] >= 0 && fcntl(keep[i], F_SETFD, 0) < 0)
            return err_sys(e, "cannot hand over descriptors");
    execve(program, argv.v, envp);
    err_sys(e, "cannot start '%s'", program);
    return err_code_set(e, ERR_HOST);
}

/* S: our end of the socket. */
NORETURN static void server_main(const struct plan_image *image, bool all_root,
                                 const struct server *s)
{
    sigset_t all;
    sigfillset(&all); /* what is sent to every process of a job ends the job, and the mount us */
    sigprocmask(SIG_BLOCK, &all, NULL);
    log_sink_set(NULL);
    const struct runtime_serve_spec spec = {
        .image_fd = image->fd,
        .sock_fd = s->sock_fd,
        .listen_fd = s->share.listen_fd,
        .image_path = image->path,
        .fs_offset = image->info.fs_offset,
        .owner_uid = image->drop_to_owner ? image->owner_uid : 0,
        .owner_gid = image->drop_to_owner ? image->owner_gid : 0,
        .all_root = all_root,
        .open = image_tree_open_ext,
    };
    if (image->info.kind != IMAGE_EXT) {
        auto_err struct err e = { 0 };
        _exit(exec_squashfs(image->squashfs_server, &spec, &e) < 0 &&
                      wire_send(s->sock_fd, &e, NULL) < 0
                  ? 2
                  : 1);
    }
    runtime_serve(&spec);
}

/* ── in the caller ── */

int server_start(const struct plan_image *image, bool all_root, struct server *s, struct err *e)
{
    int pair[2];
    /* The lock belongs to the open file, which the server keeps as long as the mount lives. */
    if (image_lock(image->fd, image->path, IMAGE_LOCK_READ, e) < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_sys(e, "cannot start the image server");
    s->sock_fd = pair[1];
    pid_t pid = ns_fork_unnoticed();
    if (pid == 0)
        server_main(image, all_root, s);
    int code = errno;
    close(pair[1]);
    s->pid = pid;
    s->sock_fd = pair[0];
    cleanup_fd(&s->share.listen_fd);
    s->share.listen_fd = -1;
    errno = code;
    if (pid < 0)
        return err_sys(e, "cannot start the image server");
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
    if (fdpass_send(s->sock_fd, SERVER_FUSE, &fuse_fd, 1) < 0)
        return err_sys(e, "cannot reach the image server");
    return 0;
}

void server_share(struct server *s, int proc_fd)
{
    if (s->share.key[0])
        share_invite(s->sock_fd, s->share.key, proc_fd);
    server_close(s);
}

void server_close(struct server *s)
{
    cleanup_fd(&s->sock_fd);
    cleanup_fd(&s->share.listen_fd);
    s->sock_fd = s->share.listen_fd = -1;
}
