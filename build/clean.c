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

int clean_times(int rootfs_fd, struct err *e)
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
    return 0;
}
