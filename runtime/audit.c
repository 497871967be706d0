/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/audit.h"

#include <sys/mount.h>

#include "base/path.h"
#include "base/str.h"
#include "runtime/mountinfo.h"

struct audit {
    const struct runtime_plan *p;
    bool first; /* the root itself comes first */
    struct err *e;
    int rc;
};

static int check(void *ctx, const struct mountinfo *mi)
{
    struct audit *a = ctx;
    const struct runtime_plan *p = a->p;
    bool overlaid = p->overlay || (p->flags & (RUNTIME_WRITABLE_TMPFS | RUNTIME_WRITABLE));
    const char *lacks = NULL;
    if (!(mi->flags & MS_NOSUID))
        lacks = "nosuid";
    else if (!(mi->flags & MS_NODEV) && !path_within(mi->mount_point, "/dev"))
        lacks = "nodev";
    else if (a->first && !overlaid && !(mi->flags & MS_RDONLY))
        lacks = "ro";
    a->first = false;
    if (!lacks)
        return 0;
    a->rc = err_set(a->e, ERR_BUG, "the container's mount '%s' lacks '%s'", mi->mount_point, lacks);
    return 1;
}

int audit_root(const struct runtime_plan *p, int proc_fd, struct err *e)
{
    struct audit a = { .p = p, .first = true, .e = e };
    if (mountinfo_each(proc_fd, check, &a) < 0)
        return err_sys(e, "cannot check the container's mounts");
    return a.rc;
}
