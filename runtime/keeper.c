/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/keeper.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
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

static void stage_drop(struct stage *s)
{
    auto_err struct err why = { 0 };
    if (stage_remove(s, &why) < 0)
        log_warn("the changes are not all removed: %s", why.msg);
}

static int stage_new(const struct runtime_plan *p, struct stage *s, struct err *e)
{
    auto_free char *name = path_base(plan_merge_target(p)->path);
    const struct stage_spec spec = { p->stage_parent_fd, p->stage_parent, name, PLACE_CHANGES };
    if (stage_plan(&spec, s, e) < 0)
        return -1;
    place_sweep(&s->at);
    if (stage_make(s, e) < 0) {
        err_wrap(e, "cannot make a place for the changes");
        return err_hint(e, "'tmp-dir:' in hpcc.yaml names another directory");
    }
    if (mkdirat(s->fd, "upper", 0755) < 0 || mkdirat(s->fd, "work", 0755) < 0) {
        err_sys(e, "cannot make a place for the changes in '%s'", p->stage_parent);
        stage_drop(s);
        return -1;
    }
    return 0;
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
        return err_sys(e, "cannot open '%s/%s/upper'", s->at.path, s->name);
    const struct image_merge_spec spec = {
        .upper_fd = upper,
        .layer = p->merge == PLAN_MERGE_LAYER,
        .owners = !p->userns,
        .uid = as_root ? 0 : p->uid,
        .gid = as_root ? 0 : p->gid,
    };
    if (image_merge_end(merge, &spec, &changed, e) < 0)
        return -1;
    log_verbose("%s '%s'", changed ? "the changes are in" : "nothing was changed in",
                plan_merge_target(p)->path);
    return 0;
}

struct keeping {
    const struct runtime_plan *p;
    struct image_merge *merge;
    struct stage *stage;
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
    tell(&k->ready, &e);
    ssize_t n = 0;
    while (rc == 0 && (n = read(k->order, &order, 1)) < 0 && errno == EINTR)
        ;
    if (rc < 0 || n != 1) {
        stage_drop(k->stage);
        _exit(0);
    }
    if (merge_stage(k->p, k->stage, k->merge, &e) == 0)
        stage_drop(k->stage);
    tell(&k->result, &e);
    _exit(0);
}

/* ── in the caller ── */

static int await_keeper(int ready_fd, struct err *e)
{
    auto_err struct err from_keeper = { 0 };
    if (wire_receive(ready_fd, &from_keeper, NULL) != 1)
        return err_set(e, ERR_FAILED, "the keeper of the changes died before it was ready");
    return from_keeper.code == ERR_NONE ? 0 : err_move(e, &from_keeper);
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
    struct keeping in_child = { .p = p, .merge = merge, .stage = &k->stage };
    if (pipe2(x.order, O_CLOEXEC) < 0 || pipe2(x.ready, O_CLOEXEC) < 0 ||
        pipe2(x.result, O_CLOEXEC) < 0)
        return err_sys(e, "cannot start the keeper of the changes");
    fflush(NULL);
    if (stage_new(p, &k->stage, e) < 0)
        return -1;
    k->pid = fork();
    if (k->pid < 0) {
        err_sys(e, "cannot start the keeper of the changes");
        stage_drop(&k->stage);
        return -1;
    }
    if (k->pid == 0) {
        close(x.order[1]);
        in_child.order = x.order[0];
        in_child.ready = x.ready[1];
        in_child.result = x.result[1];
        keeper_main(&in_child);
    }
    p->stage_fd = k->stage.fd;
    k->order_fd = steal_fd(&x.order[1]);
    k->result_fd = steal_fd(&x.result[0]);
    cleanup_fd(&x.ready[1]);
    x.ready[1] = -1;
    return await_keeper(x.ready[0], e);
}

static bool leads_to_stage(const struct stage *s, const char *name)
{
    struct stat st, now;
    return fstat(s->fd, &st) == 0 && fstatat(s->at.dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           now.st_dev == st.st_dev && now.st_ino == st.st_ino;
}

static int rename_to_new(const struct stage *s, const char *name)
{
    struct stat st;
    int dir = s->at.dir_fd;
    if (renameat2(dir, s->name, dir, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return -1;
    return renameat(dir, s->name, dir, name); /* NFS and Lustre: a directory replaces no file */
}

/* A name that is seen, and that no sweep takes. What is there is never replaced. */
static char *show_stage(const struct stage *s)
{
    enum { TRIES = 100 };
    for (unsigned n = 1; n <= TRIES && leads_to_stage(s, s->name); n++) {
        auto_free char *name = mem_printf("%.180s.changes-%u", s->at.name, n);
        if (rename_to_new(s, name) == 0 && leads_to_stage(s, name))
            return steal_ptr(name);
    }
    return mem_strdup(s->name);
}

static int keep_stage(const struct runtime_plan *p, const struct stage *s, struct err *e)
{
    auto_free char *name = show_stage(s);
    err_wrap(e, "the program has ended, but its changes could not be written to '%s'",
             plan_merge_target(p)->path);
    return err_hint(e, "nothing is lost: the changes are in '%s/%s', which '--overlay' takes",
                    s->at.path, name);
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
    return keep_stage(p, &k->stage, e);
}

void keeper_stop(struct keeper *k)
{
    cleanup_fd(&k->order_fd);
    cleanup_fd(&k->result_fd);
    k->order_fd = k->result_fd = -1;
    while (k->pid > 0 && waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    k->pid = 0;
    stage_fini(&k->stage);
}
