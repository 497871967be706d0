/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/install.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/progress.h"

enum { SCRIPT_TIMEOUT_S = 1800, TAIL_BYTES = 4096, WORD_BYTES = 1 << 16 };

/* The parent's view of the child. */
struct watch {
    const struct yum_install_spec *in;
    int words_fd, output_fd;
    struct str words;  /* an unfinished line */
    struct str output; /* of the scriptlet in hand, its end */
    struct str log;    /* what librpm said since the last scriptlet */
    struct str script; /* "bash %post"; empty: none runs */
    time_t script_began;
    struct str failure, hint;
    bool timed_out;
};

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

static time_t now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
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

/* A scriptlet can write to the pipe of words as well: nothing that comes by it may grow for ever.
 */
static void add_line(struct str *s, const char *line)
{
    if (s->len > WORD_BYTES)
        return;
    if (s->len)
        str_add_c(s, '\n');
    str_add(s, line);
}

static void keep_tail(struct str *s)
{
    if (s->len <= 2 * TAIL_BYTES)
        return;
    memmove(s->data, s->data + s->len - TAIL_BYTES, TAIL_BYTES);
    s->len = TAIL_BYTES;
    s->data[s->len] = 0;
}

/* "\n  line\n  line" of the last lines of S. */
static char *tail_text(const struct str *s)
{
    auto_strv struct strv lines = { 0 };
    auto_str struct str out = { 0 };
    auto_free char *shown = str_printable(str_text(s));
    strv_split(&lines, shown, "\n");
    for (size_t i = lines.n > 10 ? lines.n - 10 : 0; i < lines.n; i++)
        str_addf(&out, "\n  %s", lines.v[i]);
    return str_steal(&out);
}

static void script_failed(struct watch *w, const char *name, bool fatal)
{
    auto_free char *output = tail_text(&w->output);
    auto_free char *log = tail_text(&w->log);
    if (!fatal) {
        log_warn("a scriptlet failed: %s%s%s", name, output, log);
        return;
    }
    auto_free char *text = mem_printf("a scriptlet failed: %s%s%s", name, output, log);
    add_line(&w->failure, text);
}

static void progress(const struct watch *w, const char *text)
{
    const char *name = strchr(text, ' ');
    progress_report(&(struct progress_event){
        .stage = "install",
        .detail = name ? name + 1 : NULL,
        .unit = PROGRESS_ITEMS,
        .done = strtoull(text, NULL, 10),
        .total = w->in->trans->n,
        .finished = strtoull(text, NULL, 10) == w->in->trans->n,
    });
}

static void take_word(struct watch *w, char *line)
{
    char *text = line[0] && line[1] ? line + 2 : line;
    switch ((enum yum_word)line[0]) {
    case YUM_PROGRESS:
        progress(w, text);
        break;
    case YUM_SCRIPT_START:
        str_reset(&w->script);
        str_add(&w->script, text);
        str_reset(&w->output);
        str_reset(&w->log);
        w->script_began = now_s();
        break;
    case YUM_SCRIPT_END:
        str_reset(&w->script);
        break;
    case YUM_SCRIPT_FAILED:
    case YUM_SCRIPT_FATAL:
        script_failed(w, text, line[0] == YUM_SCRIPT_FATAL);
        break;
    case YUM_LOG:
        add_line(&w->log, text);
        log_verbose("librpm: %s", text);
        break;
    case YUM_INFO:
        log_info("%s", text);
        break;
    case YUM_ERROR:
        add_line(&w->failure, text);
        break;
    case YUM_HINT:
        add_line(&w->hint, text);
        break;
    }
}

static void take_words(struct watch *w)
{
    char *end;
    if (w->words.len > WORD_BYTES) /* librpm says no such thing */
        str_reset(&w->words);
    while (w->words.len && (end = memchr(w->words.data, '\n', w->words.len))) {
        size_t len = (size_t)(end - w->words.data) + 1;
        *end = 0;
        take_word(w, w->words.data);
        memmove(w->words.data, w->words.data + len, w->words.len - len + 1);
        w->words.len -= len;
    }
}

/* Read what is there; false at its end. */
static bool take_input(int fd, struct str *into, int log_fd)
{
    char buf[8192];
    ssize_t n = read(fd, buf, sizeof buf);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN;
    str_add_n(into, buf, (size_t)n);
    if (log_fd >= 0 && n > 0)
        (void)!fs_write_full(log_fd, buf, (size_t)n);
    return n > 0;
}

/* Follow the child until it closes its ends; false: a scriptlet took too long. */
static bool follow(struct watch *w)
{
    unsigned limit = w->in->script_timeout_s ? w->in->script_timeout_s : SCRIPT_TIMEOUT_S;
    bool words_open = true, output_open = true;
    while (words_open) {
        struct pollfd pfd[2] = { { .fd = output_open ? w->output_fd : -1, .events = POLLIN },
                                 { .fd = w->words_fd, .events = POLLIN } };
        int n = poll(pfd, 2, 1000);
        /* Output first: the word that a scriptlet failed comes after what it said. */
        if (n > 0 && pfd[0].revents) {
            output_open = take_input(w->output_fd, &w->output, w->in->log_fd);
            keep_tail(&w->output);
            continue;
        }
        if (n > 0 && pfd[1].revents) {
            words_open = take_input(w->words_fd, &w->words, -1);
            take_words(w);
        }
        if (w->script.len && now_s() - w->script_began > (time_t)limit)
            return false;
    }
    return true;
}

static int verdict(struct watch *w, int status, struct err *e)
{
    if (w->timed_out)
        return err_set(e, ERR_FAILED, "scriptlet '%s' took longer than %u s and was stopped",
                       str_text(&w->script),
                       w->in->script_timeout_s ? w->in->script_timeout_s : SCRIPT_TIMEOUT_S);
    if (status == 0 && !w->failure.len)
        return 0;
    if (!w->failure.len)
        return err_set(e, ERR_FAILED, "librpm died (status %d)%s%s", status,
                       w->script.len ? " in scriptlet " : "", str_text(&w->script));
    err_set(e, ERR_FAILED, "%s", str_text(&w->failure));
    return w->hint.len ? err_hint(e, "%s", str_text(&w->hint)) : -1;
}

static int run_child(struct watch *w, int words[2], int output[2], struct err *e)
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
    w->timed_out = !follow(w);
    if (w->timed_out)
        kill(pid, SIGKILL); /* librpm, pid 1 of its namespace, dies with its parent */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return verdict(w, proc_exit_status(status), e);
}

int yum_install(const struct yum_install_spec *in, struct err *e)
{
    int words[2] = { -1, -1 }, output[2] = { -1, -1 };
    struct watch w = { .in = in };
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
    struct str *all[] = { &w.words, &w.output, &w.log, &w.script, &w.failure, &w.hint };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        str_free(all[i]);
    return rc;
}
