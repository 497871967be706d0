/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_RUNTIME_ROOT_H
#define TESTS_RUNTIME_ROOT_H

/* A small root for tests, made inside a worker: a tmpfs over DIR with the host's /usr in it. */

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"

static inline int test_root_make(const char *dir, struct err *e)
{
    static const char *const links[][2] = {
        { "usr/bin", "/bin" },
        { "usr/sbin", "/sbin" },
        { "usr/lib", "/lib" },
        { "usr/lib64", "/lib64" },
    };
    auto_free char *usr = mem_printf("%s/usr", dir);
    if (mount("tmpfs", dir, "tmpfs", MS_NOSUID, NULL) < 0 || mkdir(usr, 0755) < 0 ||
        mount("/usr", usr, NULL, MS_BIND | MS_REC, NULL) < 0)
        return err_sys(e, "cannot make a test root");
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(e, "cannot open the test root");
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        if (fs_symlink_at(fd, links[i][0], links[i][1], e) < 0)
            return -1;
    if (fs_mkdirs_at(fd, "/tmp", 01777, e) < 0 || fs_mkdirs_at(fd, "/etc", 0755, e) < 0)
        return -1;
    return steal_fd(&fd);
}

#endif
