/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_RPM_INSTALL_H
#define BOOTSTRAP_RPM_INSTALL_H

/* The librpm transaction. librpm keeps its state in globals, runs Lua in its own process and trusts
 * what it is told to install; so it lives in a child that sees nothing but the root: own mount,
 * pid, ipc and network namespaces, the host's file system gone, no capability that reaches beyond
 * the root. Packages come in as open files, words go out through a pipe. Private to the room. */

#include "bootstrap/fetch/fetch.h"
#include "bootstrap/rpm/solve.h"
#include "jail/jail.h"

struct yum_install_spec {
    const struct yum_spec *spec;
    const struct yum_transaction *trans;
    const int *fds; /* of the packages, in the transaction's order; offsets are ours to move */
    const struct keys *keys;
    int rootfs_fd;
    int log_fd;                /* scriptlets' output; -1: nowhere */
    unsigned script_timeout_s; /* one scriptlet; 0: 1800 */
    struct cell cell;          /* where it runs; set by yum_install */
};

/* Install all or fail; a root that it failed in is to be thrown away. ERR_FAILED. */
MUST_CHECK int yum_install(const struct yum_install_spec *in, struct err *e);

/* Make room for N more descriptors. ERR_HOST: the hard limit is too low. */
MUST_CHECK int yum_raise_fd_limit(size_t n, struct err *e);

/* ── inside the child ───────────────────────────────────────────────────────────────────────────*/

/* What the child says, one line each: a letter, a blank, text. */
enum yum_word {
    YUM_PROGRESS = 'p',     /* packages done, name */
    YUM_SCRIPT_START = 's', /* "bash %post" */
    YUM_SCRIPT_END = 'e',
    YUM_SCRIPT_FAILED = 'x', /* "bash %post", not fatal */
    YUM_SCRIPT_FATAL = 'X',
    YUM_LOG = 'l',   /* what librpm says */
    YUM_INFO = 'i',  /* for the verbose log */
    YUM_ERROR = 'f', /* a line of the failure */
    YUM_HINT = 'h',
};
void yum_say(int fd, enum yum_word word, const char *fmt, ...) PRINTF(3, 4);

/* Enter the root for good; /dev/.rpm of it is then a private directory in memory. */
MUST_CHECK int yum_jail_enter(const struct cell *cell, int tree_fd, struct err *e);
#define YUM_JAIL_DIR "/dev/.rpm"

/* Make the N packages FDS ones through which nothing can be written: scriptlets in Lua run in the
 * process that holds them. Before the namespaces are left. */
MUST_CHECK int yum_jail_packages(int *fds, size_t n, struct err *e);

/* Write rpm's configuration for ARCH into YUM_JAIL_DIR and make librpm read it and nothing else. */
MUST_CHECK int yum_config_load(const char *arch, struct err *e);

/* The transaction itself. OUT_FD takes the words. */
MUST_CHECK int yum_child_run(const struct yum_install_spec *in, int out_fd, struct err *e);

/* Make the database at DBPATH one that the root's own rpm reads: ask it, and where it does not list
 * N packages have it register them anew. */
MUST_CHECK int yum_db_finish(const struct yum_install_spec *in, const char *dbpath, int out_fd,
                             struct err *e);

#endif
