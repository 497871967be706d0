/* SPDX-License-Identifier: BSD-3-Clause */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "cli/cli.h"

/* The other programs stand beside hpcc in the build tree and in libexec/hpcc once installed. The
 * place is found from the kernel's own account of this program, never from argv[0] or $PATH. */
static int own_dir(char **dir, struct err *e)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    if (len < 0) {
        err_sys(e, "cannot find where hpcc is installed: /proc/self/exe");
        err_hint(e, "mount /proc");
        return err_code_set(e, ERR_HOST);
    }
    self[len] = '\0';
    *dir = path_dir(self);
    return 0;
}

static const char *const places[] = { "", HPCC_LIBEXEC_DIR "/hpcc/" };

char *cli_squashfs_server(void)
{
    auto_free char *dir = NULL;
    if (own_dir(&dir, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        auto_free char *path = mem_printf("%s/%shpcc-squashfs", dir, places[i]);
        if (access(path, X_OK) == 0)
            return steal_ptr(path);
    }
    return NULL;
}

int cli_exec_full(struct cli *cli, const char *const *argv, struct err *e)
{
    auto_free char *dir = NULL;
    if (own_dir(&dir, e) < 0)
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        auto_free char *path = mem_printf("%s/%shpcc-full", dir, places[i]);
        execve(path, (char *const *)argv, (char *const *)cli->environ);
        if (errno != ENOENT && errno != ENOTDIR) {
            err_sys(e, "cannot start '%s'", path);
            return err_code_set(e, ERR_HOST);
        }
    }
    err_set(e, ERR_HOST, "hpcc is not installed completely: no 'hpcc-full' for '%s'", dir);
    return err_hint(e, "install hpcc again with 'cmake --install'");
}
