/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "jail/jail.h"
#include "runtime/audit.h"
#include "runtime/init.h"
#include "runtime/ops.h"
#include "runtime/prefetch.h"
#include "runtime/program.h"
#include "runtime/rootfs.h"
#include "runtime/share.h"

/* How a plan is performed. The functions below, in the order in which they run:
 *
 *   share_find         where an equal run lives, enter its namespaces and only become (share.c,
 *                      meeting.c, door.c)
 *   rootfs_start       an image that the kernel may not read for us gets a server, which stays
 *                      outside, where the container cannot reach it (rootfs.c, server.c, serve.c)
 *   restrict_fds       what the caller has open beyond pipes, sockets and files does not come along
 *   with_pid_namespace --pid: a child does the rest, as pid 1 or below it, and the caller waits
 *                      (init.c). Else the calling process itself becomes the program, so that the
 *                      scheduler sees the pid that it started
 *   make_namespaces    what is mounted from here on, the host does not see
 *   build              the host's directories and a sandbox are cloned while nothing lies over them
 *                      (ops.c, rootfs.c); the image is mounted, and an overlay over it (rootfs.c);
 *                      then come the mounts that the plan lists (ops.c)
 *   mounter_pivot      it becomes '/', and the host's tree is let go of (jail/)
 *   look_at_tree       the finished tree is sealed for root, and each mount is judged (jail/, audit.c)
 *   server_share       other runs may come in
 *   become             the working directory; the rights and system calls that no program needs go;
 *                      what the image says makes the program, which is executed (program.c)
 *
 * An error on the way comes back to the caller: by return, or over a pipe from the child. */

struct run {
    const struct runtime_plan *p;
    int proc_fd; /* the host's /proc */
    struct rootfs *rootfs;
};

/* ── namespaces ── */

static int bring_up_loopback(struct err *e)
{
    auto_close int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
    if (sock < 0 || ioctl(sock, SIOCSIFFLAGS, &req) < 0)
        return err_sys(e, "cannot bring up the loopback network");
    return 0;
}

static unsigned namespace_flags(const struct runtime_plan *p)
{
    return CLONE_NEWNS | (p->flags & RUNTIME_IPC_NS ? CLONE_NEWIPC : 0) |
           (p->flags & RUNTIME_NET_NS ? CLONE_NEWNET : 0) |
           (p->flags & RUNTIME_UTS_NS ? CLONE_NEWUTS : 0);
}

/* All but that of --pid. IN_USERNS: the user namespace is there already and only has to be mapped. */
static int make_namespaces(const struct runtime_plan *p, bool in_userns, int proc_fd, struct err *e)
{
    struct userns_ids own = { p->uid, p->gid };
    bool as_root = (p->flags & RUNTIME_FAKEROOT) || p->two_userns;
    if (p->userns) {
        if (!in_userns && ns_unshare(CLONE_NEWUSER) < 0)
            return userns_refused(errno, e);
        if (userns_map_single(own, as_root ? (struct userns_ids){ 0, 0 } : own, proc_fd, e) < 0)
            return -1;
    }
    if (p->merge && fchdir(p->stage_fd) < 0)
        return err_sys(e, "cannot enter the stage in '%s'", p->stage_parent);
    if (ns_unshare((int)namespace_flags(p)) < 0) {
        err_sys(e, "cannot make the container's namespaces");
        err_code_set(e, ERR_HOST);
        return err_hint(e, "'hpcc doctor' tells what this host lacks");
    }
    /* What the host mounts later (autofs, CVMFS) shall appear inside; never the other way. */
    bool alone = p->flags & RUNTIME_CONTAIN;
    if (defence("propagation") && (alone ? ns_mounts_private() : ns_mounts_follow()) < 0)
        return err_sys(e, "cannot separate the container's mounts from the host's");
    if ((p->flags & RUNTIME_NET_NS) && bring_up_loopback(e) < 0)
        return -1;
    if (p->hostname && sethostname(p->hostname, strlen(p->hostname)) < 0)
        return err_sys(e, "cannot set the host name '%s'", p->hostname);
    return 0;
}

/* ── the root ── */

