/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <rpm/rpmlib.h>
#include <rpm/rpmmacro.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/mem.h"
#include "bootstrap/rpm/install.h"

/* rpm's configuration, whole: nothing of the host's is read, so a host without rpm works as well as
 * one with strange macros. What is not here rests at librpm's built-in default. Facts about each
 * line: docs/rpm.md. */

static const char rc_text[] = "arch_canon: x86_64: x86_64 1\n"
                              "arch_canon: i686: i686 1\n"
                              "arch_canon: aarch64: aarch64 19\n"
                              "arch_canon: ppc64le: ppc64le 16\n"
                              "arch_canon: s390x: s390x 15\n"
                              "arch_canon: riscv64: riscv64 22\n"
                              "os_canon: Linux: Linux 1\n"
                              "arch_compat: x86_64: i686 noarch\n"
                              "arch_compat: i686: i586\n"
                              "arch_compat: i586: i486\n"
                              "arch_compat: i486: i386\n"
                              "arch_compat: i386: noarch\n"
                              "arch_compat: aarch64: noarch\n"
                              "arch_compat: ppc64le: noarch\n"
                              "arch_compat: s390x: noarch\n"
                              "arch_compat: riscv64: noarch\n"
                              "os_compat: Linux: linux\n"
                              "buildarchtranslate: x86_64: x86_64\n"
                              "buildarchtranslate: aarch64: aarch64\n";

static const char macros_text[] = "%_var /var\n"
                                  "%_dbpath /var/lib/rpm\n"
                                  "%_db_backend sqlite\n"
                                  "%_rpmlock_path %{_dbpath}/.rpm.lock\n"
                                  "%_keyring rpmdb\n"
                                  "%_tmppath /var/tmp\n"
                                  "%_netsharedpath /proc:/sys:/dev\n"
                                  "%_install_langs all\n"
                                  "%_install_script_path /sbin:/bin:/usr/sbin:/usr/bin\n"
                                  "%_minimize_writes 0\n"
                                  "%_flush_io 0\n"
                                  "%__transaction_systemd_inhibit %{nil}\n";

/* Both a 32-bit and a 64-bit package may own one path; the 64-bit program wins. */
static const char multilib_text[] = "%_transaction_color 3\n%_prefer_color 2\n";

static int put(const char *path, const char *text, struct err *e)
{
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || fs_write_full(fd, text, strlen(text)) < 0)
        return err_sys(e, "cannot write rpm's configuration");
    return 0;
}

int yum_config_load(const char *arch, struct err *e)
{
    bool multilib = str_eq(arch, "x86_64") || str_eq(arch, "s390x");
    auto_free char *macros = mem_printf("%s%s", macros_text, multilib ? multilib_text : "");
    auto_free char *target = mem_printf("%s-linux", arch);
    if (put(YUM_JAIL_DIR "/rpmrc", rc_text, e) < 0 || put(YUM_JAIL_DIR "/macros", macros, e) < 0)
        return -1;
    macrofiles = YUM_JAIL_DIR "/macros";
    if (setenv("RPM_CONFIGDIR", YUM_JAIL_DIR, 1) < 0 ||
        rpmReadConfigFiles(YUM_JAIL_DIR "/rpmrc", target) != 0)
        return err_set(e, ERR_FAILED, "librpm does not take its configuration");
    return 0;
}
