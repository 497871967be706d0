/* SPDX-License-Identifier: BSD-3-Clause */
#include <grp.h>
#include <netdb.h>
#include <nss.h>
#include <pwd.h>
#include <sys/stat.h>

#include "bootstrap/rpm/install.h"

/* librpm asks getpwnam for the owners of files. Accounts come from the root's own files, never from
 * a service of the host; asking once here loads what glibc may want to load. */
static void pin_accounts(void)
{
    __nss_configure_lookup("passwd", "files");
    __nss_configure_lookup("group", "files");
    __nss_configure_lookup("hosts", "files");
    (void)getpwnam("root");
    (void)getgrnam("root");
    endpwent();
    endgrent();
}

int yum_jail_enter(const struct cell *cell, int tree_fd, struct err *e)
{
    pin_accounts();
    if (cell_enter(cell, tree_fd, e) < 0)
        return -1;
    return mkdir(YUM_JAIL_DIR, 0700) < 0 ? err_sys(e, "cannot make '" YUM_JAIL_DIR "'") : 0;
}

int yum_jail_packages(int *fds, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        int shut = cell_read_only(fds[i]);
        if (shut >= 0) {
            fds[i] = shut;
            continue;
        }
        /* A file without a name is this build's alone. Kernels before 5.12 can do no better than
         * trust the checksum, which is compared at every use of the cache. */
        if (errno != ENOSYS && (fstat(fds[i], &st) < 0 || st.st_nlink))
            return err_sys(e, "cannot shut a package of the cache");
    }
    return 0;
}
