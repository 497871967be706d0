/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/defence.h"
#include "runtime/door.h"
#include "jail/jail.h"
#include "runtime/runtime.h"
#include "runtime/server.h"

/* The life of an image server, in a process of its own. */

enum { FDS_ALONE = 16 };

/* Whether setgroups(2) is forbidden for good: it is in the user namespace of somebody who made it
 * without a privilege. He is root there over himself only, and has no groups that could be dropped. */
static bool groups_are_fixed(void)
{
    char word[8] = "";
    auto_close int fd = open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, word, sizeof word - 1) > 0 && strncmp(word, "deny", 4) == 0;
}

/* Root's server reads bytes that others wrote: it does so as the one who wrote them. */
static int drop_to_owner(const struct runtime_serve_spec *spec, struct err *e)
{
    if (spec->owner_uid == 0 || !defence("owner"))
        return 0;
    if (groups_are_fixed())
        return 0;
    if (setgroups(0, NULL) < 0 ||
        setresgid(spec->owner_gid, spec->owner_gid, spec->owner_gid) < 0 ||
        setresuid(spec->owner_uid, spec->owner_uid, spec->owner_uid) < 0)
        return err_sys(e, "cannot become the image's owner to read it");
    return 0;
}

static int prepare(const struct runtime_serve_spec *spec, struct image_tree **tree, struct err *e)
{
    if (drop_to_owner(spec, e) < 0)
        return -1;
    if (spec->open(spec->image_fd, spec->fs_offset, tree, e) < 0)
        return err_wrap(e, "image '%s'", spec->image_path);
    const int keep[] = { spec->image_fd, spec->sock_fd, spec->listen_fd };
    const struct image_confine_spec confine = {
        .keep_fds = keep,
        .n_keep = ARRAY_LEN(keep),
        .max_fds = spec->listen_fd >= 0 ? DOOR_MAX_FDS : FDS_ALONE,
    };
    return image_serve_confine(&confine, e);
}

void runtime_serve(const struct runtime_serve_spec *spec)
{
    auto_err struct err e = { 0 };
    struct image_tree *tree = NULL;
    struct image_serve_spec serve = { .fuse_fd = -1 };
    uid_t uid = geteuid();
    int rc = prepare(spec, &tree, &e);
    if (wire_send(spec->sock_fd, &e, NULL) < 0 || rc < 0)
        _exit(1);
    if (fdpass_receive(spec->sock_fd, SERVER_FUSE, &serve.fuse_fd, 1) < 0)
        _exit(1); /* the start failed elsewhere, and was told there */
    if (spec->listen_fd >= 0)
        door_open(&(struct door){ spec->sock_fd, spec->listen_fd, uid });
    else
        close(spec->sock_fd);
    serve.tree = tree;
    serve.all_root = spec->all_root;
    _exit(image_serve(&serve, &e) < 0);
}