static int build(struct newroot *r, const struct runtime_plan *p, struct rootfs *f, bool host_root,
                 struct err *e)
{
    mode_t mask = umask(0);
    cleanup_with(ops_close) struct ops ops = { .r = r, .p = p, .host_root = host_root };
    newroot_init(r);
    ops_open(&ops);
    if (rootfs_clone(r, p, f, e) < 0 || newroot_open(r, e) < 0 || rootfs_mount(r, p, f, e) < 0 ||
        ops_perform(&ops, e) < 0)
        return -1;
    umask(mask);
    if (p->image.by == PLAN_BY_FUSE)
        prefetch_libc(r->m.root_fd);
    return 0;
}

/* The tree is finished: see what is in it. */
static int look_at_tree(const struct runtime_plan *p, int proc_fd, bool host_root, struct err *e)
{
    if (host_root && defence("tree-seal") && views_close_tree(proc_fd, e) < 0)
        return -1;
    return audit_root(p, proc_fd, e);
}

/* ── the last steps ── */

static int start_in(const struct runtime_plan *p, struct err *e)
{
    if (chdir(p->cwd) == 0)
        return 0;
    if (p->cwd_is_user)
        return err_sys(e, "--pwd: cannot enter '%s' in the container", p->cwd);
    const char *instead = chdir(p->home) == 0 ? p->home : "/";
    if (!str_eq(p->cwd, p->home))
        log_warn("'%s' is not in the container: starting in '%s'", p->cwd, instead);
    return 0;
}

/* getcwd tells "(unreachable)" when a directory lies outside the root. */
static int check_inside(struct err *e)
{
    char here[4096];
    if (!defence("inside"))
        return 0;
    if (!getcwd(here, sizeof here) || here[0] != '/')
        return err_set(e, ERR_BUG, "the working directory lies outside the container");
    return 0;
}

static int be_oneself_again(const struct runtime_plan *p, int proc_fd, struct err *e)
{
    struct userns_ids own = { p->uid, p->gid };
    if (!p->two_userns)
        return 0;
    if (ns_unshare(CLONE_NEWUSER) < 0)
        return userns_refused(errno, e);
    return userns_map_single((struct userns_ids){ 0, 0 }, own, proc_fd, e);
}

static int drop(const struct runtime_plan *p, bool host_root, struct err *e)
{
    bool contain = p->flags & RUNTIME_CONTAIN;
    bool root_inside = p->uid == 0 || (p->flags & RUNTIME_FAKEROOT);
    /* A new session keyring where isolation was asked for; AFS and Kerberos want the old one. */
    if (contain && defence("keyring"))
        process_new_keyring();
    int rc = !defence("caps") ? 0 : root_inside ? caps_bound(JAIL_ROOT, e) : caps_drop_all(e);
    if (rc < 0)
        return -1;
    if (defence("no-new-privs") && process_no_new_privs(e) < 0)
        return -1;
    if (!defence("seccomp"))
        return 0;
    unsigned variants = JAIL_RUN | (contain ? JAIL_CONTAIN : 0);
    return filter_install(variants | (host_root && defence("nested") ? JAIL_HOST_ROOT : 0), e);
}

/* From here on nothing is made any more: look at it, give up what is not needed, go. */
static int become(const struct runtime_plan *p, int proc_fd, bool host_root, struct err *e)
{
    cleanup_with(program_fini) struct program program = { 0 };
    fds_close_spent(); /* handles on the host, and --pwd might name one */
    if (start_in(p, e) < 0 || check_inside(e) < 0 || be_oneself_again(p, proc_fd, e) < 0 ||
        drop(p, host_root, e) < 0)
        return -1;
    program_make(p, &program);
    return program_exec(&program, e);
}

/* ── inside ── */

/* In the namespaces. Returns only on failure. */
static int enter_and_exec(const struct runtime_plan *p, int proc_fd, struct rootfs *f,
                          struct err *e)
{
    cleanup_with(newroot_close) struct newroot r = { .session_fd = -1 };
    r.m.root_fd = r.m.base_fd = -1;
    bool host_root = userns_is_host_root(proc_fd);
    if (build(&r, p, f, host_root, e) < 0 || mounter_pivot(&r.m, e) < 0 ||
        look_at_tree(p, proc_fd, host_root, e) < 0)
        return -1;
    server_share(&f->server, proc_fd);
    return become(p, proc_fd, host_root, e);
}

