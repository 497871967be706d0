/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "jail/jail.h"
#include "build/parts.h"
#include "build/script_watch.h"
#include "image/layout.h"

/* A script is a file whose lines have the numbers that they have in the definition: where other
 * sections stand it is blank. So a shell's own message names the right line. For commands that fail
 * without a word the shell traces (as Singularity and Apptainer had it trace always), see
 * script_watch.h. That is turned on in the script's first line, which is never a body's: bash as
 * root does not take PS4 from the environment. */

#define SCRIPT_DIR "/.hpcc-build"

void script_text(const struct deffile_stage *stage, const struct script_spec *spec, struct str *out)
{
    const struct deffile_section *s;
    unsigned lines = 1;
    str_add(out, SCRIPT_TRACE_ON);
    if (spec->prologue)
        str_addf(out, "; %s", spec->prologue);
    str_add_c(out, '\n');
    for (size_t pos = 0; (s = deffile_section_next(stage, spec->section, spec->app, &pos));) {
        for (; lines < s->line; lines++)
            str_add_c(out, '\n');
        str_add_n(out, str_text(&s->body), s->body.len);
        for (size_t i = 0; i < s->body.len; i++)
            lines += s->body.data[i] == '\n';
    }
}

/* "-c /bin/bash" chooses the interpreter (and gives it -e); other words are options of /bin/sh. */
void script_argv(const char *args, struct strv *out)
{
    auto_strv struct strv words = { 0 };
    strv_split(&words, args, " \t");
    size_t i = 0, at = words.n;
    for (size_t k = 0; k < words.n && at == words.n; k++)
        if (str_eq(words.v[k], "-c") && k + 1 < words.n)
            at = k;
    strv_add(out, at < words.n ? words.v[at + 1] : "/bin/sh");
    strv_add(out, "-e");
    for (i = 0; i < words.n; i++)
        if (i != at && i != at + 1)
            strv_add(out, words.v[i]);
}

static bool is_shell(const char *program)
{
    static const char *const shells[] = { "sh", "bash", "dash", "ash", "ksh", "mksh", "zsh" };
    auto_free char *name = path_base(program);
    for (size_t i = 0; i < ARRAY_LEN(shells); i++)
        if (str_eq(name, shells[i]))
            return true;
    return false;
}

