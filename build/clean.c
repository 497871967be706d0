/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>

#include "base/fs.h"
#include "base/mem.h"
#include "build/parts.h"

/* Files that carry the time or chance of the build and that nothing needs: removed, or emptied
 * where they must exist, when a build is to give the same bytes each time. docs/reproducible.md
 * lists them. */

static const char *const removed[] = {
    "var/log/bootstrap.log",
    "var/log/dpkg.log",
    "var/log/alternatives.log",
    "var/log/apt/history.log",
    "var/log/apt/term.log",
    "var/log/apt/eipp.log.xz",
    "var/log/dnf.log",
    "var/log/yum.log",
    "var/log/zypper.log",
    "var/cache/ldconfig/aux-cache",
    "var/cache/apt/pkgcache.bin",
    "var/cache/apt/srcpkgcache.bin",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
};

static const char *const emptied[] = {
    "etc/machine-id", "var/log/lastlog", "var/log/faillog", "var/log/wtmp", "var/log/btmp",
};

/* Copy one line of /etc/shadow; the day of the last password change (third field) is no later than
 * DAY. Locked accounts that packages made have one too. */
static void copy_account(const char *line, size_t len, long long day, struct str *out)
{
    const char *end = line + len, *field = line;
    for (unsigned n = 0; n < 2 && field; n++) {
        field = memchr(field, ':', (size_t)(end - field));
        field = field ? field + 1 : NULL;
    }
    size_t digits = field ? strspn(field, "0123456789") : 0;
    if (digits == 0 || digits > 9 || field[digits] != ':' || strtoll(field, NULL, 10) <= day) {
        str_add_n(out, line, len);
        return;
    }
    str_add_n(out, line, (size_t)(field - line));
    str_addf(out, "%lld", day);
    str_add_n(out, field + digits, (size_t)(end - field - (ptrdiff_t)digits));
}

static int clamp_accounts(int rootfs_fd, int64_t epoch, struct err *e)
{
    static const char path[] = "etc/shadow";
    struct stat st;
    auto_str struct str old = { 0 };
    auto_str struct str text = { 0 };
    if (fs_stat_at(rootfs_fd, path, false, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    if (fs_read_at(rootfs_fd, path, 16 << 20, &old, e) < 0)
        return -1;
    for (const char *p = str_text(&old); *p;) {
        size_t n = strcspn(p, "\n");
        n += p[n] == '\n';
        copy_account(p, n, epoch / 86400, &text);
        p += n;
    }
    auto_close int fd = fs_open_at(rootfs_fd, path, O_WRONLY | O_TRUNC, 0, e);
    if (fd < 0)
        return -1;
    return fs_write_full(fd, str_text(&text), text.len) < 0 ? err_sys(e, "cannot write '%s'", path)
                                                            : 0;
}

int clean_times(int rootfs_fd, int64_t epoch, struct err *e)
{
    struct stat st;
    for (size_t i = 0; i < ARRAY_LEN(removed); i++) {
        if (fs_stat_at(rootfs_fd, removed[i], false, &st) < 0 || S_ISDIR(st.st_mode))
            continue;
        auto_free char *name = NULL;
        auto_close int dir_fd = fs_open_parent_at(rootfs_fd, removed[i], &name, e);
        if (dir_fd < 0 || fs_remove_tree(dir_fd, name, e) < 0)
            return -1;
    }
    for (size_t i = 0; i < ARRAY_LEN(emptied); i++) {
        if (fs_stat_at(rootfs_fd, emptied[i], false, &st) < 0 || !S_ISREG(st.st_mode))
            continue;
        auto_close int fd = fs_open_at(rootfs_fd, emptied[i], O_WRONLY, 0, e);
        if (fd < 0)
            return -1;
        if (ftruncate(fd, 0) < 0)
            return err_sys(e, "cannot empty '%s'", emptied[i]);
    }
    return clamp_accounts(rootfs_fd, epoch, e);
}
