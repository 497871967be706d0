/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/enter.h"

#include <fcntl.h>
#include <linux/keyctl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "runtime/accounts.h"
#include "runtime/audit.h"
#include "runtime/caps.h"
#include "base/defence.h"
#include "runtime/devices.h"
#include "runtime/newroot.h"
#include "runtime/prefetch.h"
#include "runtime/program.h"
#include "runtime/seccomp.h"
#include "runtime/share.h"
#include "runtime/userns.h"

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
        if (!in_userns && unshare(CLONE_NEWUSER) < 0)
            return userns_refused(errno, e);
        if (userns_map_single(own, as_root ? (struct userns_ids){ 0, 0 } : own, proc_fd, e) < 0)
            return -1;
    }
    if (unshare((int)namespace_flags(p)) < 0) {
        err_sys(e, "cannot make the container's namespaces");
        err_code_set(e, ERR_HOST);
        return err_hint(e, "'hpcc doctor' tells what this host lacks");
    }
    /* What the host mounts later (autofs, CVMFS) shall appear inside; never the other way. */
    unsigned long how = p->flags & RUNTIME_CONTAIN ? MS_PRIVATE : MS_SLAVE;
    if (defence("propagation") && mount(NULL, "/", NULL, MS_REC | how, NULL) < 0)
        return err_sys(e, "cannot separate the container's mounts from the host's");
    if ((p->flags & RUNTIME_NET_NS) && bring_up_loopback(e) < 0)
        return -1;
    if (p->hostname && sethostname(p->hostname, strlen(p->hostname)) < 0)
        return err_sys(e, "cannot set the host name '%s'", p->hostname);
    return 0;
}

/* ── mounts ── */

