/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/mount.h>

#include "base/defence.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "jail/jail.h"

/* What a finished tree shows is judged by the kernel's account of its mounts, not by what we meant to
 * mount: a bind brings whatever is mounted below its source. */

/* Left out: what only stores or holds nodes (tmpfs, devtmpfs, devpts, mqueue, hugetlbfs). */
static const char *const windows[] = {
    "proc",      "sysfs",      "cgroup",   "cgroup2",    "cpuset",      "debugfs",    "tracefs",
    "bpf",       "securityfs", "configfs", "efivarfs",   "binfmt_misc", "pstore",     "fusectl",
    "selinuxfs", "smackfs",    "nfsd",     "rpc_pipefs", "resctrl",     "xenfs",      "functionfs",
    "gadgetfs",  "ipathfs",    "qib_fs",   "dlmfs",      "oprofilefs",  "openpromfs", "ocfs2_dlmfs",
};

bool views_is_window(const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(windows); i++)
        if (str_eq(type, windows[i]))
            return true;
    return false;
}

enum { ROUNDS = 4 }; /* a mount point may be renamed under us, but not for ever */

struct seen {
    uint64_t id, parent;
    char *point;
    char *type;
    bool follows;
    unsigned long flags;
};

struct tree {
    struct seen *v;
    size_t n;
};

static void tree_fini(struct tree *t)
{
    for (size_t i = 0; i < t->n; i++) {
        free(t->v[i].point);
        free(t->v[i].type);
    }
    free(t->v);
    *t = (struct tree){ 0 };
}

static int add(void *ctx, const struct mountinfo *mi)
{
    struct tree *t = ctx;
    t->v = mem_resize(t->v, t->n + 1, sizeof *t->v);
    t->v[t->n++] = (struct seen){
        .id = mi->id,
        .parent = mi->parent,
        .point = mem_strdup(mi->mount_point),
        .type = mem_strdup(mi->type),
        .follows = mi->follows,
        .flags = mi->flags,
    };
    return 0;
}

static const struct seen *parent_of(const struct tree *t, const struct seen *s)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].id == s->parent && &t->v[i] != s)
            return &t->v[i];
    return NULL;
}

/* Whether the mount ID is S or lies on the way to it. */
static bool carries(const struct tree *t, uint64_t id, const struct seen *s)
{
    for (size_t steps = 0; s && steps <= t->n; steps++, s = parent_of(t, s))
        if (s->id == id)
            return true;
    return false;
}

/* Whether another mount lies over S or over the way to it. */
static bool is_hidden(const struct tree *t, const struct seen *s)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct seen *over = &t->v[i];
        if (path_within(s->point, over->point) && !carries(t, over->id, s) &&
            carries(t, over->parent, s))
            return true;
    }
    return false;
}

/* The container's own /proc, whose parts are sealed one by one: programs write to their own. */
static bool is_sealed_proc(const struct tree *t, const struct seen *s)
{
    if (!str_eq(s->type, "proc") || !str_eq(s->point, "/proc"))
        return false;
    for (size_t i = 0; i < t->n; i++)
        if (t->v[i].parent == s->id && str_eq(t->v[i].point, "/proc/sys") &&
            (t->v[i].flags & MS_RDONLY))
            return true;
    return false;
}

static bool is_open(const struct tree *t, const struct seen *s)
{
    return views_is_window(s->type) && !(s->flags & MS_RDONLY) && !is_sealed_proc(t, s) &&
           !is_hidden(t, s);
}

/* Autofs mounts on itself, in the host's namespace, what was asked for here. */
static bool may_grow(const struct tree *t, const struct seen *s)
{
    return s->follows && !str_eq(s->type, "autofs") && !is_hidden(t, s);
}

static bool has_autofs(const struct tree *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (str_eq(t->v[i].type, "autofs"))
            return true;
    return false;
}

/* Failures are not told here: what stays open is found in the next round. */
static size_t part_all(const struct tree *t)
{
    size_t left = 0;
    bool each = has_autofs(t);
    for (size_t i = 0; i < t->n; i++) {
        if (!may_grow(t, &t->v[i]))
            continue;
        left++;
        if ((each ? mounter_part(t->v[i].point) : ns_mounts_private()) < 0 || !each)
            break;
    }
    return left;
}

static const struct seen *close_all(const struct tree *t, const struct mounter *m)
{
    const struct seen *open = NULL;
    for (size_t i = 0; i < t->n; i++) {
        const struct seen *s = &t->v[i];
        const struct mountinfo mi = { .mount_point = s->point, .flags = s->flags };
        if (!is_open(t, s))
            continue;
        open = s;
        if (mounter_read_only(m, &mi) < 0)
            break;
    }
    return open;
}

int views_close_tree(int proc_fd, struct err *e)
{
    auto_free char *point = NULL;
    auto_free char *type = NULL;
    struct mounter m;
    mounter_open(&m);
    for (int round = 0; round < ROUNDS; round++) {
        cleanup_with(tree_fini) struct tree t = { 0 };
        if (mountinfo_each(proc_fd, add, &t) < 0)
            return err_sys(e, "cannot read the container's mounts");
        if (!t.n)
            return err_set(e, ERR_BUG, "the container has no mounts to look at");
        size_t left = part_all(&t);
        const struct seen *open = close_all(&t, &m);
        if (!left && !open)
            return 0;
        free(point);
        free(type);
        point = mem_strdup(open ? open->point : "/");
        type = open ? mem_strdup(open->type) : NULL;
    }
    if (!type)
        return err_set(e, ERR_FAILED, "cannot separate the container's mounts from the host's");
    err_set(e, ERR_FAILED, "'%s' in the container is a %s of the host that cannot be sealed", point,
            type);
    return err_hint(e, "uid 0 could change the host's kernel by it: leave out the bind it lies in");
}
