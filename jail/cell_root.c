/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/defence.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "jail/jail.h"

/* ── the tree that is taken along ── */

static unsigned root_attrs(const struct cell *c)
{
    return MOUNT_NODEV | (c->read_only ? MOUNT_RO : 0);
}

int cell_open(const struct cell *c, struct err *e)
{
    struct mounter m;
    mounter_open(&m);
    int tree = mounter_clone_fd(&m, c->root_fd, root_attrs(c));
    return tree < 0 ? err_sys(e, "cannot take the root along") : tree;
}

int cell_read_only(int fd)
{
    struct mounter m;
    char path[32];
    mounter_open(&m);
    errno = ENOSYS;
    if (m.old_api || !defence("cell-shut"))
        return -1;
    auto_close int tree =
        mounter_clone_fd(&m, fd, MOUNT_FLAT | MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV);
    if (tree < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", tree);
    int shut = open(path, O_RDONLY | O_CLOEXEC);
    if (shut >= 0)
        close(fd);
    return shut;
}

/* On kernels before 5.12 nothing of another mount namespace can be mounted: the root is looked up
 * again by its path, and must be the same. */
static int same_root_here(int root_fd, struct err *e)
{
    char link[32], path[4096];
    struct stat a, b;
    snprintf(link, sizeof link, "/proc/self/fd/%d", root_fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return err_sys(e, "cannot find the root's path");
    path[n] = 0;
    auto_close int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &a) < 0 || fstat(root_fd, &b) < 0)
        return err_sys(e, "cannot open the root '%s'", path);
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino)
        return err_set(e, ERR_FAILED, "the root '%s' was replaced while it was built", path);
    return steal_fd(&fd);
}

/* What mounter_root_attach and mounter_attach take, which becomes the caller's. */
static int tree_here(const struct mounter *m, int tree_fd, struct err *e)
{
    if (m->old_api)
        return same_root_here(tree_fd, e);
    int tree = fcntl(tree_fd, F_DUPFD_CLOEXEC, 3);
    return tree < 0 ? err_sys(e, "cannot take the root along") : tree;
}

/* ── the root that was filled ── */

