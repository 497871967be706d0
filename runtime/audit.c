/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/audit.h"

#include <fcntl.h>
#include <sys/mount.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/defence.h"
#include "jail/jail.h"

enum { MAX_BAD = 64 };

struct bad_mount {
    uint64_t id;
    char *point;
    const char *lacks;
};

struct audit {
    const struct runtime_plan *p;
    bool root; /* has been seen */
    struct bad_mount bad[MAX_BAD];
    size_t n_bad;
};

static void audit_fini(struct audit *a)
{
    for (size_t i = 0; i < a->n_bad; i++)
        free(a->bad[i].point);
}

/* A mount that another one covers completely cannot be reached, and on old kernels not be changed
 * either: it does not count. At "/" nothing may lie over or under the root. */
static void forget_covered(struct audit *a, const struct mountinfo *mi)
{
    for (size_t i = 0; i < a->n_bad; i++) {
        if (a->bad[i].id != mi->parent || !str_eq(a->bad[i].point, mi->mount_point) ||
            str_eq(mi->mount_point, "/"))
            continue;
        free(a->bad[i].point);
        a->bad[i] = a->bad[--a->n_bad];
        return;
    }
}

static int check(void *ctx, const struct mountinfo *mi)
{
    struct audit *a = ctx;
    const struct runtime_plan *p = a->p;
    bool writable = plan_has_upper(p) || (p->flags & RUNTIME_WRITABLE);
    bool root = str_eq(mi->mount_point, "/");
    const char *lacks = NULL;
    forget_covered(a, mi);
    if (!(mi->flags & MS_NOSUID))
        lacks = "nosuid";
    else if (!(mi->flags & MS_NODEV) && !path_within(mi->mount_point, "/dev"))
        lacks = "nodev";
    else if (root && !writable && !(mi->flags & MS_RDONLY))
        lacks = "ro";
    a->root |= root;
    if (lacks)
        a->bad[a->n_bad++] = (struct bad_mount){ mi->id, mem_strdup(mi->mount_point), lacks };
    return a->n_bad == MAX_BAD;
}

int audit_root(const struct runtime_plan *p, int proc_fd, struct err *e)
{
    auto_spent int self = openat(proc_fd, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return self < 0 ? err_sys(e, "cannot check the container's mounts") : audit_process(p, self, e);
}

int audit_process(const struct runtime_plan *p, int process_fd, struct err *e)
{
    if (!defence("audit"))
        return 0;
    cleanup_with(audit_fini) struct audit a = { .p = p };
    if (mountinfo_of(process_fd, check, &a) < 0)
        return err_sys(e, "cannot check the container's mounts");
    if (!a.root)
        return err_set(e, ERR_BUG, "the container has no mounts to check");
    if (a.n_bad)
        return err_set(e, ERR_BUG, "the container's mount '%s' lacks '%s'", a.bad[0].point,
                       a.bad[0].lacks);
    return 0;
}