/* Whether an earlier operation's mount decides about what is at PATH. */
static bool below_earlier(const struct runtime_plan *p, size_t n, const char *path)
{
    for (size_t i = 0; i < n; i++)
        if (path_within(path, p->ops[i].dst) && !str_eq(path, p->ops[i].dst))
            return true;
    return false;
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

/* First all mount points, then all mounts: a directory that has to be covered is so while nothing
 * is mounted below it. With --writable nothing is covered, since what the user writes there has to
 * reach the image. */
static int provide_all(struct newroot *r, const struct runtime_plan *p, struct err *e)
{
    if (p->flags & RUNTIME_WRITABLE)
        return 0;
    for (size_t i = 0; i < p->n_ops; i++) {
        const struct plan_op *op = &p->ops[i];
        auto_err struct err why = { 0 };
        if (!(op->traits & PLAN_MAKE) || below_earlier(p, i, op->dst))
            continue;
        if (provide(r, p, op, &why) == 0)
            continue;
        if (!(op->traits & PLAN_OPTIONAL))
            return err_move(e, &why);
        log_verbose("'%s' is left out: %s", op->dst, why.msg);
    }
    return plan_has_upper(p) ? 0 : newroot_seal(r, e);
}

static int perform_bind(struct newroot *r, const struct plan_op *op, int target, struct err *e)
{
    auto_close int src = open(op->src, O_PATH | O_CLOEXEC);
    if (src < 0)
        return err_sys(e, "cannot open '%s'", op->src);
    return mounter_bind_on(&r->m, src, &(struct mount_target){ op->dst, target }, op->attrs, e);
}

/* uid 0 may write to the kernel's settings without any capability. */
static int seal_for_root(struct newroot *r, const struct runtime_plan *p, struct err *e)
{
    return p->uid == 0 && !p->userns && defence("proc-seal") ? devices_seal_proc(&r->m, e) : 0;
}

struct performing {
    struct newroot *r;
    const struct runtime_plan *p;
    struct stat root;
};

static int perform_op(const struct performing *x, const struct plan_op *op, int target,
                      struct err *e)
{
    struct newroot *r = x->r;
    const struct runtime_plan *p = x->p;
    struct mount_fs fs = {
        .type = "tmpfs", .source = "hpcc", .options = op->src, .attrs = op->attrs
    };
    switch (op->kind) {
    case PLAN_BIND:
        if (perform_bind(r, op, target, e) < 0)
            return -1;
        return str_eq(op->dst, "/proc") ? seal_for_root(r, p, e) : 0;
    case PLAN_TMPFS:
        return mounter_fs(&r->m, &fs, op->dst, e);
    case PLAN_DEV:
        return devices_make(&r->m, e);
    case PLAN_PROC:
        fs = (struct mount_fs){ .type = "proc", .attrs = op->attrs };
        if (mounter_fs(&r->m, &fs, op->dst, e) < 0)
            return -1;
        return seal_for_root(r, p, e);
    case PLAN_ACCOUNTS:
        return accounts_add(r, p, op, e);
    case PLAN_KINDS:
        break;
    }
    return err_set(e, ERR_BUG, "unknown step %d in the plan", op->kind);
}

/* A target inside a tmpfs of ours can still be made; with --writable one elsewhere cannot, since it
 * would stay in the image. */
static int open_target(const struct performing *x, const struct plan_op *op)
{
    struct newroot *r = x->r;
    const struct runtime_plan *p = x->p;
    int how = (op->attrs & MOUNT_LINK) && !r->m.old_api ? O_PATH | O_NOFOLLOW : O_PATH;
    int fd = fs_open_at(r->m.root_fd, op->dst, how, 0, NULL);
    if (fd >= 0)
        return fd;
    bool stays = (p->flags & RUNTIME_WRITABLE) && !below_earlier(p, (size_t)(op - p->ops), op->dst);
    if (stays || !(op->traits & PLAN_MAKE) || (op->traits & PLAN_FILE) ||
        fs_mkdirs_at(r->m.root_fd, op->dst, 0755, NULL) < 0)
        return -1;
    return fs_open_at(r->m.root_fd, op->dst, O_PATH, 0, NULL);
}

static int perform_one(const struct performing *x, const struct plan_op *op, struct err *e)
{
    struct stat st;
    auto_close int target = open_target(x, op);
    if (target < 0 || fstat(target, &st) < 0) {
        err_set(e, ERR_INPUT, "there is no '%s' in the container to mount on", op->dst);
        if (x->p->flags & RUNTIME_WRITABLE)
            return err_hint(e,
                            "with --writable make it first: 'hpcc exec --writable IMAGE mkdir -p "
                            "%s'",
                            op->dst);
        return err_hint(e, "a bind inside another bind needs its target to exist there");
    }
    /* A mount over the root would be one that the container's paths pass by. */
    if (st.st_dev == x->root.st_dev && st.st_ino == x->root.st_ino)
        return err_set(e, ERR_INPUT, "cannot mount on '%s' in the container: it leads to '/'",
                       op->dst);
    if (S_ISDIR(st.st_mode) != !(op->traits & PLAN_FILE))
        return err_set(e, ERR_INPUT, "cannot mount on '%s' in the container: it is %sa directory",
                       op->dst, S_ISDIR(st.st_mode) ? "" : "not ");
    return perform_op(x, op, target, e);
}

static int perform_all(struct newroot *r, const struct runtime_plan *p, struct err *e)
{
    bool lenient = p->flags & RUNTIME_WRITABLE;
    struct performing x = { .r = r, .p = p };
    if (fstat(r->m.root_fd, &x.root) < 0)
        return err_sys(e, "cannot look at the container's root");
    for (size_t i = 0; i < p->n_ops; i++) {
        const struct plan_op *op = &p->ops[i];
        auto_err struct err why = { 0 };
        if (perform_one(&x, op, &why) == 0)
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
    if (unshare(CLONE_NEWUSER) < 0)
        return userns_refused(errno, e);
    return userns_map_single((struct userns_ids){ 0, 0 }, own, proc_fd, e);
}

static int drop(const struct runtime_plan *p, struct err *e)
{
    bool contain = p->flags & RUNTIME_CONTAIN;
    bool root_inside = p->uid == 0 || (p->flags & RUNTIME_FAKEROOT);
    /* A new session keyring where isolation was asked for; AFS and Kerberos want the old one. */
    if (contain && defence("keyring"))
        syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    int rc = !defence("caps") ? 0 : root_inside ? caps_bound(caps_for_root, e) : caps_drop_all(e);
    if (rc < 0)
        return -1;
    if (defence("no-new-privs") && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(e, "cannot forbid new privileges");
    if (!defence("seccomp"))
        return 0;
    return seccomp_install(SECCOMP_BASE | (contain ? SECCOMP_CONTAIN : 0), e);
}

static int build(struct newroot *r, const struct runtime_plan *p, struct rootfs *f, struct err *e)
{
    mode_t mask = umask(022);
    if (newroot_open(r, e) < 0 || rootfs_mount(r, p, f, e) < 0 || provide_all(r, p, e) < 0 ||
        perform_all(r, p, e) < 0)
        return -1;
    umask(mask);
    if (p->root == PLAN_ROOT_FUSE)
        prefetch_libc(r->m.root_fd);
    return 0;
}

static void program_fini(struct program *g)
{
    program_free(g);
}

/* From here on nothing is made any more: look at it, give up what is not needed, go. */
static int become(const struct runtime_plan *p, int proc_fd, struct err *e)
{
    cleanup_with(program_fini) struct program program = { 0 };
    if (start_in(p, e) < 0 || check_inside(e) < 0 || be_oneself_again(p, proc_fd, e) < 0 ||
        drop(p, e) < 0)
        return -1;
    program_make(p, &program);
    return program_exec(&program, e);
}

int enter_and_exec(const struct runtime_plan *p, int proc_fd, struct rootfs *f, struct err *e)
{
    cleanup_with(newroot_close) struct newroot r = { .session_fd = -1 };
    r.m.root_fd = r.m.base_fd = -1;
    if (build(&r, p, f, e) < 0 || mounter_pivot(&r.m, e) < 0 || audit_root(p, proc_fd, e) < 0)
        return -1;
    server_share(&f->server, proc_fd);
    return become(p, proc_fd, e);
}

int enter_shared(const struct runtime_plan *p, int proc_fd, struct err *e)
{
    if (share_check(p, proc_fd, e) < 0 || audit_root(p, proc_fd, e) < 0)
        return -1;
    return become(p, proc_fd, e);
}
