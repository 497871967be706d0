/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "build/parts.h"

/* The worker's monitor makes the stage and removes it, also after a SIGKILL of hpcc; when it was
 * killed itself, another worker does. The sweep is for the day when the power went. */

int stage_dir_plan(struct build *b, struct err *e)
{
    const struct place *image = &b->target.place;
    const char *tmp = b->spec->tmp_dir;
    auto_free char *beside = path_dir(b->target.path);
    auto_close int tmp_fd = tmp ? open(tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (tmp && tmp_fd < 0)
        return err_sys(e, "cannot open the directory '%s'", tmp);
    const struct stage_spec spec = {
        .dir_fd = tmp ? tmp_fd : image->dir_fd,
        .dir = tmp ? tmp : beside,
        .name = image->name,
        .word = PLACE_STAGE,
    };
    return stage_plan(&spec, &b->stage_dir, e);
}

/* Made and locked first, so that of two builds one at least sees the other. */
int stage_dir_make(void *ctx, struct err *e)
{
    struct build *b = ctx;
    struct stage *s = &b->stage_dir;
    if (stage_make(s, e) < 0) {
        err_wrap(e, "cannot make the stage");
        return err_hint(e, "--tmpdir DIR makes it elsewhere");
    }
    b->own.fd = s->fd;
    auto_free char *other = place_sweep_but(&s->at, s->name);
    if (!other)
        return 0;
    err_set(e, ERR_FAILED, "another hpcc builds '%s' at this moment", b->target.path);
    return err_hint(e, "wait for it; it works in '%s'", other);
}

void stage_dir_remove(void *ctx)
{
    struct build *b = ctx;
    auto_err struct err why = { 0 };
    if (stage_remove(&b->stage_dir, &why) < 0)
        log_warn("the stage stays: %s", why.msg);
    place_sweep(&b->stage_dir.at); /* the hidden name that a killed draft may have left */
}
