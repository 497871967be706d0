/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/keeper.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/progress.h"
#include "base/str.h"
#include "jail/jail.h"

/* ── the stage ── */

struct stage {
    char *parent, *name;
    int parent_fd, fd; /* fd holds the lock that says: somebody lives here */
};

static const char *target_of(const struct runtime_plan *p)
{
    return p->merge == PLAN_MERGE_LAYER ? p->layers[p->n_layers - 1].path : p->image_path;
}

static char *stage_prefix(const struct runtime_plan *p)
{
    auto_free char *base = path_base(target_of(p));
    return mem_printf(".%.180s.hpcc-changes-", base);
}

/* What a keeper left that was killed itself, or lost its power. */
static void sweep(const struct runtime_plan *p, const struct stage *s)
{
    auto_free char *prefix = stage_prefix(p);
    int dup_fd = openat(s->parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_dir DIR *d = dup_fd < 0 ? NULL : fdopendir(dup_fd);
    for (struct dirent *de; d && (de = readdir(d));) {
        if (!str_starts(de->d_name, prefix) || str_eq(de->d_name, s->name))
            continue;
        auto_close int fd =
            openat(s->parent_fd, de->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
            fs_remove_tree(s->parent_fd, de->d_name, NULL) < 0)
            log_verbose("'%s/%s' stays", s->parent, de->d_name);
    }
}

/* Root's stage may lie in a directory of somebody else, who can put another one in its place. */
static bool is_ours(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return false;
    errno = EPERM;
    return st.st_uid == geteuid() && !(st.st_mode & 077);
}

static int stage_make(const struct runtime_plan *p, struct stage *s, struct err *e)
{
    s->parent_fd = open(s->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->parent_fd < 0)
        return err_sys(e, "cannot open the directory '%s'", s->parent);
    sweep(p, s);
    if (mkdirat(s->parent_fd, s->name, 0700) < 0) {
        err_sys(e, "cannot make a place for the changes in '%s'", s->parent);
        return err_hint(e, "'tmp-dir:' in hpcc.yaml names another directory");
    }
    s->fd = openat(s->parent_fd, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (s->fd < 0 || !is_ours(s->fd) || mkdirat(s->fd, "upper", 0755) < 0 ||
        mkdirat(s->fd, "work", 0755) < 0)
        return err_sys(e, "cannot make a place for the changes in '%s'", s->parent);
    if (flock(s->fd, LOCK_EX | LOCK_NB) < 0)
        log_debug("no lock on '%s': %s", s->name, strerror(errno));
    return 0;
}

static void stage_remove(const struct stage *s)
{
    auto_err struct err why = { 0 };
    if (s->parent_fd >= 0 && fs_remove_tree(s->parent_fd, s->name, &why) < 0)
        log_warn("'%s/%s' stays: %s", s->parent, s->name, why.msg);
}

/* ── in the keeper ── */

static int enter(const struct runtime_plan *p, struct err *e)
{
    const struct userns_ids own = { p->uid, p->gid };
    if (geteuid() == 0)
        return 0;
    if (ns_unshare(CLONE_NEWUSER) < 0)
        return userns_refused(errno, e);
    return userns_map_single(own, (struct userns_ids){ 0, 0 }, -1, e);
}

static int merge_stage(const struct runtime_plan *p, const struct stage *s,
                       struct image_merge *merge, struct err *e)
{
    bool changed;
    bool as_root = p->flags & RUNTIME_FAKEROOT;
    auto_close int upper = openat(s->fd, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (upper < 0)
        return err_sys(e, "cannot open '%s/%s/upper'", s->parent, s->name);
    const struct image_merge_spec spec = {
        .upper_fd = upper,
        .layer = p->merge == PLAN_MERGE_LAYER,
        .owners = !p->userns,
        .uid = as_root ? 0 : p->uid,
        .gid = as_root ? 0 : p->gid,
    };
    if (image_merge_end(merge, &spec, &changed, e) < 0)
        return -1;
    log_verbose("%s '%s'", changed ? "the changes are in" : "nothing was changed in", target_of(p));
    return 0;
}

struct keeping {
    const struct runtime_plan *p;
    struct image_merge *merge;
    struct stage stage;
    int order, ready, result; /* our ends */
};

/* Tell and close. */
static void tell(int *fd, const struct err *e)
{
    if (wire_send(*fd, e, NULL) < 0)
        log_debug("nobody listens to the keeper any more");
    cleanup_fd(fd);
    *fd = -1;
}

NORETURN static void keeper_main(struct keeping *k)
{
    auto_err struct err e = { 0 };
    char order = 0;
    setsid();
    proc_signals_default();
    signal(SIGPIPE, SIG_IGN); /* the caller may be gone: the stage has to go all the same */
    signal(SIGXFSZ, SIG_IGN); /* an error of write is told in words */
    umask(022);
    if (!isatty(STDERR_FILENO)) /* where lines would come between the program's own */
        progress_sink_set(NULL);
    int rc = enter(k->p, &e);
    if (rc == 0)
        rc = stage_make(k->p, &k->stage, &e);
    tell(&k->ready, &e);
    ssize_t n = 0;
    while (rc == 0 && (n = read(k->order, &order, 1)) < 0 && errno == EINTR)
        ;
    if (rc < 0 || n != 1) {
        stage_remove(&k->stage);
        _exit(0);
    }
    if (merge_stage(k->p, &k->stage, k->merge, &e) == 0)
        stage_remove(&k->stage);
    tell(&k->result, &e);
    _exit(0);
}

/* ── in the caller ── */

/* By its name, as the container will: it must be what the keeper made. */
static int find_stage(struct runtime_plan *p, const struct stage *s, struct err *e)
{
    p->stage = path_join(s->parent, s->name);
    p->stage_fd = open(p->stage, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return p->stage_fd < 0 || !is_ours(p->stage_fd) ? err_sys(e, "cannot open '%s'", p->stage) : 0;
}

static int await_stage(struct runtime_plan *p, const struct stage *s, int ready_fd, struct err *e)
{
    auto_err struct err from_keeper = { 0 };
    if (wire_receive(ready_fd, &from_keeper, NULL) != 1)
        return err_set(e, ERR_FAILED, "the keeper of the changes died before it was ready");
    if (from_keeper.code != ERR_NONE)
        return err_move(e, &from_keeper);
    return find_stage(p, s, e);
}

struct pipes {
    int order[2], ready[2], result[2];
};
#define PIPES_INIT                                                                                 \
    {                                                                                              \
        .order = { -1, -1 }, .ready = { -1, -1 }, .result = { -1, -1 }                             \
    }

static void pipes_fini(struct pipes *x)
{
    for (int i = 0; i < 2; i++) {
        cleanup_fd(&x->order[i]);
        cleanup_fd(&x->ready[i]);
        cleanup_fd(&x->result[i]);
    }
}

int keeper_start(struct runtime_plan *p, struct image_merge *merge, struct keeper *k, struct err *e)
{
    cleanup_with(pipes_fini) struct pipes x = PIPES_INIT;
    auto_free char *prefix = stage_prefix(p);
    auto_free char *name = mem_printf("%s%ld", prefix, (long)getpid());
    struct keeping in_child = {
        .p = p,
        .merge = merge,
        .stage = { .parent = p->stage_parent, .name = name, .parent_fd = -1, .fd = -1 },
    };
    if (pipe2(x.order, O_CLOEXEC) < 0 || pipe2(x.ready, O_CLOEXEC) < 0 ||
        pipe2(x.result, O_CLOEXEC) < 0)
        return err_sys(e, "cannot start the keeper of the changes");
    fflush(NULL);
    k->pid = fork();
    if (k->pid < 0)
        return err_sys(e, "cannot start the keeper of the changes");
    if (k->pid == 0) {
        close(x.order[1]);
        in_child.order = x.order[0];
        in_child.ready = x.ready[1];
        in_child.result = x.result[1];
        keeper_main(&in_child);
    }
    k->order_fd = steal_fd(&x.order[1]);
    k->result_fd = steal_fd(&x.result[0]);
    cleanup_fd(&x.ready[1]);
    x.ready[1] = -1;
    return await_stage(p, &in_child.stage, x.ready[0], e);
}

/* Give the stage a name that is seen, and that no sweep takes. It is what --overlay takes. */
static int keep_stage(const struct runtime_plan *p, struct err *e)
{
    auto_free char *base = path_base(target_of(p));
    auto_free char *kept =
        mem_printf("%s/%.180s.changes-%ld", p->stage_parent, base, (long)getpid());
    bool renamed = rename(p->stage, kept) == 0;
    err_wrap(e, "the program has ended, but its changes could not be written to '%s'",
             target_of(p));
    return err_hint(e, "nothing is lost: the changes are in '%s', which '--overlay' takes",
                    renamed ? kept : p->stage);
}

int keeper_merge(const struct runtime_plan *p, struct keeper *k, struct err *e)
{
    auto_err struct err from_keeper = { 0 };
    char order = 'm';
    signal(SIGPIPE, SIG_IGN); /* a keeper that is dead is told in words */
    bool told = write(k->order_fd, &order, 1) == 1;
    if (!told || wire_receive(k->result_fd, &from_keeper, NULL) != 1)
        err_set(&from_keeper, ERR_FAILED, "the process that keeps them was killed");
    if (from_keeper.code == ERR_NONE)
        return 0;
    err_move(e, &from_keeper);
    return keep_stage(p, e);
}

void keeper_stop(struct keeper *k)
{
    cleanup_fd(&k->order_fd);
    cleanup_fd(&k->result_fd);
    k->order_fd = k->result_fd = -1;
    while (k->pid > 0 && waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    k->pid = 0;
}
