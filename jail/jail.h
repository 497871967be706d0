/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_JAIL_H
#define JAIL_JAIL_H

/* How a process gets a root of its own: the one place that makes namespaces, mounts, device nodes,
 * capability sets and filters. What is to hold for every container and every build is one row of
 * one table here. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/strv.h"

/* ── who is jailed ── */

/* The columns of the tables of capabilities, of system calls and of what /proc and /sys show; to be
 * joined. */
enum jail_variant {
    JAIL_RUN = 1u << 0,       /* every program that is run */
    JAIL_ROOT = 1u << 1,      /* … that is uid 0 inside */
    JAIL_HOST_ROOT = 1u << 2, /* … whose caller is uid 0 on the host, see userns_is_host_root */
    JAIL_CONTAIN = 1u << 3,   /* … with --contain */
    JAIL_BUILD = 1u << 4,     /* what was fetched, while an image is built: scripts of packages and
                                 definitions, and the host's programs that unpack */
    JAIL_NO_SYNC = 1u << 5,   /* … into a stage that is thrown away after a crash */
    JAIL_SERVER = 1u << 6,    /* what reads an image for a container, from outside */
};

/* ── namespaces and the process ── */

/* The bare calls, for those who word the errors themselves: -1 with errno. KINDS are CLONE_NEW*
 * (sched.h). */
MUST_CHECK int ns_unshare(int kinds);
MUST_CHECK pid_t ns_fork(int kinds); /* fork, the child in new namespaces of KINDS (0: none) */
MUST_CHECK int ns_join(int fd, int kind);

/* fork, but the parent is told nothing at the child's end: the program that the parent becomes did
 * not start it and never meets it in wait(2), save with __WCLONE. */
MUST_CHECK pid_t ns_fork_unnoticed(void);

/* In a new mount namespace, first thing: what the host mounts from now on does not appear here, or
 * does (autofs, CVMFS); what is mounted here never appears there. */
MUST_CHECK int ns_mounts_private(void);
MUST_CHECK int ns_mounts_follow(void);

/* In a new pid namespace and a mount namespace of one's own: its own /proc over the old. Containers
 * forbid it. */
MUST_CHECK int ns_fresh_proc(void);

/* Show the working directory at a place of this mount namespace, which is our own, where it hides
 * nothing and to which only root's directories lead: who renames what leads to it outside changes
 * nothing here. Returns a descriptor of it there, which can be bound as can what is opened below
 * it, and the place (static). A directory that was opened in another mount namespace becomes one of
 * this by being the working directory while this one is made. ERR_HOST: there is no such place. */
MUST_CHECK int ns_show_here(const char **path, struct err *e);

/* SIGKILL when the parent thread ends. The parent may have ended already: the caller looks. */
MUST_CHECK int process_dies_with_parent(void);

/* No setuid program and no file capability gives anything any more, for good. */
MUST_CHECK int process_no_new_privs(struct err *e);

MUST_CHECK int process_call(const char *name); /* what ps shows, 15 bytes */
MUST_CHECK int process_close_memory(void);     /* to other processes of the same user */

/* An empty session keyring instead of the caller's; a kernel without keys has none to leave. */
void process_new_keyring(void);

/* ── user namespaces and id maps ── */

/* User namespaces: making one, mapping ids into it, and saying in a person's words why this host
 * refuses. */

/* A piece of /etc/subuid or /etc/subgid. */
struct userns_range {
    uint32_t start, count;
};

/* Turn the errno of a failed unshare or clone with CLONE_NEWUSER into ERR_HOST with the cure.
 * Always returns -1. */
int userns_refused(int code, struct err *e);

/* Whether the caller is uid 0 on the host, whatever namespace he sits in and whatever id he has
 * there: what asks for the host's uid 0, as files of /proc/sys do, lets him pass without any
 * capability. PROC_FD: an open /proc. */
bool userns_is_host_root(int proc_fd);

/* Map one id: our OUTSIDE uid and gid appear as INSIDE ones. For the process that has just unshared
 * CLONE_NEWUSER; supplementary groups stay in force, setgroups is denied for good. PROC_FD: an open
 * /proc, -1: by path. */
struct userns_ids {
    uid_t uid;
    gid_t gid;
};
MUST_CHECK int userns_map_single(struct userns_ids outside, struct userns_ids inside, int proc_fd,
                                 struct err *e);

/* The largest range that TEXT, the content of /etc/subuid, gives to the user: by NAME (may be NULL)
 * or by number. False when there is none. */
bool userns_range_find(const char *text, const char *name, uid_t uid, struct userns_range *out);

/* Both ranges of the calling user, at least NEED ids each, and the programs that map them.
 * ERR_HOST with the cure. */
MUST_CHECK int userns_ranges(uint32_t need, struct userns_range *uids, struct userns_range *gids,
                             struct err *e);