/* In the namespaces of another run of the same plan. Returns only on failure. */
static int enter_shared(const struct runtime_plan *p, int proc_fd, struct err *e)
{
    bool host_root = userns_is_host_root(proc_fd);
    /* Audited before it was joined; but what the host has mounted since may have come in. */
    if (host_root && look_at_tree(p, proc_fd, host_root, e) < 0)
        return -1;
    return become(p, proc_fd, host_root, e);
}

/* ── with --pid ── */

/* In the new pid namespace's first process. */
static int be_init(const struct run *run, const sigset_t *watched, const sigset_t *old_mask,
                   struct err *e)
{
    if (process_dies_with_parent() < 0)
        return err_sys(e, "cannot tie the container to its caller");
    if (!(run->p->flags & RUNTIME_NO_INIT)) {
        /* The program does the mounts too: what it is denied, init has no use for either. */
        pid_t program = fork();
        if (program < 0)
            return err_sys(e, "cannot start the program");
        if (program > 0) {
            close_range(3, ~0u, 0);
            init_loop(program, watched);
        }
    }
    sigprocmask(SIG_SETMASK, old_mask, NULL);
    return enter_and_exec(run->p, run->proc_fd, run->rootfs, e);
}

static int with_pid_namespace(const struct run *run, int *status, struct err *e)
{
    const struct runtime_plan *p = run->p;
    auto_err struct err from_child = { 0 };
    int report[2];
    sigset_t watched, old_mask;
    if (pipe2(report, O_CLOEXEC) < 0)
        return err_sys(e, "cannot start the container");
    init_block_signals(&watched, &old_mask);
    /* Not unshare and fork: the waiting part stays outside of everything. */
    int namespaces = CLONE_NEWPID | (p->userns ? CLONE_NEWUSER : 0);
    pid_t init = ns_fork(namespaces);
    if (init == 0) {
        auto_err struct err why = { 0 };
        close(report[0]);
        if ((make_namespaces(p, true, run->proc_fd, &why) < 0 ||
             be_init(run, &watched, &old_mask, &why) < 0) &&
            wire_send(report[1], &why, NULL) < 0)
            _exit(1);
        _exit(125);
    }
    int clone_error = errno;
    close(report[1]);
    server_close(&run->rootfs->server);
    auto_close int from = report[0];
    if (init < 0)
        return p->userns ? userns_refused(clone_error, e)
                         : err_sys(e, "cannot make a pid namespace");
    int got = wire_receive(from, &from_child, NULL);
    *status = init_wait(init, &watched, run->rootfs->server.pid);
    if (got == 1)
        return err_move(e, &from_child);
    if (*status < 0) {
        err_set(e, ERR_FAILED, "the image server of '%s' died, and the container with it",
                p->image.path);
        return err_hint(e, "was it killed for memory? 'dmesg' or the scheduler's log may tell");
    }
    return 0;
}

/* ── from the start ── */

static int restrict_fds(const struct runtime_plan *p, struct err *e)
{
    return defence("fds") ? fds_restrict(p->flags & RUNTIME_CONTAIN, &p->keep_fds, e) : 0;
}

int runtime_perform(const struct runtime_plan *p, int *status, struct err *e)
{
    cleanup_with(rootfs_close) struct rootfs rootfs = ROOTFS_INIT;
    struct sigaction dfl = { .sa_handler = SIG_DFL };
    sigaction(SIGCHLD, &dfl, NULL); /* ignored, it would make children vanish unseen */
    auto_close int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc_fd < 0)
        return err_sys(e, "cannot open '/proc'");
    enum share_found found =
        share_possible(p) ? share_find(p, proc_fd, &rootfs.server.share) : SHARE_ALONE;
    if (found == SHARE_BROKEN) {
        err_sys(e, "cannot enter the mounts of another run of '%s'", p->image.path);
        return err_hint(e, "'--no-share' joins no other run");
    }
    if (found == SHARE_JOINED) {
        if (restrict_fds(p, e) < 0)
            return -1;
        return enter_shared(p, proc_fd, e);
    }
    if (rootfs_start(p, &rootfs, e) < 0 || restrict_fds(p, e) < 0)
        return -1;
    if (p->flags & RUNTIME_PID_NS)
        return with_pid_namespace(&(struct run){ p, proc_fd, &rootfs }, status, e);
    if (make_namespaces(p, false, proc_fd, e) < 0)
        return -1;
    return enter_and_exec(p, proc_fd, &rootfs, e);
}
