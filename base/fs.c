/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fs.h"

#include <fcntl.h>
#include <limits.h>

#include "base/fs_walk.h"
#include "base/mem.h"
#include "base/path.h"

int fs_open_at(int rootfs_fd, const char *path, int flags, mode_t mode, struct err *e)
{
    int fd = fs_walk_open(rootfs_fd, path, flags | O_CLOEXEC, mode);
    if (fd < 0)
        return err_sys(e, "cannot open '%s'", path);
    return fd;
}

int fs_open_parent_at(int rootfs_fd, const char *path, char **base, struct err *e)
{
    auto_free char *clean = path_join("/", path);
    auto_free char *name = path_base(clean);
    auto_free char *dir = path_dir(clean);
    if (str_eq(name, "/") || str_eq(name, ".") || str_eq(name, ".."))
        return err_set(e, ERR_INPUT, "'%s' does not name a file inside the root", path);
    int fd = fs_walk_open(rootfs_fd, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, "cannot open the directory of '%s'", path);
    *base = steal_ptr(name);
    return fd;
}

/* Make one missing component below DIR_FD and set its mode past the umask. */
static int mkdir_one(int dir_fd, const char *name, mode_t mode)
{
    if (mkdirat(dir_fd, name, 0700) < 0)
        return errno == EEXIST ? 0 : -1;
    auto_close int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -1 : fchmod(fd, mode);
}

int fs_mkdirs_at(int rootfs_fd, const char *path, mode_t mode, struct err *e)
{
    auto_free char *full = path_join("/", path);
    for (char *end = full; end;) {
        end = strchr(end + 1, '/');
        if (end)
            *end = 0;
        int fd = fs_walk_open(rootfs_fd, full, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        if (fd >= 0) {
            close(fd);
        } else if (errno == ENOENT) {
            auto_free char *name = NULL;
            auto_close int dir_fd = fs_open_parent_at(rootfs_fd, full, &name, e);
            if (dir_fd < 0)
                return -1;
            if (mkdir_one(dir_fd, name, mode) < 0)
                return err_sys(e, "cannot make directory '%s'", full);
        } else {
            return err_sys(e, "cannot make directory '%s'", full);
        }
        if (end)
            *end = '/';
    }
    return 0;
}

int fs_read_at(int rootfs_fd, const char *path, size_t max, struct str *out, struct err *e)
{
    auto_close int fd = fs_open_at(rootfs_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, e);
    if (fd < 0)
        return -1;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(e, ERR_INPUT, "'%s' is not a regular file", path);
    if (fs_read_fd(fd, max, out, e) < 0)
        return err_wrap(e, "'%s'", path);
    return 0;
}

/* The directory that will hold PATH, made where it is missing, and the last component. */
static int open_made_parent(int rootfs_fd, const char *path, char **name, struct err *e)
{
    auto_free char *dir = path_dir(path);
    if (!str_eq(dir, ".") && fs_mkdirs_at(rootfs_fd, dir, 0755, e) < 0)
        return -1;
    return fs_open_parent_at(rootfs_fd, path, name, e);
}

/* A name below DIR_FD that did not exist a moment ago; the caller creates with O_EXCL semantics. */
static char *temp_name(const char *name, unsigned try)
{
    return mem_printf(".%.200s.hpcc-%ld-%u", name, (long)getpid(), try);
}

int fs_write_at(int rootfs_fd, const char *path, const struct str *data, mode_t mode, struct err *e)
{
    auto_free char *name = NULL;
    auto_close int dir_fd = open_made_parent(rootfs_fd, path, &name, e);
    if (dir_fd < 0)
        return -1;
    auto_free char *temp = temp_name(name, 0);
    auto_close int fd =
        openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(e, "cannot write '%s'", path);
    if (fs_write_full(fd, data->data, data->len) < 0 || fchmod(fd, mode) < 0 ||
        renameat(dir_fd, temp, dir_fd, name) < 0) {
        err_sys(e, "cannot write '%s'", path);
        unlinkat(dir_fd, temp, 0);
        return -1;
    }
    return 0;
}

int fs_symlink_at(int rootfs_fd, const char *target, const char *path, struct err *e)
{
    auto_free char *name = NULL;
    auto_close int dir_fd = open_made_parent(rootfs_fd, path, &name, e);
    if (dir_fd < 0)
        return -1;
    auto_free char *temp = temp_name(name, 0);
    if (symlinkat(target, dir_fd, temp) < 0)
        return err_sys(e, "cannot make link '%s'", path);
    if (renameat(dir_fd, temp, dir_fd, name) < 0) {
        err_sys(e, "cannot make link '%s'", path);
        unlinkat(dir_fd, temp, 0);
        return -1;
    }
    return 0;
}

int fs_stat_at(int rootfs_fd, const char *path, bool follow, struct stat *st)
{
    int flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
    auto_close int fd = fs_walk_open(rootfs_fd, path, flags, 0);
    return fd < 0 ? -1 : fstat(fd, st);
}

int fs_each_name(int fd, int (*each)(void *ctx, const char *name), void *ctx)
{
    _Alignas(struct dirent64) char buf[32768];
    for (;;) {
        ssize_t n = getdents64(fd, buf, sizeof buf);
        if (n <= 0)
            return (int)n;
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *de = (const void *)(buf + at);
            at += de->d_reclen;
            if (str_eq(de->d_name, ".") || str_eq(de->d_name, ".."))
                continue;
            int rc = each(ctx, de->d_name);
            if (rc)
                return rc;
        }
    }
}