static unsigned n_jobs(const struct build *b)
{
    cpu_set_t set;
    if (b->spec->n_jobs)
        return b->spec->n_jobs;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

static void environment(const struct build *b, const struct script_spec *spec, struct strv *env)
{
    static const char *const both[] = { "SINGULARITY", "APPTAINER" };
    strv_add(env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    strv_add(env, "HOME=/root");
    strv_add(env, "LC_ALL=C.UTF-8");
    strv_add(env, "SHELL=/bin/sh");
    strv_add(env, "DEBIAN_FRONTEND=noninteractive");
    strv_addf(env, "MAKEFLAGS=-j%u", n_jobs(b));
    strv_add_all(env, b->spec->proxy_env);
    if (b->spec->deterministic) {
        strv_addf(env, "SOURCE_DATE_EPOCH=%lld", (long long)b->spec->epoch);
        strv_add(env, "TZ=UTC");
    }
    if (!spec->on_host) {
        for (size_t i = 0; i < ARRAY_LEN(both); i++) {
            strv_addf(env, "%s_ENVIRONMENT=/" LAYOUT_ENV_POST, both[i]);
            strv_addf(env, "%s_LABELS=/" LAYOUT_HPCC_DIR "/labels", both[i]);
        }
        return;
    }
    if (b->rootfs_fd < 0)
        return; /* %pre: there is no root yet */
    size_t n = (size_t)(b->stage - b->def->stages);
    auto_free char *root = mem_printf("%s/root-%zu", b->own.path, n);
    strv_addf(env, "SINGULARITY_ROOTFS=%s", root);
    strv_addf(env, "APPTAINER_ROOTFS=%s", root);
    strv_addf(env, "HPCC_ROOTFS=%s", root);
}

/* A file name that shells show in their messages: like the definition's. */
static char *script_name(const struct build *b)
{
    char *name = path_base(b->def->name);
    for (char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("._-+", *p))
            *p = '_';
    return name;
}

static int judge(const struct script_watch *w, const struct script_spec *spec, unsigned heading,
                 int status, struct err *e)
{
    if (status == 0)
        return 0;
    unsigned line = script_watch_failed(w, heading);
    const char *app = spec->app ? spec->app : "";
    err_at(e, w->name, line, "%%%s%s%s failed: %s %d", spec->section, *app ? " " : "", app,
           status > 128 ? "it was ended by signal" : "exit status",
           status > 128 ? status - 128 : status);
    if (e)
        e->status = status;
    return err_code_set(e, ERR_STEP);
}

/* Between fork and exec: a pid namespace that ends with the script, so that what it leaves running
 * neither stays nor keeps us waiting. Where there is none, the worker's own does it later. */
static int own_processes(void *ctx)
{
    (void)ctx;
    if (ns_unshare(CLONE_NEWPID) < 0)
        return 0;
    for (int level = 0; level < 2; level++) { /* a waiting stub, pid 1, then the script */
        pid_t child = fork();
        if (child < 0)
            return -1;
        if (child == 0) {
            if (process_dies_with_parent() < 0)
                _exit(127);
            continue;
        }
        int status = 0;
        pid_t got;
        while ((got = waitpid(-1, &status, 0)) != child)
            if (got < 0 && errno != EINTR)
                _exit(127);
        _exit(proc_exit_status(status));
    }
    return 0;
}

static int run_on_host(struct build *b, const struct str *text, struct strv *argv,
                       struct script_watch *w, struct err *e)
{
    auto_free char *name = script_name(b);
    auto_free char *path = path_join(b->own.path, name);
    int status = 0;
    if (fs_write_at(b->own.fd, name, text, 0700, e) < 0)
        return -1;
    strv_add(argv, path);
    w->path = path;
    auto_strv struct strv env = { 0 };
    const struct script_spec on_host = { .on_host = true };
    environment(b, &on_host, &env);
    const struct proc_spec proc = {
        .argv = (const char *const *)argv->v,
        .envp = (const char *const *)env.v,
        .stdin_fd = -1,
        .stdout_fd = -1,
        .stderr_fd = -1,
        .on_line = script_watch_line,
        .before_exec = own_processes,
        .ctx = w,
        .die_with_us = true,
    };
    int rc = proc_run(&proc, &status, e);
    unlinkat(b->own.fd, name, 0);
    w->path = NULL;
    return rc < 0 ? -1 : status;
}

static int run_in_root(struct build *b, const struct str *text, struct strv *argv,
                       struct script_watch *w, struct err *e)
{
    auto_free char *name = script_name(b);
    auto_free char *path = path_join(SCRIPT_DIR, name);
    auto_strv struct strv env = { 0 };
    const struct script_spec inside = { .on_host = false };
    int status = 0;
    if (fs_write_at(b->rootfs_fd, path, text, 0755, e) < 0)
        return -1;
    strv_add(argv, path);
    w->path = path;
    environment(b, &inside, &env);
    const struct runtime_script_spec spec = {
        .rootfs_fd = b->rootfs_fd,
        .argv = (const char *const *)argv->v,
        .envp = (const char *const *)env.v,
        .on_line = script_watch_line,
        .ctx = w,
    };
    int rc = runtime_script_run(&spec, &status, e);
    w->path = NULL;
    auto_err struct err why = { 0 };
    if (fs_remove_tree(b->rootfs_fd, &SCRIPT_DIR[1], &why) < 0 && rc == 0)
        return err_move(e, &why);
    return rc < 0 ? -1 : status;
}

static int check_interpreter(const struct build *b, const struct script_spec *spec,
                             const char *program, unsigned line, struct err *e)
{
    struct stat st;
    if (spec->on_host || (program[0] == '/' && fs_stat_at(b->rootfs_fd, program, true, &st) == 0))
        return 0;
    err_at(e, b->def->name, line, "%%%s needs '%s', which the root does not have", spec->section,
           program);
    err_code_set(e, ERR_STEP);
    if (program[0] != '/')
        return err_hint(e, "name it from the root on, e.g. '-c /bin/bash'");
    return err_hint(e, "choose a base that has it, or put it there by %%files or %%setup");
}

int script_run(struct build *b, const struct script_spec *spec, struct err *e)
{
    auto_str struct str body = { 0 };
    auto_str struct str text = { 0 };
    auto_strv struct strv argv = { 0 };
    struct script_watch w = { .name = b->def->name, .log_fd = b->log_fd };
    unsigned heading = 0;
    if (!section_body(b->stage, spec->section, spec->app, &body) && !spec->prologue)
        return 0;
    const char *args = section_args(b->stage, spec->section, spec->app, &heading);
    script_argv(args, &argv);
    script_text(b->stage, spec, &text);
    size_t pos = 0;
    w.first = deffile_section_next(b->stage, spec->section, spec->app, &pos)->line + 1;
    w.text = text.data;
    for (size_t i = 0; i < text.len; i++)
        w.last += text.data[i] == '\n';
    if (!is_shell(argv.v[0])) { /* no -e, and no line of shell in its file */
        auto_strv struct strv plain = { 0 };
        strv_add(&plain, argv.v[0]);
        for (size_t i = 2; i < argv.n; i++)
            strv_add(&plain, argv.v[i]);
        strv_free(&argv);
        argv = plain;
        plain = (struct strv){ 0 };
        char *end = strchr(text.data, '\n');
        memmove(text.data, end, text.len - (size_t)(end - text.data) + 1);
        text.len -= (size_t)(end - text.data);
    }
    if (check_interpreter(b, spec, argv.v[0], heading, e) < 0)
        return -1;
    int status =
        spec->on_host ? run_on_host(b, &text, &argv, &w, e) : run_in_root(b, &text, &argv, &w, e);
    return status < 0 ? -1 : judge(&w, spec, heading, status, e);
}