/* Map uid and gid 0 of PID's namespace to ours and 1… to the ranges, by newuidmap and newgidmap. */
MUST_CHECK int userns_map_ranges(pid_t pid, const struct userns_range *uids,
                                 const struct userns_range *gids, struct err *e);

/* ── mounts ── */

/* The one place that mounts. Sources are descriptors and targets are resolved inside the new root,
 * so that no link in an image or in a user's directory decides where a mount lands. Uses open_tree,
 * mount_setattr, fsopen and move_mount (Linux 5.12), or mount(2) over /proc/self/fd on kernels
 * before. The caller has its own mount namespace. */

enum mount_flag {
    MOUNT_RO = 1u << 0,
    MOUNT_NOSUID = 1u << 1,
    MOUNT_NODEV = 1u << 2,
    MOUNT_NOEXEC = 1u << 3,
    MOUNT_FLAT = 1u << 4, /* bind: without the mounts below the source */
    MOUNT_LINK = 1u << 5, /* for who opens the target: a link itself, not what it leads to; only
                             the new calls can mount on one */
};

#define MOUNTER_BASE "root"

struct mounter {
    int root_fd; /* the new root; -1 before mounter_root_* */
    int base_fd; /* it is mounted on this one's entry MOUNTER_BASE, and the file system of this one
                    on the old "/"; -1: it is mounted on the old "/" itself. Lent. */
    bool old_api;
};

struct mount_fs {
    const char *type;    /* "tmpfs" … */
    const char *source;  /* NULL: the type's name */
    const char *options; /* "mode=755,size=1m", or NULL */
    unsigned attrs;
};

void mounter_open(struct mounter *m);
void mounter_close(struct mounter *m);

/* Make the new root: a bind of the directory SRC_FD with all that is mounted below it, the same of
 * what mounter_clone gave, or a fresh file system. ERR_HOST where the kernel refuses. */
MUST_CHECK int mounter_root_bind(struct mounter *m, int src_fd, unsigned attrs, struct err *e);
MUST_CHECK int mounter_root_attach(struct mounter *m, int tree_fd, unsigned attrs, struct err *e);
MUST_CHECK int mounter_root_fs(struct mounter *m, const struct mount_fs *fs, struct err *e);

/* Bind SRC_FD (a directory or not, opened in this mount namespace) onto DST inside the new root;
 * DST exists and is of the same type. Attributes go to every mount below too. */
MUST_CHECK int mounter_bind(struct mounter *m, int src_fd, const char *dst, unsigned attrs,
                            struct err *e);

/* What mounter_bind does in two steps. mounter_clone: the tree at the host's PATH as it is now, a
 * mount without a place; -1 with errno. On old kernels only a descriptor, and the tree is taken
 * when it is attached. mounter_attach: onto TARGET, which the caller has opened (O_PATH) as PATH
 * inside the new root. */
struct mount_target {
    const char *path;
    int fd;
};
MUST_CHECK int mounter_clone(const struct mounter *m, const char *path, unsigned attrs);
MUST_CHECK int mounter_clone_fd(const struct mounter *m, int fd, unsigned attrs);
MUST_CHECK int mounter_attach(struct mounter *m, int tree_fd, const struct mount_target *target,
                              unsigned attrs, struct err *e);

/* Mount a fresh file system onto the directory DST inside the new root. */
MUST_CHECK int mounter_fs(struct mounter *m, const struct mount_fs *fs, const char *dst,
                          struct err *e);

/* Enter the new root for good: pivot_root, the old root let go, cwd "/". */
MUST_CHECK int mounter_pivot(struct mounter *m, struct err *e);

/* ── the kernel's account of them ── */

/* The kernel's own account of our mounts: /proc/self/mountinfo, see proc(5). */

struct mountinfo {
    uint64_t id, parent;
    const char *mount_point; /* octal escapes undone */
    const char *type;
    const char *source;        /* what was mounted: a device, or any text */
    const char *super_options; /* "rw,size=…" */
    bool follows;              /* what is mounted elsewhere appears below it too */
    unsigned long flags;       /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_*ATIME */
};

/* Parse one line in place; 0, or -1 when it is none. */
MUST_CHECK int mountinfo_line(char *line, struct mountinfo *out);

/* Call EACH for every mount of this namespace, as seen from our root, until it returns non-zero.
 * PROC_FD: an open /proc, for when the root has none; -1: by path. Returns 0, or -1 with errno when
 * it cannot be read. */
MUST_CHECK int mountinfo_each(int proc_fd, int (*each)(void *ctx, const struct mountinfo *mi),
                              void *ctx);

/* The same for the process whose directory in /proc PROCESS_FD is, as seen from its root. */
MUST_CHECK int mountinfo_of(int process_fd, int (*each)(void *ctx, const struct mountinfo *mi),
                            void *ctx);