static int add_name(void *ctx, const char *name)
{
    strv_add(ctx, name);
    return 0;
}

int fs_names_at(int dir_fd, const char *path, struct strv *out)
{
    auto_close int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fs_each_name(fd, add_name, out) < 0)
        return -1;
    strv_sort(out);
    return 0;
}

static int remove_below(int dir_fd, dev_t dev, unsigned depth, struct err *e);

/* A bind of the same file system has the same device: only the kernel tells (Linux 5.8). */
static bool is_mount_point(int dir_fd, const char *name)
{
    struct statx sx;
    return statx(dir_fd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &sx) == 0 &&
           (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int remove_entry(int dir_fd, const char *name, dev_t dev, unsigned depth, struct err *e)
{
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_sys(e, "cannot remove '%s'", name);
    if (!S_ISDIR(st.st_mode)) {
        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
            return err_sys(e, "cannot remove '%s'", name);
        return 0;
    }
    if (depth > 4096)
        return err_set(e, ERR_FAILED, "cannot remove '%s': directories nested too deeply", name);
    if (depth && (st.st_dev != dev || is_mount_point(dir_fd, name)))
        return err_set(e, ERR_FAILED, "cannot remove '%s': it is a mount point", name);
    auto_close int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(dir_fd, name, 0700, 0) == 0)
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "cannot remove '%s'", name);
    if ((st.st_mode & 0700) != 0700 && fchmod(fd, 0700) < 0)
        return err_sys(e, "cannot remove '%s'", name);
    if (remove_below(fd, st.st_dev, depth + 1, e) < 0)
        return -1;
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return err_sys(e, "cannot remove '%s'", name);
    return 0;
}

static int remove_below(int dir_fd, dev_t dev, unsigned depth, struct err *e)
{
    auto_strv struct strv names = { 0 };
    if (fs_names_at(dir_fd, ".", &names) < 0)
        return err_sys(e, "cannot read a directory to remove it");
    for (size_t i = 0; i < names.n; i++)
        if (remove_entry(dir_fd, names.v[i], dev, depth, e) < 0)
            return -1;
    return 0;
}

int fs_remove_tree(int dir_fd, const char *name, struct err *e)
{
    return remove_entry(dir_fd, name, 0, 0, e);
}

int fs_remove_opened(int dir_fd, const char *name, int fd, struct err *e)
{
    struct stat st, now;
    if (fstat(fd, &st) < 0 || ((st.st_mode & 0700) != 0700 && fchmod(fd, 0700) < 0))
        return err_sys(e, "cannot remove '%s'", name);
    if (remove_below(fd, st.st_dev, 1, e) < 0)
        return -1;
    errno = ENOENT;
    if (fstatat(dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) < 0 || now.st_dev != st.st_dev ||
        now.st_ino != st.st_ino || unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
        return err_sys(e, "cannot remove '%s', which is empty now", name);
    return 0;
}

int fs_write_full(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int fs_pwrite_full(int fd, const void *data, size_t len, uint64_t offset)
{
    const char *p = data;
    while (len) {
        ssize_t n = pwrite(fd, p, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

ssize_t fs_pread_full(int fd, void *data, size_t len, uint64_t offset)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, (char *)data + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int fs_read_fd(int fd, size_t max, struct str *out, struct err *e)
{
    char buf[16384];
    size_t total = 0;
    for (;;) {
        ssize_t n = read(fd, buf, sizeof buf);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, "cannot read");
        if (n == 0)
            break;
        total += (size_t)n;
        if (total > max)
            return err_set(e, ERR_INPUT, "larger than the %zu bytes allowed here", max);
        str_add_n(out, buf, (size_t)n);
    }
    if (!out->data)
        str_add(out, "");
    return 0;
}

int fs_read_file(const char *path, size_t max, struct str *out, struct err *e)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return err_sys(e, "cannot open '%s'", path);
    if (fs_read_fd(fd, max, out, e) < 0)
        return err_wrap(e, "'%s'", path);
    return 0;
}
