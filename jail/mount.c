/* SPDX-License-Identifier: BSD-3-Clause */
#include "jail/jail.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/strv.h"
#include "base/defence.h"

#ifndef SYS_open_tree_attr
#define SYS_open_tree_attr 467 /* the same on all architectures of ours */
#endif

void mounter_open(struct mounter *m)
{
    m->root_fd = -1;
    m->base_fd = -1;
    /* mount_setattr is the youngest of the calls: where it is, all are. */
    m->old_api = mount_setattr(-1, "", 0, NULL, 0) < 0 && (errno == ENOSYS || errno == EPERM);
}

void mounter_close(struct mounter *m)
{
    cleanup_fd(&m->root_fd);
    m->root_fd = -1;
}

static int refused(struct err *e, const char *what)
{
    int code = errno;
    err_sys(e, "cannot mount '%s'", what);
    return code == EPERM || code == ENODEV || code == ENOSYS ? err_code_set(e, ERR_HOST) : -1;
}

/* What of ATTRS is to be set. */
static unsigned effective(unsigned attrs)
{
    if (!defence("ro"))
        attrs &= ~(unsigned)MOUNT_RO;
    if (!defence("nosuid"))
        attrs &= ~(unsigned)MOUNT_NOSUID;
    return defence("nodev") ? attrs : attrs & ~(unsigned)MOUNT_NODEV;
}

static uint64_t new_attrs(unsigned attrs)
{
    attrs = effective(attrs);
    return (attrs & MOUNT_RO ? MOUNT_ATTR_RDONLY : 0) |
           (attrs & MOUNT_NOSUID ? MOUNT_ATTR_NOSUID : 0) |
           (attrs & MOUNT_NODEV ? MOUNT_ATTR_NODEV : 0) |
           (attrs & MOUNT_NOEXEC ? MOUNT_ATTR_NOEXEC : 0);
}

static unsigned long old_flags(unsigned attrs)
{
    attrs = effective(attrs);
    return (attrs & MOUNT_RO ? MS_RDONLY : 0) | (attrs & MOUNT_NOSUID ? MS_NOSUID : 0) |
           (attrs & MOUNT_NODEV ? MS_NODEV : 0) | (attrs & MOUNT_NOEXEC ? MS_NOEXEC : 0);
}

/* ── new kernels: build the mount detached, then attach it ── */

/* Of a host path, or where PATH is "" the descriptor FD. */
static int clone_tree(int fd, const char *path, unsigned attrs)
{
    unsigned recursive = attrs & MOUNT_FLAT ? 0 : AT_RECURSIVE;
    unsigned how = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | recursive;
    struct mount_attr set = { .attr_set = new_attrs(attrs) };
    /* Both in one call since Linux 6.15. What the kernel lacks, it lacks for the whole process, so it
     * is remembered here: asked anew for each bind, a start would have a dozen calls more. */
    static bool apart;
    if (!apart) {
        int both = (int)syscall(SYS_open_tree_attr, fd, path, how, &set, sizeof set);
        if (both >= 0 || (errno != ENOSYS && errno != EPERM))
            return both;
        apart = true;
    }
    auto_close int tree = open_tree(fd, path, how);
    if (tree < 0)
        return -1;
    if (set.attr_set && mount_setattr(tree, "", AT_EMPTY_PATH | recursive, &set, sizeof set) < 0)
        return -1;
    return steal_fd(&tree);
}

static int configure(int fs_fd, const char *options)
{
    auto_strv struct strv list = { 0 };
    strv_split(&list, options ? options : "", ",");
    for (size_t i = 0; i < list.n; i++) {
        char *value = strchr(list.v[i], '=');
        if (value)
            *value++ = 0;
        unsigned cmd = value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;
        if (fsconfig(fs_fd, cmd, list.v[i], value, 0) < 0)
            return -1;
    }
    return 0;
}