/* The same for the mount that FD is the root of, and those below it; their mount points are told
 * relative to FD, whose own is "/". */
MUST_CHECK int mountinfo_below(int fd, int (*each)(void *ctx, const struct mountinfo *mi),
                               void *ctx);

/* Make the mount MI of this namespace read-only, which lies uppermost where it is; or make that at
 * POINT follow no other any more. -1 with errno. By path: who asks looks afterwards. */
MUST_CHECK int mounter_read_only(const struct mounter *m, const struct mountinfo *mi);
MUST_CHECK int mounter_part(const char *point);

/* ── the new root ── */

/* The container's root under construction. A small tmpfs, the session, holds what the image does
 * not: mount points it lacks, the passwd file with the caller's line. The image itself is never
 * touched. The session has no name outside our mount namespace and dies with it. */

struct newroot {
    struct mounter m;
    int session_fd;
    dev_t session_dev;
    struct strv covers; /* directories of the image that the underlay shows in its place */
};

/* The caller has its own mount namespace. Between the two calls the host's tree is as it was: clone
 * what is wanted of it. newroot_open makes the session. */
void newroot_init(struct newroot *r);
MUST_CHECK int newroot_open(struct newroot *r, struct err *e);
void newroot_close(struct newroot *r);

/* See that PATH exists, as a directory or (FILE) anything else. A directory of the image that lacks
 * it is covered by a directory of the session which shows the same entries and the new one,
 * read-only. The umask is 0. */
MUST_CHECK int newroot_provide(struct newroot *r, const char *path, bool file, struct err *e);

/* A file of the session with this content, mode 0644, opened for mounter_bind. */
MUST_CHECK int newroot_file(struct newroot *r, const char *name, const struct str *data,
                            struct err *e);

/* ── /dev, /proc and /sys ── */

/* A private /dev: the few harmless devices of the host, checked by their numbers, its own terminals
 * and shared memory. Built on the directory /dev of M's new root. */
MUST_CHECK int devices_make(struct mounter *m, struct err *e);

/* The host's /dev/null, a path descriptor; ERR_HOST when it is something else. */
MUST_CHECK int devices_open_null(struct err *e);

/* In a /proc or /sys (BELOW) that is mounted in M's new root: what the table says of VARIANTS is
 * made read-only or covered. */
MUST_CHECK int views_seal(struct mounter *m, const char *below, unsigned variants, struct err *e);

/* A fresh /proc for this pid namespace, or the host's where none is allowed, and the host's /sys,
 * read-only; both sealed. The directories exist. */
MUST_CHECK int views_make(struct mounter *m, unsigned variants, struct err *e);

/* Whether a file system of TYPE is a window to the host's kernel: proc, sysfs, cgroup2 and their
 * like, whose files do things, and mostly ask for uid 0 alone. */
bool views_is_window(const char *type);

/* For a program that is uid 0 on the host, after mounter_pivot and all mounts: every such window that
 * can be reached in the finished tree, wherever and by whatever bind it came in, is made read-only;
 * but the container's own /proc is left as views_seal made it. What the host mounts later no longer
 * appears, save by automount (autofs). ERR_FAILED when one stays open. PROC_FD as for
 * mountinfo_each. */
MUST_CHECK int views_close_tree(int proc_fd, struct err *e);

/* ── capabilities ── */

/* Capabilities of what we start; see capabilities(7). */

/* What the table lets VARIANTS keep, as a mask. Nothing without JAIL_ROOT and JAIL_BUILD. */
uint64_t caps_kept(unsigned variants);

/* Take every other capability out of the bounding set and our own sets; capabilities that this
 * process lacks already stay lacking. Ambient and inheritable sets are emptied. Verified by reading
 * back. */
MUST_CHECK int caps_bound(unsigned variants, struct err *e);

/* Give all up: every set empty, uid 0 without its magic (securebits locked). Verified by reading
 * back. For good once the caller has set no_new_privs. */
MUST_CHECK int caps_drop_all(struct err *e);

/* ── system call filters ── */

/* Whether a sanitizer watches, whose runtime wants calls and memory of its own. */
#if defined(__SANITIZE_ADDRESS__)
#define JAIL_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define JAIL_SANITIZED 1
#endif
#endif
#ifndef JAIL_SANITIZED
#define JAIL_SANITIZED 0
#endif

/* System calls that a container never needs and an attacker likes, and for the image server all but
 * those that it needs: the table in jail/calls.c. Covers the foreign ABIs too (i386 on x86_64 by
 * its own numbers; x32 and others answer ENOSYS, for the server they are death).
 *
 * Install for this thread and all it becomes. Needs no_new_privs or CAP_SYS_ADMIN in its namespace,
 * so a build, whose scripts may start setuid programs, does it before caps_bound. ERR_HOST on a
 * kernel without filters. */