static int bind_net_files(struct mounter *m, struct err *e)
{
    static const char *const files[] = { "/etc/resolv.conf", "/etc/hosts" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct stat st;
        auto_close int src = open(files[i], O_PATH | O_CLOEXEC);
        if (src < 0 || access(files[i], R_OK) < 0 ||
            fs_stat_at(m->root_fd, files[i], true, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        unsigned attrs = MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC | MOUNT_FLAT;
        if (mounter_bind(m, src, files[i], attrs, e) < 0)
            return -1;
    }
    return 0;
}

static int make_dirs(int root_fd, struct err *e)
{
    static const struct {
        const char *path;
        mode_t mode;
    } dirs[] = { { "/dev", 0755 }, { "/proc", 0555 }, { "/sys", 0555 } };
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (fs_mkdirs_at(root_fd, dirs[i].path, dirs[i].mode, e) < 0)
            return -1;
    return 0;
}

static int take_root(const struct cell *c, struct mounter *m, int tree_fd, struct err *e)
{
    int tree = tree_here(m, tree_fd, e);
    if (tree < 0 || mounter_root_attach(m, tree, root_attrs(c), e) < 0)
        return -1;
    if (!c->read_only && make_dirs(m->root_fd, e) < 0)
        return -1;
    if (devices_make(m, e) < 0 || views_make(m, JAIL_BUILD, e) < 0)
        return -1;
    return c->net_files ? bind_net_files(m, e) : 0;
}

/* ── the root of the host's programs ── */

/* What programs of a host need to run, to check certificates and to find names. Nothing here is
 * secret: of /etc only what any user may read. */
static const char *const host_paths[] = {
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/resolv.conf",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/pki/ca-trust/extracted",
    "/etc/crypto-policies",
};

static int make_place(struct mounter *m, const char *path, const struct stat *st, struct err *e)
{
    auto_free char *dir = path_dir(path);
    if (S_ISDIR(st->st_mode))
        return fs_mkdirs_at(m->root_fd, path, 0755, e);
    if (fs_mkdirs_at(m->root_fd, dir, 0755, e) < 0)
        return -1;
    auto_close int fd = fs_open_at(m->root_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0444, e);
    return fd < 0 ? -1 : 0;
}

/* "/bin" is a link to "usr/bin" on most hosts, and stays one. */
static bool copy_link(struct mounter *m, const char *path)
{
    char text[256];
    ssize_t n = readlink(path, text, sizeof text - 1);
    if (n <= 0 || strchr(path + 1, '/'))
        return false;
    text[n] = 0;
    return fs_symlink_at(m->root_fd, text, path, NULL) == 0;
}

/* Show PATH of the host at the same place, where the host has it. */
static int show(struct mounter *m, const char *path, unsigned attrs, struct err *e)
{
    struct stat st;
    if (copy_link(m, path))
        return 0;
    auto_close int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return 0;
    return make_place(m, path, &st, e) < 0 ? -1 : mounter_bind(m, fd, path, attrs, e);
}

static int show_all(const struct cell *c, struct mounter *m, struct err *e)
{
    const unsigned attrs = MOUNT_RO | MOUNT_NOSUID | MOUNT_NODEV;
    for (size_t i = 0; i < ARRAY_LEN(host_paths); i++)
        if (show(m, host_paths[i], attrs, e) < 0)
            return -1;
    for (const char *const *p = c->shown; p && *p; p++)
        if (show(m, *p, attrs, e) < 0)
            return -1;
    return defence("cell-private") ? 0 : show(m, "/tmp", 0, e);
}

/* The target has the same /dev, /proc and /sys as the root around it. */
static int show_in_target(struct mounter *m, struct err *e)
{
    static const char *const dirs[] = { "/dev", "/proc", "/sys" };
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        auto_free char *dst = mem_printf(CELL_TARGET "%s", dirs[i]);
        auto_close int fd = fs_open_at(m->root_fd, dirs[i], O_PATH | O_DIRECTORY, 0, e);
        if (fd < 0 || mounter_bind(m, fd, dst, 0, e) < 0)
            return -1;
    }
    return 0;
}

static int attach_target(struct mounter *m, int tree_fd, struct err *e)
{
    auto_close int tree = tree_here(m, tree_fd, e);
    auto_close int fd = tree < 0 ? -1 : fs_open_at(m->root_fd, CELL_TARGET, O_PATH, 0, e);
    const struct mount_target at = { CELL_TARGET, fd };
    if (fd < 0 || mounter_attach(m, tree, &at, MOUNT_NODEV, e) < 0)
        return -1;
    auto_close int target = fs_open_at(m->root_fd, CELL_TARGET, O_PATH | O_DIRECTORY, 0, e);
    return target < 0 ? -1 : make_dirs(target, e);
}

static int make_private_root(const struct cell *c, struct mounter *m, int tree_fd, struct err *e)
{
    const struct mount_fs fs = { .type = "tmpfs",
                                 .source = "hpcc",
                                 .options = "mode=0755,size=64m",
                                 .attrs = MOUNT_NOSUID | MOUNT_NODEV };
    if (mounter_root_fs(m, &fs, e) < 0 || make_dirs(m->root_fd, e) < 0 ||
        fs_mkdirs_at(m->root_fd, "/tmp", 01777, e) < 0 ||
        fs_mkdirs_at(m->root_fd, CELL_TARGET, 0755, e) < 0)
        return -1;
    if (devices_make(m, e) < 0 || views_make(m, JAIL_BUILD, e) < 0 || show_all(c, m, e) < 0)
        return -1;
    return attach_target(m, tree_fd, e) < 0 ? -1 : show_in_target(m, e);
}

int cell_enter(const struct cell *c, int tree_fd, struct err *e)
{
    cleanup_with(mounter_close) struct mounter m;
    mounter_open(&m);
    if (ns_mounts_private() < 0)
        return err_sys(e, "cannot make mounts private");
    if (!defence("cell-root"))
        return fchdir(c->root_fd) < 0 || chroot(".") < 0 ? err_sys(e, "cannot enter") : 0;
    int rc = c->host_programs ? make_private_root(c, &m, tree_fd, e) : take_root(c, &m, tree_fd, e);
    if (rc < 0 || mounter_pivot(&m, e) < 0)
        return -1;
    umask(022);
    return 0;
}
