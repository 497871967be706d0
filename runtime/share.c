/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/share.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "jail/jail.h"
#include "runtime/audit.h"
#include "runtime/door.h"
#include "runtime/meeting.h"

enum {
    PATIENCE_MS = 5000, /* in all, for a leader that is still building its root */
    LOOKS = 20,         /* at runs that had just ended when we came to look at them */
};

bool share_possible(const struct runtime_plan *p)
{
    const unsigned harmless = RUNTIME_CLEANENV | RUNTIME_NO_HOME | RUNTIME_USERNS;
    return p->image.by == PLAN_BY_FUSE && p->userns && !p->two_userns && !p->image.drop_to_owner &&
           !p->n_layers && !(p->flags & ~harmless);
}

/* ── who is alike ── */

static void add_stat(struct str *text, const char *name, const struct stat *st)
{
    str_addf(text, "%s %jx:%jx\n", name, (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
}

static void add_place(struct str *text, int dir_fd, const char *path)
{
    struct stat st = { 0 };
    (void)fstatat(dir_fd, path, &st, 0);
    add_stat(text, path, &st);
}

static void add_source(struct str *text, const struct runtime_plan *p, const char *path)
{
    const struct stat *seen = plan_seen(p, path);
    if (seen)
        add_stat(text, path, seen);
    else
        add_place(text, AT_FDCWD, path);
}

static void add_ops(struct str *text, const struct runtime_plan *p)
{
    for (size_t i = 0; i < p->n_ops; i++) {
        const struct plan_op *op = &p->ops[i];
        str_addf(text, "op %d %x %x %s %s\n", op->kind, op->attrs, op->traits,
                 op->src ? op->src : "", op->dst);
        if (op->kind == PLAN_BIND) /* it may have been replaced since another run began */
            add_source(text, p, op->src);
    }
}

static void add_image(struct str *text, const struct runtime_plan *p)
{
    const struct stat *st = &p->image.stat;
    str_addf(text, "%s %jx:%jx %jx %jx.%lx %jx\n", p->image.path, (uintmax_t)st->st_dev,
             (uintmax_t)st->st_ino, (uintmax_t)st->st_size, (uintmax_t)st->st_ctim.tv_sec,
             (unsigned long)st->st_ctim.tv_nsec, (uintmax_t)p->image.info.fs_offset);
}

static void add_plan(struct str *text, const struct runtime_plan *p)
{
    const char *const words[] = { p->user, p->home, p->shell, p->gecos, p->group, p->job };
    str_addf(text, "%s %u %u %x\n", HPCC_VERSION, p->uid, p->gid, p->flags);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        str_addf(text, "%s\n", words[i] ? words[i] : "");
    add_image(text, p);
    add_ops(text, p);
}

/* A server belongs to a cgroup and dies with it, so only its own runs may depend on it. The node's
 * name is for a directory of temporary files that several nodes see. */
static void add_surroundings(struct str *text, int proc_fd)
{
    static const char *const places[] = { "self/ns/user", "self/ns/mnt", "self/ns/pid",
                                          "self/root" };
    struct utsname node = { .nodename = "" };
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        add_place(text, proc_fd, places[i]);
    (void)uname(&node);
    str_addf(text, "%s\n", node.nodename);
    char cgroups[8192]; /* which the kernel writes in one go */
    auto_spent int fd = openat(proc_fd, "self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, cgroups, sizeof cgroups);
    str_add_n(text, cgroups, n < 0 ? 0 : (size_t)n);
}

static void make_key(const struct runtime_plan *p, int proc_fd, struct share *s)
{
    auto_str struct str text = { 0 };
    add_plan(&text, p);
    add_surroundings(&text, proc_fd);
    sha256_hex(text.data, text.len, s->key);
}

char *share_source(const char *key)
{
    return key[0] ? mem_printf("hpcc-image:%s", key) : mem_strdup("hpcc-image");
}

/* ── who answers ── */

/* A run as the kernel knows it. */
struct other {
    int process_fd; /* its directory in /proc, which stays its own whoever gets its number next */
    int user_ns, mount_ns;
};

static void other_fini(struct other *o)
{
    cleanup_fd(&o->process_fd);
    cleanup_fd(&o->user_ns);
    cleanup_fd(&o->mount_ns);
}

static int look_at(struct other *o, int proc_fd, int pid)
{
    char name[16];
    snprintf(name, sizeof name, "%d", pid);
    o->process_fd = openat(proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    o->user_ns = o->process_fd < 0 ? -1 : openat(o->process_fd, "ns/user", O_RDONLY | O_CLOEXEC);
    o->mount_ns = o->user_ns < 0 ? -1 : openat(o->process_fd, "ns/mnt", O_RDONLY | O_CLOEXEC);
    return o->mount_ns < 0 ? -1 : 0;
}

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

/* A mount namespace can only be changed by who rules the user namespace it belongs to; a process in
 * a container rules at most namespaces below its own, never one right below ours. */
static bool is_right_below(const struct other *o, int proc_fd)
{
    struct stat ours, user;
    uid_t owner;
    return fstatat(proc_fd, "self/ns/user", &ours, 0) == 0 && fstat(o->user_ns, &user) == 0 &&
           !same(&ours, &user) && related(o->user_ns, NS_GET_PARENT, &ours) &&
           ioctl(o->user_ns, NS_GET_OWNER_UID, &owner) == 0 && owner == geteuid() &&
           related(o->mount_ns, NS_GET_USERNS, &user);
}

struct wanted {
    const char *source;
    bool found;
};

static int look_for_image(void *ctx, const struct mountinfo *mi)
{
    struct wanted *w = ctx;
    w->found = str_starts(mi->type, "fuse") && str_eq(mi->source, w->source);
    return w->found;
}

/* Wherever it lies: directories that the image lacks may be mounted over it. */
static bool shows_image(const struct other *o, const char *key)
{
    auto_free char *source = share_source(key);
    struct wanted w = { .source = source };
    return mountinfo_of(o->process_fd, look_for_image, &w) == 0 && w.found;
}

static int check(const struct other *o, const struct runtime_plan *p, int proc_fd, const char *key,
                 struct err *e)
{
    if (defence("share") && (!is_right_below(o, proc_fd) || !shows_image(o, key)))
        return err_set(e, ERR_FAILED, "what answers is not that run");
    return audit_process(p, o->process_fd, e);
}

/* ── meeting ── */

struct search {
    const struct runtime_plan *p;
    int proc_fd;
    int dir_fd;
    const char *key;
    struct timespec until;
    unsigned looks;
};

static int left_ms(const struct search *s)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long ms = (s->until.tv_sec - now.tv_sec) * 1000 + (s->until.tv_nsec - now.tv_nsec) / 1000000;
    return ms > 0 ? (int)ms : 0;
}

enum asked { ASKED_NONE, ASKED_NOBODY, ASKED_AGAIN, ASKED_JOINED, ASKED_BROKEN };

static enum asked alone(const char *why)
{
    log_warn("another run of this image cannot be joined (%s): this one stays alone", why);
    return ASKED_NONE;
}

/* Both fail for the same reasons (a thread or a chroot of our own), which the first one tells. There is
 * no way back after it, and with it alone the program would see the host's files. */
static enum asked enter(const struct other *o)
{
    if (ns_join(o->user_ns, CLONE_NEWUSER) < 0)
        return alone("the kernel refuses");
    return ns_join(o->mount_ns, CLONE_NEWNS) < 0 ? ASKED_BROKEN : ASKED_JOINED;
}

static enum asked join(struct search *s, int pid)
{
    auto_err struct err e = { 0 };
    cleanup_with(other_fini) struct other o = { -1, -1, -1 };
    if (look_at(&o, s->proc_fd, pid) < 0) /* it has just ended, and the server will know */
        return ++s->looks < LOOKS ? ASKED_AGAIN : alone("it cannot be looked at");
    if (check(&o, s->p, s->proc_fd, s->key, &e) < 0)
        return alone(e.msg);
    return enter(&o);
}

static bool is_ours(int fd, uid_t uid)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == uid;
}

/* The server waits for our end by this pidfd; it must be of the thread group's leader. */
static enum asked ask(struct search *s, int fd)
{
    struct door_welcome got;
    struct pollfd answer = { .fd = fd, .events = POLLIN };
    auto_close int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (self < 0 || !is_ours(fd, s->p->uid))
        return alone("it is another user's");
    if (door_ask(fd, s->key, self) < 0)
        return ASKED_AGAIN;
    int rc = poll(&answer, 1, left_ms(s));
    if (rc == 0)
        return alone("it does not answer");
    ssize_t n = rc < 0 ? -1 : recv(fd, &got, sizeof got, MSG_DONTWAIT);
    if (n != (ssize_t)sizeof got)
        return ASKED_AGAIN;
    if (memcmp(got.key, s->key, sizeof got.key) != 0)
        return alone("it has another plan");
    return join(s, got.pid);
}

static enum asked try(struct search *s, struct share *out)
{
    auto_close int fd = -1;
    switch (meeting_ask(s->dir_fd, s->key, &fd)) {
    case MEETING_READY:
        return ask(s, fd);
    case MEETING_BUSY:
        return ASKED_AGAIN;
    case MEETING_NONE:
        return ASKED_NONE;
    case MEETING_NOBODY:
        break;
    }
    enum meeting rc = meeting_listen(s->dir_fd, s->key, &out->listen_fd);
    return rc == MEETING_READY ? ASKED_NOBODY : rc == MEETING_BUSY ? ASKED_AGAIN : ASKED_NONE;
}

static enum share_found search(struct search *s, struct share *out)
{
    for (;;) {
        enum asked got = try(s, out);
        if (got == ASKED_JOINED)
            return SHARE_JOINED;
        if (got == ASKED_BROKEN)
            return SHARE_BROKEN;
        if (got == ASKED_NOBODY)
            return SHARE_LEADS;
        if (got == ASKED_AGAIN && left_ms(s) == 0)
            got = alone("it does not answer");
        if (got == ASKED_NONE)
            return SHARE_ALONE;
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
}

enum share_found share_find(const struct runtime_plan *p, int proc_fd, struct share *s)
{
    auto_spent int dir_fd = meeting_open(p->runtime_dir, p->uid);
    struct search one = { .p = p, .proc_fd = proc_fd, .dir_fd = dir_fd, .key = s->key };
    if (dir_fd < 0)
        return SHARE_ALONE;
    make_key(p, proc_fd, s);
    clock_gettime(CLOCK_MONOTONIC, &one.until);
    one.until.tv_sec += PATIENCE_MS / 1000;
    enum share_found found = search(&one, s);
    if (found == SHARE_ALONE)
        s->key[0] = 0; /* nobody knows of us: the mount is to be nobody's but ours */
    return found;
}

void share_invite(int sock_fd, const char *key, int proc_fd)
{
    auto_spent int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    auto_spent int mounts = openat(proc_fd, "self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (self < 0 || mounts < 0 || door_lead(sock_fd, key, self, mounts) < 0)
        log_debug("other runs cannot join this one");
}