static int make_fs(const struct mount_fs *fs)
{
    auto_close int fd = fsopen(fs->type, FSOPEN_CLOEXEC);
    const char *source = fs->source ? fs->source : fs->type;
    if (fd < 0 || fsconfig(fd, FSCONFIG_SET_STRING, "source", source, 0) < 0)
        return -1;
    if ((fs->attrs & MOUNT_RO) && fsconfig(fd, FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0)
        return -1;
    if (configure(fd, fs->options) < 0 || fsconfig(fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -1;
    return fsmount(fd, FSMOUNT_CLOEXEC, (unsigned)new_attrs(fs->attrs));
}

static int attach(int tree, int dst_fd)
{
    return move_mount(tree, "", dst_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static int attach_root(struct mounter *m, int *tree, const char *what, struct err *e)
{
    int rc = -1;
    if (*tree >= 0 && m->base_fd >= 0)
        rc = move_mount(*tree, "", m->base_fd, MOUNTER_BASE, MOVE_MOUNT_F_EMPTY_PATH);
    else if (*tree >= 0)
        rc = move_mount(*tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
    if (rc < 0)
        return refused(e, what);
    cleanup_fd(&m->root_fd);
    m->root_fd = steal_fd(tree);
    return 0;
}

/* ── mount(2) by /proc/self/fd: old kernels ── */

struct fd_path {
    char text[32];
};

static struct fd_path fd_path(int fd)
{
    struct fd_path p;
    snprintf(p.text, sizeof p.text, "/proc/self/fd/%d", fd);
    return p;
}

/* What is mounted over the old "/" for our own use comes along with the old root. */
static int uncover_old_root(const struct mounter *m, int src_fd, const char *dst)
{
    struct stat src, root;
    if (m->base_fd < 0 || fstat(src_fd, &src) < 0 || stat("/", &root) < 0 ||
        src.st_dev != root.st_dev || src.st_ino != root.st_ino)
        return 0;
    return umount2(dst, MNT_DETACH);
}

static int old_bind(const struct mounter *m, int src_fd, const char *dst, unsigned attrs)
{
    struct fd_path src = fd_path(src_fd);
    if (mount(src.text, dst, NULL, MS_BIND | (attrs & MOUNT_FLAT ? 0 : MS_REC), NULL) < 0)
        return -1;
    return attrs & MOUNT_FLAT ? 0 : uncover_old_root(m, src_fd, dst);
}

static int old_fs(const struct mount_fs *fs, const char *dst)
{
    /* read-only is of the file system too: its device may be so */
    unsigned long flags = old_flags(fs->attrs) | (fs->attrs & MOUNT_RO ? MS_RDONLY : 0);
    return mount(fs->source ? fs->source : fs->type, dst, fs->type, flags, fs->options);
}

struct remount {
    int fd; /* the uppermost mount's root */
    unsigned attrs;
    int failed; /* errno */
};

/* A bind remount replaces all flags, so those that are there are given again. */
static int remount_one(void *ctx, const struct mountinfo *mi)
{
    struct remount *r = ctx;
    bool below = !str_eq(mi->mount_point, "/");
    auto_close int fd = below ? fs_open_at(r->fd, mi->mount_point, O_PATH, 0, NULL) : -1;
    if (below && fd < 0)
        return 0; /* covered by another mount: nobody can reach it, so it does not matter */
    struct fd_path path = fd_path(below ? fd : r->fd);
    unsigned long flags = MS_REMOUNT | MS_BIND | mi->flags | old_flags(r->attrs);
    if (mount(NULL, path.text, NULL, flags, NULL) < 0 && errno != EINVAL) {
        r->failed = errno;
        return 1;
    }
    return 0;
}

/* Set ATTRS on the mount at FD and all below it. */
static int old_set_attrs(int fd, unsigned attrs)
{
    struct remount r = { .fd = fd, .attrs = attrs };
    if (!old_flags(attrs))
        return 0;
    if (mountinfo_below(fd, remount_one, &r) < 0)
        return -1;
    errno = r.failed;
    return r.failed ? -1 : 0;
}

/* Where mount(2) puts the new root. */
static struct fd_path old_base(const struct mounter *m)
{
    struct fd_path p = { "/" };
    if (m->base_fd >= 0)
        snprintf(p.text, sizeof p.text, "/proc/self/fd/%d/" MOUNTER_BASE, m->base_fd);
    return p;
}

/* The root of what is mounted there now. Over "/": ".." at the root stays there but crosses into
 * the mount. Elsewhere: by the directory's own name from its parent. */
static int old_root(struct mounter *m, unsigned attrs, const char *what, struct err *e)
{
    cleanup_fd(&m->root_fd);
    m->root_fd = m->base_fd >= 0
                     ? openat(m->base_fd, MOUNTER_BASE, O_PATH | O_DIRECTORY | O_CLOEXEC)
                     : open("/..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (m->root_fd < 0 || old_set_attrs(m->root_fd, attrs) < 0)
        return refused(e, what);
    return 0;
}

/* ── both ── */

int mounter_root_attach(struct mounter *m, int tree_fd, unsigned attrs, struct err *e)
{
    auto_close int tree = tree_fd;
    if (!m->old_api)
        return attach_root(m, &tree, "/", e);
    if (old_bind(m, tree, old_base(m).text, attrs) < 0)
        return refused(e, "/");
    return old_root(m, attrs, "/", e);
}

int mounter_root_bind(struct mounter *m, int src_fd, unsigned attrs, struct err *e)
{
    int tree = m->old_api ? fcntl(src_fd, F_DUPFD_CLOEXEC, 3) : clone_tree(src_fd, "", attrs);
    return tree < 0 ? refused(e, "/") : mounter_root_attach(m, tree, attrs, e);
}

/* Always by mount(2): the new calls want one for each option. */
int mounter_root_fs(struct mounter *m, const struct mount_fs *fs, struct err *e)
{
    if (old_fs(fs, old_base(m).text) < 0)
        return refused(e, "/");
    return old_root(m, 0, "/", e);
}

int mounter_clone(const struct mounter *m, const char *path, unsigned attrs)
{
    return m->old_api ? open(path, O_PATH | O_CLOEXEC) : clone_tree(AT_FDCWD, path, attrs);
}

int mounter_clone_fd(const struct mounter *m, int fd, unsigned attrs)
{
    return m->old_api ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : clone_tree(fd, "", attrs);
}

int mounter_attach(struct mounter *m, int tree_fd, const struct mount_target *target,
                   unsigned attrs, struct err *e)
{
    if (!m->old_api)
        return attach(tree_fd, target->fd) < 0 ? refused(e, target->path) : 0;
    if (old_bind(m, tree_fd, fd_path(target->fd).text, attrs) < 0)
        return refused(e, target->path);
    auto_close int now = fs_open_at(m->root_fd, target->path, O_PATH, 0, e);
    if (now < 0)
        return -1;
    return old_set_attrs(now, attrs) < 0 ? refused(e, target->path) : 0;
}

int mounter_bind(struct mounter *m, int src_fd, const char *dst, unsigned attrs, struct err *e)
{
    auto_spent int dst_fd = fs_open_at(m->root_fd, dst, O_PATH, 0, e);
    if (dst_fd < 0)
        return -1;
    const struct mount_target target = { dst, dst_fd };
    if (m->old_api)
        return mounter_attach(m, src_fd, &target, attrs, e);
    auto_spent int tree = clone_tree(src_fd, "", attrs);
    return tree < 0 ? refused(e, dst) : mounter_attach(m, tree, &target, attrs, e);
}

int mounter_fs(struct mounter *m, const struct mount_fs *fs, const char *dst, struct err *e)
{
    auto_spent int dst_fd = fs_open_at(m->root_fd, dst, O_PATH | O_DIRECTORY, 0, e);
    if (dst_fd < 0)
        return -1;
    if (m->old_api)
        return old_fs(fs, fd_path(dst_fd).text) < 0 ? refused(e, dst) : 0;
    auto_spent int tree = make_fs(fs);
    return tree < 0 || attach(tree, dst_fd) < 0 ? refused(e, dst) : 0;
}

int mounter_read_only(const struct mounter *m, const struct mountinfo *mi)
{
    struct mount_attr set = { .attr_set = MOUNT_ATTR_RDONLY };
    if (m->old_api)
        return mount(NULL, mi->mount_point, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | mi->flags,
                     NULL);
    return mount_setattr(AT_FDCWD, mi->mount_point, AT_SYMLINK_NOFOLLOW, &set, sizeof set);
}

int mounter_part(const char *point)
{
    return mount(NULL, point, NULL, MS_PRIVATE, NULL);
}

/* After pivot_root the old root lies over the new one's "/", and over that what lay over it. */
static int let_go_of_old_root(const struct mounter *m)
{
    for (int layers = (m->base_fd < 0 ? 1 : 2) - !defence("old-root"); layers; layers--)
        if (umount2(".", MNT_DETACH) < 0)
            return -1;
    return 0;
}

/* ".." of the root crosses into whatever is mounted over it: it must be the root itself. */
static int check_root(const struct mounter *m, struct err *e)
{
    struct stat root, above;
    if (fstat(m->root_fd, &root) < 0 || stat("/..", &above) < 0)
        return err_sys(e, "cannot look at the new root");
    if (!defence("old-root"))
        return 0;
    if (root.st_dev != above.st_dev || root.st_ino != above.st_ino)
        return err_set(e, ERR_BUG, "the host's root is still within reach");
    return 0;
}

int mounter_pivot(struct mounter *m, struct err *e)
{
    if (fchdir(m->root_fd) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
        let_go_of_old_root(m) < 0 || chdir("/") < 0) {
        int code = errno;
        err_sys(e, "cannot enter the new root");
        if (code == EINVAL)
            return err_hint(e, "the host's own root is an initramfs or a chroot, where pivot_root "
                               "does not work");
        return -1;
    }
    return check_root(m, e);
}
