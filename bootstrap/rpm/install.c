/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/install.h"
#include "bootstrap/rpm/watch.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/progress.h"

int yum_raise_fd_limit(size_t n, struct err *e)
{
    struct rlimit lim;
    rlim_t want = (rlim_t)n + 256;
    if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
        return err_sys(e, "cannot read the limit of open files");
    if (lim.rlim_cur >= want)
        return 0;
    lim.rlim_cur = want < lim.rlim_max ? want : lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
        return err_sys(e, "cannot raise the limit of open files");
    if (lim.rlim_cur >= want)
        return 0;
    err_set(e, ERR_HOST, "%zu packages need as many open files, and the limit is %llu", n,
            (unsigned long long)lim.rlim_max);
    return err_hint(e, "raise it: ulimit -Hn");
}

/* ── the child ──────────────────────────────────────────────────────────────────────────────────*/

static void redirect(int output_fd)
{
    auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(null, 0);
    dup2(output_fd, 1);
    dup2(output_fd, 2);
}

/* Lua scriptlets run in our process: no descriptor but ours and the packages' stays open. Those of
 * the packages have no order, so the rest is closed one gap at a time. */
static void close_others(const struct yum_install_spec *in, int words_fd)
{
    size_t n = in->trans->n + 1;
    auto_free int *keep = mem_alloc(n * sizeof *keep);
    memcpy(keep, in->fds, in->trans->n * sizeof *keep);
    keep[n - 1] = words_fd;
    qsort(keep, n, sizeof *keep, proc_compare_fds);
    unsigned from = 3;
    for (size_t i = 0; i < n; i++)
        if (keep[i] >= (int)from) {
            if (keep[i] > (int)from)
                proc_close_span(from, (unsigned)keep[i] - 1);
            from = (unsigned)keep[i] + 1;
        }
    proc_close_span(from, ~0u);
}

/* As librpm's parent outside has it; scriptlets inherit it. */
static void set_environment(void)
{
    for (const char *const *p = proc_clean_env; *p; p++)
        (void)putenv((char *)*p);
}

static int enter(struct yum_install_spec *own, int tree_fd, int words_fd, struct err *e)
{
    if (yum_jail_enter(&own->cell, tree_fd, e) < 0)
        return -1;
    own->rootfs_fd = -1; /* a directory of the host's side: a way out for Lua */
    close_others(own, words_fd);
    set_environment();
    return cell_confine(&own->cell, e);
}

static void say_failure(const struct err *e, int words_fd)
{
    const char *line = e->msg ? e->msg : "librpm failed without a word";
    while (*line) {
        size_t len = strcspn(line, "\n");
        yum_say(words_fd, YUM_ERROR, "%.*s", (int)len, line);
        line += len + (line[len] != 0);
    }
    if (e->hint)
        yum_say(words_fd, YUM_HINT, "%s", e->hint);
}

/* Pid 1 of a new pid namespace: all that scriptlets leave running ends with us. */
NORETURN static void child_main(struct yum_install_spec *own, int tree_fd, int words_fd)
{
    auto_err struct err e = { 0 };
    log_sink_set(NULL);
    progress_sink_set(NULL);
    setlinebuf(stdout); /* what Lua prints belongs to its scriptlet, and _exit flushes nothing */
    int rc = enter(own, tree_fd, words_fd, &e);
    if (rc == 0)
        rc = yum_child_run(own, words_fd, &e);
    if (rc < 0)
        say_failure(&e, words_fd);
    _exit(rc < 0 ? 1 : 0);
}

static int leave(const struct yum_install_spec *own, int *fds, int *tree_fd, struct err *e)
{
    *tree_fd = cell_open(&own->cell, e);
    if (*tree_fd < 0 || yum_jail_packages(fds, own->trans->n, e) < 0)
        return -1;
    return cell_leave_host(&own->cell, e);
}

/* Between us and librpm: takes the namespaces, so that ours stay as they are. */
NORETURN static void keeper_main(const struct yum_install_spec *in, int words_fd, int output_fd)
{
    auto_err struct err e = { 0 };
    struct yum_install_spec own = *in;
    auto_free int *fds = mem_alloc((in->trans->n + 1) * sizeof *fds);
    int status = 0, tree_fd = -1;
    memcpy(fds, in->fds, in->trans->n * sizeof *fds);
    own.fds = fds;
    own.cell = (struct cell){ .root_fd = in->rootfs_fd };
    if (process_dies_with_parent() < 0)
        _exit(1);
    redirect(output_fd);
    pid_t pid = leave(&own, fds, &tree_fd, &e) < 0 ? -1 : fork();
    if (pid == 0) {
        if (process_dies_with_parent() < 0)
            _exit(1);
        child_main(&own, tree_fd, words_fd);
    }
    if (pid < 0) {
        if (!e.code)
            err_sys(&e, "cannot start librpm");
        say_failure(&e, words_fd);
        _exit(1);
    }
    close(words_fd);
    proc_close_span(1, ~0u);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    _exit(proc_exit_status(status));
}

/* ── the parent ─────────────────────────────────────────────────────────────────────────────────*/

static int run_child(struct yum_watch *w, int words[2], int output[2], struct err *e)
{
    int status = 0;
    pid_t pid = fork();
    if (pid < 0)
        return err_sys(e, "cannot start librpm");
    if (pid == 0)
        keeper_main(w->in, words[1], output[1]);
    cleanup_fd(&words[1]);
    cleanup_fd(&output[1]);
    words[1] = output[1] = -1;
    if (!yum_watch_follow(w))
        kill(pid, SIGKILL); /* librpm, pid 1 of its namespace, dies with its parent */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return yum_watch_verdict(w, proc_exit_status(status), e);
}

int yum_install(const struct yum_install_spec *in, struct err *e)
{
    int words[2] = { -1, -1 }, output[2] = { -1, -1 };
    struct yum_watch w = { .in = in };
    int rc = pipe2(words, O_CLOEXEC) < 0 || pipe2(output, O_CLOEXEC) < 0
                 ? err_sys(e, "cannot make a pipe")
                 : 0;
    w.words_fd = words[0];
    w.output_fd = output[0];
    if (rc == 0)
        rc = run_child(&w, words, output, e);
    for (int i = 0; i < 2; i++) {
        cleanup_fd(&words[i]);
        cleanup_fd(&output[i]);
    }
    yum_watch_fini(&w);
    return rc;
}
