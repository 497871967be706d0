/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "jail/jail.h"
#include "runtime/runtime.h"

/* Files of the host that names on the network need. The root may lack them or hold a link to
 * nowhere; then an empty file is made to mount on, and taken away again. */
static const char *const net_files[] = { "/etc/resolv.conf", "/etc/hosts" };

/* Where PATH's final link points inside the root, or PATH itself; one step is what resolv.conf has
 * in practice (→ ../run/systemd/resolve/stub-resolv.conf). */
static char *link_target(int rootfs_fd, const char *path)
{
    char buf[4096];
    auto_close int fd = fs_open_at(rootfs_fd, path, O_PATH | O_NOFOLLOW, 0, NULL);
    ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", buf, sizeof buf - 1);
    if (n <= 0)
        return mem_strdup(path);
    buf[n] = 0;
    auto_free char *dir = path_dir(path);
    auto_free char *full = buf[0] == '/' ? mem_strdup(buf) : path_join(dir, buf);
    return path_clean(full);
}

static int make_net_file(int rootfs_fd, const char *path, char **made, struct err *e)
{
    struct stat st;
    if (access(path, R_OK) < 0 || fs_stat_at(rootfs_fd, path, true, &st) == 0)
        return 0;
    auto_free char *target = link_target(rootfs_fd, path);
    auto_free char *dir = path_dir(target);
    if (fs_mkdirs_at(rootfs_fd, dir, 0755, e) < 0)
        return -1;
    auto_close int fd = fs_open_at(rootfs_fd, target, O_WRONLY | O_CREAT | O_EXCL, 0644, e);
    if (fd < 0)
        return -1;
    *made = steal_ptr(target);
    return 0;
}

/* A file that the script has filled is the image's. */
static void unmake_net_file(int rootfs_fd, const char *path)
{
    auto_free char *name = NULL;
    struct stat st;
    auto_close int dir_fd = fs_open_parent_at(rootfs_fd, path, &name, NULL);
    if (dir_fd >= 0 && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(st.st_mode) && st.st_size == 0)
        unlinkat(dir_fd, name, 0);
}

int runtime_script_run(const struct runtime_script_spec *spec, int *status, struct err *e)
{
    const struct cell cell = { .root_fd = spec->rootfs_fd, .network = true, .net_files = true };
    const struct proc_spec program = { .argv = spec->argv,
                                       .envp = spec->envp,
                                       .stdin_fd = -1,
                                       .stdout_fd = -1,
                                       .stderr_fd = -1,
                                       .on_line = spec->on_line,
                                       .ctx = spec->ctx };
    char *made[ARRAY_LEN(net_files)] = { NULL };
    int rc = 0;
    if (spec->argv[0][0] != '/')
        return err_set(e, ERR_BUG, "'%s' is not an absolute path inside the root", spec->argv[0]);
    for (size_t i = 0; i < ARRAY_LEN(net_files) && rc == 0; i++)
        rc = make_net_file(spec->rootfs_fd, net_files[i], &made[i], e);
    if (rc == 0)
        rc = cell_run(&cell, &program, status, e);
    for (size_t i = 0; i < ARRAY_LEN(net_files); i++) {
        if (made[i])
            unmake_net_file(spec->rootfs_fd, made[i]);
        free(made[i]);
    }
    return rc;
}
