/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "build/parts.h"

/* Sources and targets are both names inside a root (the host's is "/"), so links of neither side
 * lead anywhere else. */

static bool has_magic(const char *s)
{
    return strpbrk(s, "*?[\\") != NULL;
}

/* Names in DIR that match PATTERN, as DIR/NAME. */
static int match_names(int root_fd, const char *dir, const char *pattern, struct strv *out,
                       struct err *e)
{
    struct stat st;
    const char *start = *dir ? dir : "/";
    if (fs_stat_at(root_fd, start, true, &st) < 0 || !S_ISDIR(st.st_mode))
        return 0;
    auto_close int fd = fs_open_at(root_fd, start, O_RDONLY | O_DIRECTORY, 0, e);
    auto_strv struct strv names = { 0 };
    if (fd < 0)
        return -1;
    if (fs_names_at(fd, ".", &names) < 0)
        return err_sys(e, "cannot read '%s'", start);
    for (size_t i = 0; i < names.n; i++)
        if (fnmatch(pattern, names.v[i], FNM_PERIOD) == 0)
            strv_addf(out, "%s/%s", dir, names.v[i]);
    return 0;
}

int files_glob(int root_fd, const char *pattern, struct strv *out, struct err *e)
{
    auto_strv struct strv parts = { 0 };
    auto_strv struct strv found = { 0 };
    struct stat st;
    strv_split(&parts, pattern, "/");
    strv_add(&found, "");
    for (size_t i = 0; i < parts.n; i++) {
        auto_strv struct strv next = { 0 };
        for (size_t k = 0; k < found.n; k++) {
            if (!has_magic(parts.v[i]))
                strv_addf(&next, "%s/%s", found.v[k], parts.v[i]);
            else if (match_names(root_fd, found.v[k], parts.v[i], &next, e) < 0)
                return -1;
        }
        strv_free(&found);
        found = next;
        next = (struct strv){ 0 };
    }
    for (size_t i = 0; i < found.n; i++) {
        const char *path = *found.v[i] ? found.v[i] : "/";
        if (fs_stat_at(root_fd, path, true, &st) == 0)
            strv_add(out, path);
    }
    return 0;
}

/* Copy the data between holes, so that sparse files stay sparse. */
static int copy_data(int from, int to, off_t size)
{
    off_t at = 0;
    while (at < size) {
        off_t data = lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        if (data < 0)
            data = at;
        off_t end = lseek(from, data, SEEK_HOLE);
        if (end < 0 || end > size)
            end = size;
        for (at = data; at < end;) {
            char buf[65536];
            size_t want = (size_t)(end - at) < sizeof buf ? (size_t)(end - at) : sizeof buf;
            ssize_t n = fs_pread_full(from, buf, want, (uint64_t)at);
            if (n < 0 || fs_pwrite_full(to, buf, (size_t)n, (uint64_t)at) < 0)
                return -1;
            if (n == 0)
                return ftruncate(to, at);
            at += n;
        }
    }
    return ftruncate(to, size);
}

static int copy_file(const struct copy_spec *spec, int from_fd, const struct stat *st,
                     const char *to, struct err *e)
{
    auto_free char *name = NULL;
    auto_close int dir_fd = fs_open_parent_at(spec->to_root_fd, to, &name, e);
    if (dir_fd < 0)
        return -1;
    /* A new file takes the place of what is there: a link is replaced, not written through. */
    auto_free char *temp = mem_printf(".%.200s.hpcc-%ld", name, (long)getpid());
    auto_close int fd =
        openat(dir_fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_sys(e, "cannot write '%s'", to);
    if (copy_data(from_fd, fd, st->st_size) < 0 || fchmod(fd, st->st_mode & 0755) < 0 ||
        renameat(dir_fd, temp, dir_fd, name) < 0) {
        err_sys(e, "cannot write '%s'", to);
        unlinkat(dir_fd, temp, 0);
        return -1;
    }
    return 0;
}

/* The directories above, to notice a link that leads back into one of them. */
struct above {
    const struct above *up;
    dev_t dev;
    ino_t ino;
    mode_t mode;
    unsigned depth;
};

static int copy_any(const struct copy_spec *spec, const char *from, const char *to,
                    const struct above *up, struct err *e);

static int copy_directory(const struct copy_spec *spec, int fd, const char *const path[2],
                          const struct above *here, struct err *e)
{
    for (const struct above *a = here->up; a; a = a->up)
        if (a->dev == here->dev && a->ino == here->ino)
            return err_set(e, ERR_FAILED, "'%s' is a link into a directory above it", path[0]);
    if (here->depth > 200)
        return err_set(e, ERR_FAILED, "'%s' is nested too deeply", path[0]);
    struct stat st;
    if (fs_stat_at(spec->to_root_fd, path[1], true, &st) < 0 &&
        fs_mkdirs_at(spec->to_root_fd, path[1], here->mode, e) < 0)
        return -1;
    auto_strv struct strv names = { 0 };
    if (fs_names_at(fd, ".", &names) < 0)
        return err_sys(e, "cannot read '%s'", path[0]);
    for (size_t i = 0; i < names.n; i++) {
        auto_free char *from = path_join(path[0], names.v[i]);
        auto_free char *to = path_join(path[1], names.v[i]);
        if (copy_any(spec, from, to, here, e) < 0)
            return -1;
    }
    return 0;
}

static int copy_any(const struct copy_spec *spec, const char *from, const char *to,
                    const struct above *up, struct err *e)
{
    auto_close int fd =
        fs_open_at(spec->from_root_fd, from, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, e);
    struct stat st;
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return err_sys(e, "cannot look at '%s'", from);
    if (spec->skip && st.st_dev == spec->skip->st_dev && st.st_ino == spec->skip->st_ino)
        return 0;
    if (S_ISREG(st.st_mode))
        return copy_file(spec, fd, &st, to, e);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_INPUT, "'%s' is neither a file nor a directory", from);
    const struct above here = { .up = up,
                                .dev = st.st_dev,
                                .ino = st.st_ino,
                                .mode = (st.st_mode & 0755) | 0700,
                                .depth = up ? up->depth + 1 : 0 };
    const char *const path[2] = { from, to };
    return copy_directory(spec, fd, path, &here, e);
}

int files_copy(const struct copy_spec *spec, const char *from, const char *to, struct err *e)
{
    auto_free char *dir = path_dir(to);
    if (fs_mkdirs_at(spec->to_root_fd, dir, 0755, e) < 0)
        return -1;
    return copy_any(spec, from, to, NULL, e);
}
