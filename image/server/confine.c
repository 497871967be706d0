/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/server/serve.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/defence.h"
#include "base/proc.h"
#include "jail/jail.h"

/* The server parses what a stranger wrote, outside of the container. When the reader has a hole
 * after all, this is what is left to find behind it: a few descriptors, and reading and writing
 * them. No socket can be made; those that are there lead to runs of the same user. */

#define SERVER_NAME "hpcc-serve" /* to ps */

/* No file can be opened any more, where the kernel has Landlock; seccomp says the same. */
static int forbid_files(struct err *e)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0)
        return 0;
    unsigned bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
    struct landlock_ruleset_attr attr = { .handled_access_fs = (1u << bits) - 1 };
    auto_close int fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
    if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        return err_sys(e, "cannot confine the file server with Landlock");
    return 0;
}

/* Standard streams to /dev/null: a pipe held open here would keep its reader waiting for as long as
 * the mount lives. */
static int keep_only(const struct image_confine_spec *spec, struct err *e)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return err_sys(e, "cannot open '/dev/null'");
    for (int i = 0; i < 3; i++)
        if (null != i && dup2(null, i) < 0)
            return err_sys(e, "cannot redirect the file server's streams");
    int sorted[IMAGE_CONFINE_FDS];
    size_t n = 0;
    for (size_t i = 0; i < spec->n_keep && n < ARRAY_LEN(sorted); i++)
        if (spec->keep_fds[i] >= 0)
            sorted[n++] = spec->keep_fds[i];
    qsort(sorted, n, sizeof sorted[0], proc_compare_fds);
    unsigned from = 3;
    for (size_t i = 0; i < n; i++) {
        unsigned fd = (unsigned)sorted[i];
        if (fd < from)
            return err_set(e, ERR_BUG, "the file server's descriptors overlap the standard ones");
        if (fd > from)
            proc_close_span(from, fd - 1);
        from = fd + 1;
    }
    proc_close_span(from, ~0u);
    return 0;
}

static int limit(int what, rlim_t value, struct err *e)
{
    struct rlimit l = { .rlim_max = 0 };
    if (value && getrlimit(what, &l) < 0)
        return err_sys(e, "cannot read a resource limit");
    if (l.rlim_max > value)
        l.rlim_max = value;
    l.rlim_cur = l.rlim_max;
    if (setrlimit(what, &l) < 0)
        return err_sys(e, "cannot set a resource limit");
    return 0;
}

/* Where this process's command line lies, from /proc/self/stat (fields 48 and 49). */
static bool find_words(uintptr_t *begin, uintptr_t *end)
{
    enum { FIRST = 3, ARG_START = 48 };
    char text[1024];
    auto_close int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    text[n < 0 ? 0 : n] = 0;
    char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int i = FIRST; at && i <= ARG_START; i++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, "%" SCNuPTR " %" SCNuPTR, begin, end) != 2)
        return false;
    return *begin && *begin < *end;
}

/* The caller's command line is not ours: who counts a job's processes by it would count us. */
static void forget_words(const char *name)
{
    uintptr_t begin, end;
    if (!find_words(&begin, &end))
        return;
    char *words = (char *)begin; // NOLINT(performance-no-int-to-ptr)
    memset(words, 0, end - begin);
    for (size_t i = 0; name[i] && i + 1 < end - begin; i++)
        words[i] = name[i];
}

int image_serve_confine(const struct image_confine_spec *spec, struct err *e)
{
    if (setsid() < 0 && getsid(0) != getpid())
        return err_sys(e, "cannot give the file server its own session");
    if ((defence("dumpable") && process_close_memory() < 0) || process_call(SERVER_NAME) < 0)
        return err_sys(e, "cannot prepare the file server's process");
    forget_words(SERVER_NAME);
    if (keep_only(spec, e) < 0 || chdir("/") < 0)
        return -1;
    if (limit(RLIMIT_CORE, 0, e) < 0 || limit(RLIMIT_FSIZE, 0, e) < 0 ||
        limit(RLIMIT_NOFILE, spec->max_fds, e) < 0)
        return -1;
    if (!JAIL_SANITIZED && limit(RLIMIT_AS, (rlim_t)1 << 30, e) < 0)
        return -1;
    if (process_no_new_privs(e) < 0 || forbid_files(e) < 0)
        return -1;
    return filter_install(JAIL_SERVER, e) < 0 ? err_wrap(e, "the file server") : 0;
}
