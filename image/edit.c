/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/edit.h"

#include <fcntl.h>

#include "base/str.h"

void edit_close(struct edit *ed)
{
    cleanup_fd(&ed->fd);
    ed->fd = -1;
}

int edit_check(const char *path, const struct stat *st, struct err *e)
{
    struct stat now;
    if (stat(path, &now) < 0)
        return err_sys(e, "cannot look at image '%s'", path);
    if (now.st_ino == st->st_ino && now.st_dev == st->st_dev)
        return 0;
    err_set(e, ERR_FAILED, "image '%s' was just replaced by another process", path);
    return err_hint(e, "look at the new one, then try again");
}

int edit_open(const char *path, enum image_lock lock, struct edit *out, struct err *e)
{
    auto_edit struct edit ed = EDIT_INIT;
    auto_close int probed = image_open(path, &ed.info, e);
    if (probed < 0)
        return -1;
    if (ed.info.kind != IMAGE_EXT) {
        err_set(e, ERR_INPUT, "cannot change '%s': it holds no ext file system", path);
        return err_hint(e, "build an image from it: 'Bootstrap: localimage'");
    }
    /* What was probed was a regular file, so opening it again for writing cannot hang. */
    ed.fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct stat first;
    if (ed.fd < 0 || fstat(ed.fd, &ed.st) < 0 || fstat(probed, &first) < 0)
        return err_sys(e, "cannot change image '%s'", path);
    if (image_lock(ed.fd, path, lock, e) < 0)
        return -1;
    if (edit_check(path, &first, e) < 0 || edit_check(path, &ed.st, e) < 0)
        return -1;
    *out = ed;
    ed.fd = -1;
    return 0;
}
