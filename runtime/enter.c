/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/enter.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "runtime/accounts.h"
#include "runtime/audit.h"
#include "jail/jail.h"
#include "base/defence.h"
#include "runtime/ops.h"
#include "runtime/prefetch.h"
#include "runtime/program.h"

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

int enter_namespaces(const struct runtime_plan *p, bool in_userns, int proc_fd, struct err *e)
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
    if (p->root == PLAN_ROOT_FUSE)
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

static void program_fini(struct program *g)
{
    program_free(g);
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

int enter_and_exec(const struct runtime_plan *p, int proc_fd, struct rootfs *f, struct err *e)
{
    cleanup_with(newroot_close) struct newroot r = { .session_fd = -1 };
    r.m.root_fd = r.m.base_fd = -1;
    bool host_root = userns_is_host_root(proc_fd);
    if (build(&r, p, f, host_root, e) < 0 || mounter_pivot(&r.m, e) < 0 ||
        look_at_tree(p, proc_fd, host_root, e) < 0)
        return -1;
    server_share(&f->server);
    return become(p, proc_fd, host_root, e);
}

int enter_shared(const struct runtime_plan *p, int proc_fd, struct err *e)
{
    bool host_root = userns_is_host_root(proc_fd);
    /* Audited before it was joined; but what the host has mounted since may have come in. */
    if (host_root && look_at_tree(p, proc_fd, host_root, e) < 0)
        return -1;
    return become(p, proc_fd, host_root, e);
}