MUST_CHECK int filter_install(unsigned variants, struct err *e);

/* ── descriptors ── */

/* Which inherited descriptors the program gets: pipes, sockets and regular files pass (launchers
 * hand over PMI sockets so); what leads out of the container or to its makers does not. */

/* Mark the others close-on-exec; ours are so already. CONTAIN: all but 0, 1, 2 and KEEP (decimal
 * numbers). A directory or device that is no terminal on 0, 1 or 2 is replaced by /dev/null. */
MUST_CHECK int fds_restrict(bool contain, const struct strv *keep, struct err *e);

/* FD (-1: none) is done with; it is closed with others, neighbours in one go, when they have become
 * many or fds_close_spent asks for it. For descriptors that are close-on-exec, by one thread. */
void fds_spend(int fd);
void fds_close_spent(void);
#define auto_spent cleanup_with(fds_cleanup)
void fds_cleanup(const int *fd);

/* ── descriptors over a socket ── */

/* Descriptors over a stream socket (SCM_RIGHTS, unix(7)), each message one byte that says what they
 * are. */

enum { FDPASS_MAX = 4 };

/* Returns -1 with errno when the other end is gone. No SIGPIPE. */
MUST_CHECK int fdpass_send(int sock, char what, const int *fds, size_t n);

/* Wait for a message WHAT with exactly N descriptors, close-on-exec. Anything else is closed and
 * -1; then FDS are -1. */
MUST_CHECK int fdpass_receive(int sock, char what, int *fds, size_t n);

/* ── the child's wire ── */

/* What a forked child has to say, over a pipe: its error (or none) and bytes of its own. Both ends
 * are this program, but the child handles hostile input: lengths are checked all the same. */

#define WIRE_MAX_TEXT  (1u << 20)  /* message and hint, each */
#define WIRE_MAX_BYTES (64u << 20) /* the result */

/* Write E (code ERR_NONE for success) and RESULT (NULL: no bytes) to FD. Returns -1 with errno when
 * the other end is gone. */
int wire_send(int fd, const struct err *e, const struct str *result);

/* Read one message. Returns 1 when a whole one came: FROM_CHILD and RESULT (either may
 * be NULL) hold it; 0 when the child closed the pipe without a word; -1 on a broken message. */
MUST_CHECK int wire_receive(int fd, struct err *from_child, struct str *result);

/* ── cells ── */

/* Where a build runs what was fetched, whoever builds: a base agent's program, maintainer scripts,
 * scriptlets, %post, %test, and the host's own programs that unpack a stranger's archives. A cell
 * has a root of its own and nothing to follow a link to, its own processes with a /proc that shows
 * no others, a /dev on which only the bound nodes are alive, few capabilities, the filter of
 * builds, no keys and nothing of the caller's environment or descriptors. */

struct cell {
    /* What becomes "/"; it is opened in this mount namespace. With HOST_PROGRAMS it is shown at
     * CELL_TARGET instead, in a root in memory that holds the host's programs and what they need to
     * reach the network, read-only, and SHOWN (NULL: nothing): further files or directories of the
     * host, read-only, at their own paths, NULL-terminated. */
    int root_fd;
    bool host_programs;
    const char *const *shown;

    bool read_only; /* the root is */
    bool network;   /* the host's; else none */
    bool net_files; /* the host's /etc/resolv.conf and /etc/hosts lie over the root's, if it has
                       such files */
    bool idle;      /* without any capability; else those of packages' scripts */
};

#define CELL_TARGET "/target"

/* Run PROGRAM to its end as proc_run does. argv[0] is absolute, in the cell's root. Its before_exec
 * runs last. *STATUS 127: it could not be executed. ERR_HOST: the host gives no cell. */
MUST_CHECK int cell_run(const struct cell *c, const struct proc_spec *program, int *status,
                        struct err *e);

/* The same for who goes on inside instead of running a program, in three steps. cell_open: hold the
 * root; the descriptor is for cell_enter. cell_leave_host: take this process's namespaces; the next
 * child is pid 1 of the new ones. cell_enter: that child takes the root; the host's is gone. Then,
 * when it has opened all it wants, cell_confine: for good. */
MUST_CHECK int cell_open(const struct cell *c, struct err *e);
MUST_CHECK int cell_leave_host(const struct cell *c, struct err *e);
MUST_CHECK int cell_enter(const struct cell *c, int tree_fd, struct err *e);
MUST_CHECK int cell_confine(const struct cell *c, struct err *e);

/* FD, a file of the host opened for reading, as one through which it cannot be opened for writing:
 * a descriptor can be, by /proc/self/fd, as far as its owner may. FD is closed when that worked.
 * Before cell_leave_host. -1: the kernel cannot (before 5.12); FD is as it was. */
MUST_CHECK int cell_read_only(int fd);

#endif
