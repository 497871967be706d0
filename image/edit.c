/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/edit.h"

#include <fcntl.h>

void edit_close(struct edit *ed)
{
    cleanup_fd(&ed->fd);
    ed->fd = -1;
}

int edit_open(const struct place *p, enum image_lock lock, struct edit *out, struct err *e)
{
    auto_edit struct edit ed = EDIT_INIT;
    auto_close int probed = image_open_place(p, &ed.info, e);
    if (probed < 0)
        return -1;
    if (ed.info.kind != IMAGE_EXT) {
        err_set(e, ERR_INPUT, "cannot change '%s': it holds no ext file system", p->path);
        return err_hint(e, "build an image from it: 'Bootstrap: localimage'");
    }
    ed.fd = place_open_found(p, O_RDWR, e);
    if (ed.fd < 0)
        return err_wrap(e, "cannot change the image");
    if (fstat(ed.fd, &ed.st) < 0)
        return err_sys(e, "cannot look at image '%s'", p->path);
    /* Whoever held the lock before us may have published. */
    if (image_lock(ed.fd, p->path, lock, e) < 0 || place_check(p, e) < 0)
        return -1;
    *out = ed;
    ed.fd = -1;
    return 0;
}
