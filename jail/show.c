/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/mount.h>

#include "base/defence.h"
#include "base/fs.h"
#include "jail/jail.h"

/* Where it can be shown: directories whose way there nobody but root can change, and where it hides
 * nothing. The kernel's own are there to be mounted on. */
static const struct spot {
    const char *path;
    bool kernels;
} spots[] = {
    { "/media", false },
    { "/srv", false },
    { "/mnt", false },
    { "/opt", false },
    { "/sys/fs/bpf", true },
    { "/sys/kernel/config", true },
    { "/sys/kernel/debug", true },
    { "/proc/sys/fs/binfmt_misc", true },
};

static int any_name(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return 1;
}

static bool is_free(const struct spot *s)
{
    auto_close int fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->kernels || (fd >= 0 && fs_each_name(fd, any_name, NULL) == 0);
}

int ns_show_here(const char **path, struct err *e)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    for (size_t i = 0; i < ARRAY_LEN(spots) && defence("stage-place"); i++) {
        if (!is_free(&spots[i]) || mount(".", spots[i].path, NULL, MS_BIND, NULL) < 0)
            continue;
        *path = spots[i].path;
        int fd = open(spots[i].path, flags);
        return fd < 0 ? err_sys(e, "cannot open the worker's directory at '%s'", *path) : fd;
    }
    if (!defence("stage-place")) { /* where anybody who can write along that path decides */
        *path = getcwd(NULL, 0);
        return open(".", flags);
    }
    err_set(e, ERR_HOST, "there is no empty directory at which the worker's own could be shown");
    return err_hint(e, "make one: mkdir '%s'", spots[0].path);
}
