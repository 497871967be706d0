/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/ops.h"

#include <fcntl.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "runtime/accounts.h"
#include "jail/jail.h"

struct ops_one {
    int tree;   /* of a bind, see mounter_clone; -1 */
    int why;    /* errno, when there is none */
    int target; /* by a path without links; -1: not known */
};

void ops_open(struct ops *x)
{
    const struct runtime_plan *p = x->p;
    x->one = mem_alloc(p->n_ops * sizeof *x->one);
    for (size_t i = 0; i < p->n_ops; i++) {
        const struct plan_op *op = &p->ops[i];
        x->one[i] = (struct ops_one){ .tree = -1, .target = -1 };
        if (op->kind == PLAN_BIND)
            x->one[i].tree = mounter_clone(&x->r->m, op->src, op->attrs);
        x->one[i].why = errno;
    }
}

void ops_close(struct ops *x)
{
    for (size_t i = 0; x->one && i < x->p->n_ops; i++) {
        fds_spend(x->one[i].target);
        fds_spend(x->one[i].tree);
    }
    free(x->one);
}

/* Whether an earlier operation's mount decides about what is at PATH. */
static bool below_earlier(const struct runtime_plan *p, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (path_within(path, p->ops[i].dst) && !str_eq(path, p->ops[i].dst))
            return true;
    return false;
}

/* ── mount points ── */

static int how_to_open(const struct ops *x, const struct plan_op *op)
{
    return (op->attrs & MOUNT_LINK) && !x->r->m.old_api ? O_PATH | O_NOFOLLOW : O_PATH;
}

static bool find_target(struct ops *x, size_t i)
{
    const struct plan_op *op = &x->p->ops[i];
    if (str_eq(op->dst, "/")) /* check_target refuses it */
        return false;
    x->one[i].target = fs_open_plain_at(x->r->m.root_fd, op->dst, how_to_open(x, op));
    return x->one[i].target >= 0;
}

static int provide(struct newroot *r, const struct runtime_plan *p, const struct plan_op *op,
                   struct err *e)
{
    if (!plan_has_upper(p))
        return newroot_provide(r, op->dst, op->traits & PLAN_FILE, e);
    if (!(op->traits & PLAN_FILE))
        return fs_mkdirs_at(r->m.root_fd, op->dst, 0755, e);
    struct stat st;
    auto_str struct str empty = { 0 };
    str_add(&empty, "");
    if (fs_stat_at(r->m.root_fd, op->dst, true, &st) == 0)
        return 0;
    return fs_write_at(r->m.root_fd, op->dst, &empty, 0644, e);
}

static bool is_covered(const struct newroot *r, const char *path)
{
    for (size_t i = 0; i < r->covers.n; i++)
        if (path_within(path, r->covers.v[i]))
            return true;
    return false;
}

/* With --writable nothing is made, since what the user writes there has to reach the image. */
static int provide_all(struct ops *x, struct err *e)
{
    const struct runtime_plan *p = x->p;
    bool make = !(p->flags & RUNTIME_WRITABLE);
    for (size_t i = 0; i < p->n_ops; i++) {
        const struct plan_op *op = &p->ops[i];
        auto_err struct err why = { 0 };
        if (below_earlier(p, i, op->dst) || find_target(x, i))
            continue;
        if (!make || !(op->traits & PLAN_MAKE) || provide(x->r, p, op, &why) == 0)
            continue;
        if (!(op->traits & PLAN_OPTIONAL))
            return err_move(e, &why);
        log_verbose("'%s' is left out: %s", op->dst, why.msg);
    }
    for (size_t i = 0; i < p->n_ops; i++)
        if (is_covered(x->r, p->ops[i].dst) && !below_earlier(p, i, p->ops[i].dst)) {
            cleanup_fd(&x->one[i].target);
            (void)find_target(x, i);
        }
    return 0;
}

/* ── mounts ── */

/* uid 0 may write to the kernel's settings without any capability, in whatever namespace. */
static int seal_for_root(const struct ops *x, const char *dst, struct err *e)
{
    unsigned variants = JAIL_HOST_ROOT | (x->p->flags & RUNTIME_CONTAIN ? JAIL_CONTAIN : 0);
    bool is_view = str_eq(dst, "/proc") || str_eq(dst, "/sys");
    return is_view && x->host_root && defence("proc-seal") ? views_seal(&x->r->m, dst, variants, e)
                                                           : 0;
}

static int perform_bind(const struct ops *x, const struct plan_op *op, const struct ops_one *one,
                        struct err *e)
{
    if (one->tree < 0) {
        errno = one->why;
        return err_sys(e, "cannot open '%s'", op->src);
    }
    return mounter_attach(&x->r->m, one->tree, &(struct mount_target){ op->dst, one->target },
                          op->attrs, e);
}

