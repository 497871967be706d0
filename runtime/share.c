/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/share.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/defence.h"
#include "runtime/door.h"
#include "jail/jail.h"

enum {
    BACKLOG = 4096,
    PATIENCE_S = 30, /* for a leader that is still building its root */
    TRIES = 2000,    /* of a millisecond: somebody has the name and does not listen yet */
};

bool share_possible(const struct runtime_plan *p)
{
    const unsigned harmless = RUNTIME_CLEANENV | RUNTIME_NO_HOME | RUNTIME_USERNS;
    return p->root == PLAN_ROOT_FUSE && p->userns && !p->two_userns && !p->drop_to_owner &&
           !p->n_layers && !(p->flags & ~harmless);
}

/* ── who is alike ── */

static void add_stat(struct str *key, const char *name, const struct stat *st)
{
    str_addf(key, "%s %jx:%jx\n", name, (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
}

static void add_place(struct str *key, int dir_fd, const char *path)
{
    struct stat st = { 0 };
    (void)fstatat(dir_fd, path, &st, 0);
    add_stat(key, path, &st);
}

static void add_source(struct str *key, const struct runtime_plan *p, const char *path)
{
    const struct stat *seen = plan_seen(p, path);
    if (seen)
        add_stat(key, path, seen);
    else
        add_place(key, AT_FDCWD, path);
}

static void add_ops(struct str *key, const struct runtime_plan *p)
{
    for (size_t i = 0; i < p->n_ops; i++) {
        const struct plan_op *op = &p->ops[i];
        str_addf(key, "op %d %x %x %s %s\n", op->kind, op->attrs, op->traits,
                 op->src ? op->src : "", op->dst);
        if (op->kind == PLAN_BIND) /* it may have been replaced since another run began */
            add_source(key, p, op->src);
    }
}

static void add_plan(struct str *key, const struct runtime_plan *p)
{
    const char *const texts[] = { p->image_path, p->user,  p->home, p->shell,
                                  p->gecos,      p->group, p->job };
    str_addf(key, "%s %u %u %x %jx\n", HPCC_VERSION, p->uid, p->gid, p->flags,
             (uintmax_t)p->image.fs_offset);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        str_addf(key, "%s\n", texts[i] ? texts[i] : "");
    add_ops(key, p);
}

/* A server belongs to a cgroup and dies with it, so only its own runs may depend on it. */
static void add_surroundings(struct str *key, int proc_fd)
{
    static const char *const places[] = { "self/ns/user", "self/ns/mnt", "self/ns/pid",
                                          "self/root" };
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        add_place(key, proc_fd, places[i]);
    char cgroups[8192]; /* which the kernel writes in one go */
    auto_close int fd = openat(proc_fd, "self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, cgroups, sizeof cgroups);
    str_add_n(key, cgroups, n < 0 ? 0 : (size_t)n);
}

/* FNV-1a (RFC 9923). It names a meeting place and proves nothing. */
static uint64_t hash(const struct str *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text->len; i++)
        h = (h ^ (uint8_t)text->data[i]) * UINT64_C(0x100000001b3);
    return h;
}

void share_source(const struct runtime_plan *p, struct share_source *out)
{
    const struct stat *st = &p->image_stat;
    snprintf(out->text, sizeof out->text, "hpcc-image:%jx:%jx:%jx:%jx.%lx", (uintmax_t)st->st_dev,
             (uintmax_t)st->st_ino, (uintmax_t)st->st_size, (uintmax_t)st->st_ctim.tv_sec,
             (unsigned long)st->st_ctim.tv_nsec);
}

struct meeting {
    struct sockaddr_un addr;
    socklen_t len;
};

static void meeting_place(const struct runtime_plan *p, int proc_fd, struct meeting *out)
{
    struct share_source source;
    auto_str struct str key = { 0 };
    share_source(p, &source);
    str_addf(&key, "%s\n", source.text);
    add_plan(&key, p);
    add_surroundings(&key, proc_fd);
    *out = (struct meeting){ .addr.sun_family = AF_UNIX };
    /* the first byte stays 0: an abstract name, in no file system */
    int n = snprintf(out->addr.sun_path + 1, sizeof out->addr.sun_path - 1, "hpcc-%u-%016jx",
                     p->uid, (uintmax_t)hash(&key));
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

/* ── what is handed out ── */

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The namespace that ASK (an ioctl of ioctl_ns(2)) tells of FD is that of WANT. */
static bool related(int fd, unsigned long ask, const struct stat *want)
{
    struct stat st;
    auto_close int other = ioctl(fd, ask);
    return other >= 0 && fstat(other, &st) == 0 && same(&st, want);
}

static bool is_namespace(int fd, int type)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC && ioctl(fd, NS_GET_NSTYPE) == type;
}

/* A mount namespace can only be changed by who rules the user namespace it belongs to; a process in
 * a container rules at most namespaces below its own, never one right below ours. */
static bool trustworthy(const int ns[2], int proc_fd)
{
    struct stat ours, user;
    uid_t owner;
    if (!defence("share"))
        return true;
    return is_namespace(ns[0], CLONE_NEWUSER) && is_namespace(ns[1], CLONE_NEWNS) &&
           fstatat(proc_fd, "self/ns/user", &ours, 0) == 0 && fstat(ns[0], &user) == 0 &&
           !same(&ours, &user) && related(ns[0], NS_GET_PARENT, &ours) &&
           ioctl(ns[0], NS_GET_OWNER_UID, &owner) == 0 && owner == geteuid() &&
           related(ns[1], NS_GET_USERNS, &user);
}

/* ── meeting ── */

static bool asks_our_user(int fd, uid_t uid)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == uid;
}

enum asked { ASKED_NONE, ASKED_NOBODY, ASKED_AGAIN, ASKED_JOINED };

/* The leader waits for our end by this pidfd; it must be of the thread group's leader. */
static enum asked ask(int fd, const struct runtime_plan *p, int proc_fd)
{
    int ns[2];
    auto_close int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (self < 0 || !asks_our_user(fd, p->uid))
        return ASKED_NONE;
    if (fdpass_send(fd, DOOR_JOIN, &self, 1) < 0 ||
        fdpass_receive(fd, DOOR_WELCOME, ns, ARRAY_LEN(ns)) < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? ASKED_NONE : ASKED_AGAIN;
    auto_close int user_ns = ns[0];
    auto_close int mount_ns = ns[1];
    if (!trustworthy(ns, proc_fd)) {
        log_warn("what answers to join another run is not that run: this one stays alone");
        return ASKED_NONE;
    }
    if (ns_join(user_ns, CLONE_NEWUSER) < 0)
        return ASKED_NONE;
    if (ns_join(mount_ns, CLONE_NEWNS) < 0)
        log_debug("cannot enter the mounts of another run"); /* no way back: share_check tells */
    return ASKED_JOINED;
}

static enum asked connect_and_ask(int fd, const struct meeting *m, const struct runtime_plan *p,
                                  int proc_fd)
{
    const struct timeval patience = { .tv_sec = PATIENCE_S };
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
        return ASKED_NONE;
    if (connect(fd, (const struct sockaddr *)&m->addr, m->len) < 0)
        return errno == ECONNREFUSED ? ASKED_NOBODY : ASKED_NONE;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        return ASKED_NONE;
    return ask(fd, p, proc_fd);
}

/* 1: ours, on FD; 0: somebody was quicker; -1. */
static int take_name(int fd, const struct meeting *m)
{
    if (bind(fd, (const struct sockaddr *)&m->addr, m->len) < 0)
        return errno == EADDRINUSE ? 0 : -1;
    return listen(fd, BACKLOG) < 0 ? -1 : 1;
}

enum share_found share_find(const struct runtime_plan *p, int proc_fd, int *listen_fd)
{
    struct meeting m;
    meeting_place(p, proc_fd, &m);
    for (int i = 0; i < TRIES; i++) {
        auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        enum asked got = fd < 0 ? ASKED_NONE : connect_and_ask(fd, &m, p, proc_fd);
        if (got == ASKED_JOINED)
            return SHARE_JOINED;
        if (got == ASKED_NONE)
            return SHARE_ALONE;
        int taken = got == ASKED_NOBODY ? take_name(fd, &m) : 0;
        if (taken < 0)
            return SHARE_ALONE;
        if (taken > 0) {
            *listen_fd = steal_fd(&fd);
            return SHARE_LEADS;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    return SHARE_ALONE;
}

/* ── after ── */

struct root_mount {
    const char *source;
    bool found, differs;
};

static int look_at_root(void *ctx, const struct mountinfo *mi)
{
    struct root_mount *r = ctx;
    if (!str_eq(mi->mount_point, "/"))
        return 0;
    r->found = true;
    r->differs |= !str_starts(mi->type, "fuse") || !str_eq(mi->source, r->source);
    return 0;
}

int share_check(const struct runtime_plan *p, int proc_fd, struct err *e)
{
    struct share_source source;
    share_source(p, &source);
    struct root_mount root = { .source = source.text };
    if (mountinfo_each(proc_fd, look_at_root, &root) < 0)
        return err_sys(e, "cannot check the shared mounts");
    if ((root.found && !root.differs) || !defence("share"))
        return 0;
    err_set(e, ERR_FAILED, "what was joined is not a run of image '%s'", p->image_path);
    return err_hint(e, "some process of yours pretends to be one; '--no-share' joins nothing");
}

void share_invite(int sock_fd, int proc_fd)
{
    auto_spent int user_ns = openat(proc_fd, "self/ns/user", O_RDONLY | O_CLOEXEC);
    auto_spent int mount_ns = openat(proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
    auto_spent int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    const int fds[] = { user_ns, mount_ns, self };
    if (user_ns < 0 || mount_ns < 0 || self < 0 ||
        fdpass_send(sock_fd, DOOR_NAMESPACES, fds, ARRAY_LEN(fds)) < 0)
        log_debug("other runs cannot join this one");
}