static int perform_op(const struct ops *x, const struct plan_op *op, const struct ops_one *one,
                      struct err *e)
{
    struct newroot *r = x->r;
    const struct runtime_plan *p = x->p;
    struct mount_fs fs = {
        .type = "tmpfs", .source = "hpcc", .options = op->src, .attrs = op->attrs
    };
    switch (op->kind) {
    case PLAN_BIND:
        if (perform_bind(x, op, one, e) < 0)
            return -1;
        return seal_for_root(x, op->dst, e);
    case PLAN_TMPFS:
        return mounter_fs(&r->m, &fs, op->dst, e);
    case PLAN_DEV:
        return devices_make(&r->m, e);
    case PLAN_PROC:
        fs = (struct mount_fs){ .type = "proc", .attrs = op->attrs };
        if (mounter_fs(&r->m, &fs, op->dst, e) < 0)
            return -1;
        return seal_for_root(x, op->dst, e);
    case PLAN_ACCOUNTS:
        return accounts_add(r, p, op, e);
    case PLAN_KINDS:
        break;
    }
    return err_set(e, ERR_BUG, "unknown step %d in the plan", op->kind);
}

/* A target inside a tmpfs of ours can still be made; with --writable one elsewhere cannot, since it
 * would stay in the image. */
static int open_target(const struct ops *x, const struct plan_op *op)
{
    struct newroot *r = x->r;
    const struct runtime_plan *p = x->p;
    int fd = fs_open_at(r->m.root_fd, op->dst, how_to_open(x, op), 0, NULL);
    if (fd >= 0)
        return fd;
    bool stays = (p->flags & RUNTIME_WRITABLE) && !below_earlier(p, (size_t)(op - p->ops), op->dst);
    if (stays || !(op->traits & PLAN_MAKE) || (op->traits & PLAN_FILE) ||
        fs_mkdirs_at(r->m.root_fd, op->dst, 0755, NULL) < 0)
        return -1;
    return fs_open_at(r->m.root_fd, op->dst, O_PATH, 0, NULL);
}

static int no_target(const struct ops *x, const struct plan_op *op, struct err *e)
{
    err_set(e, ERR_INPUT, "there is no '%s' in the container to mount on", op->dst);
    if (x->p->flags & RUNTIME_WRITABLE)
        return err_hint(
            e, "with --writable make it first: 'hpcc exec --writable IMAGE mkdir -p %s'", op->dst);
    return err_hint(e, "a bind inside another bind needs its target to exist there");
}

/* Why nothing can be mounted there; the kernel only says EINVAL. */
static int check_target(const struct ops *x, const struct plan_op *op, int target, struct err *e)
{
    struct stat st;
    if (fstat(target, &st) < 0)
        return err_sys(e, "cannot look at '%s' in the container", op->dst);
    /* A mount over the root would be one that the container's paths pass by. */
    if (st.st_dev == x->root.st_dev && st.st_ino == x->root.st_ino)
        return err_set(e, ERR_INPUT, "cannot mount on '%s' in the container: it leads to '/'",
                       op->dst);
    if (S_ISDIR(st.st_mode) != !(op->traits & PLAN_FILE))
        return err_set(e, ERR_INPUT, "cannot mount on '%s' in the container: it is %sa directory",
                       op->dst, S_ISDIR(st.st_mode) ? "" : "not ");
    return 0;
}

static int perform_one(struct ops *x, size_t i, struct err *e)
{
    const struct plan_op *op = &x->p->ops[i];
    x->exact = x->exact && x->one[i].target >= 0;
    if (!x->exact) {
        cleanup_fd(&x->one[i].target);
        x->one[i].target = open_target(x, op);
        if (x->one[i].target < 0)
            return no_target(x, op, e);
        if (check_target(x, op, x->one[i].target, e) < 0)
            return -1;
    }
    if (perform_op(x, op, &x->one[i], e) == 0)
        return 0;
    auto_err struct err why = { 0 };
    return check_target(x, op, x->one[i].target, &why) < 0 ? err_move(e, &why) : -1;
}

static int perform_all(struct ops *x, struct err *e)
{
    const struct runtime_plan *p = x->p;
    bool lenient = p->flags & RUNTIME_WRITABLE;
    if (fstat(x->r->m.root_fd, &x->root) < 0)
        return err_sys(e, "cannot look at the container's root");
    for (size_t i = 0; i < p->n_ops; i++) {
        const struct plan_op *op = &p->ops[i];
        auto_err struct err why = { 0 };
        if (perform_one(x, i, &why) == 0)
            continue;
        bool pass = (op->traits & PLAN_OPTIONAL) || (lenient && !(op->traits & PLAN_USER));
        if (!pass) {
            err_move(e, &why);
            return err_wrap(e, "cannot give the container '%s'", op->dst);
        }
        log_verbose("'%s' is left out: %s", op->dst, why.msg);
    }
    return 0;
}

int ops_perform(struct ops *x, struct err *e)
{
    x->exact = true;
    return provide_all(x, e) < 0 ? -1 : perform_all(x, e);
}
