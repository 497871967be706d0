/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/program.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/envscript.h"
#include "base/defence.h"
#include "image/layout.h"

/* $1: how many "NAME=VALUE" words follow, which win over the image's environment; then the words of
 * the action. The function keeps a script's `set --` away from our own arguments. Names start with
 * _hpcc so that no variable of the caller's is touched. */
#define READ_ENVIRONMENT                                                                           \
    "_hpcc_env() {\n"                                                                              \
    "    if [ -d /" LAYOUT_ENV_DIR " ]; then\n"                                                    \
    "        for _hpcc_f in /" LAYOUT_ENV_DIR "/*.sh; do\n"                                        \
    "            [ -f \"$_hpcc_f\" ] && . \"$_hpcc_f\"\n"                                          \
    "        done\n"                                                                               \
    "    elif [ -f /" LAYOUT_OLD_ENV " ]; then\n"                                                  \
    "        . /" LAYOUT_OLD_ENV "\n"                                                              \
    "    fi\n"                                                                                     \
    "    if [ -n \"${HPCC_APPNAME-}\" ]; then\n"                                                   \
    "        for _hpcc_f in \"/scif/apps/$HPCC_APPNAME/scif/env\"/*.sh; do\n"                      \
    "            [ -f \"$_hpcc_f\" ] && . \"$_hpcc_f\"\n"                                          \
    "        done\n"                                                                               \
    "    fi\n"                                                                                     \
    "    return 0\n"                                                                               \
    "}\n"                                                                                          \
    "_hpcc_n=$1; shift\n"                                                                          \
    "_hpcc_env\n"                                                                                  \
    "while [ \"$_hpcc_n\" -gt 0 ]; do\n"                                                           \
    "    case $1 in\n"                                                                             \
    "    PREPEND_PATH=*) PATH=${1#*=}:$PATH ;;\n"                                                  \
    "    APPEND_PATH=*) PATH=$PATH:${1#*=} ;;\n"                                                   \
    "    PREPEND_LD_LIBRARY_PATH=*)\n"                                                             \
    "        export \"LD_LIBRARY_PATH=${1#*=}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}\" ;;\n"         \
    "    APPEND_LD_LIBRARY_PATH=*)\n"                                                              \
    "        export \"LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}${1#*=}\" ;;\n"         \
    "    *) export \"$1\" ;;\n"                                                                    \
    "    esac\n"                                                                                   \
    "    shift; _hpcc_n=$((_hpcc_n - 1))\n"                                                        \
    "done\n"                                                                                       \
    "export PATH\n"                                                                                \
    "unset -f _hpcc_env; unset _hpcc_n _hpcc_f\n"

static const char *const scripts[] = {
    [RUNTIME_EXEC] = READ_ENVIRONMENT "exec \"$@\"\n",
    [RUNTIME_RUN] = READ_ENVIRONMENT
    "if [ -n \"${HPCC_APPNAME-}\" ]; then\n"
    "    if [ -f \"/scif/apps/$HPCC_APPNAME/scif/runscript\" ]; then\n"
    "        exec /bin/sh \"/scif/apps/$HPCC_APPNAME/scif/runscript\" \"$@\"\n"
    "    fi\n"
    "    echo \"hpcc: error: the image has no app '$HPCC_APPNAME'\" >&2; exit 125\n"
    "fi\n"
    "for _hpcc_f in /" LAYOUT_RUNSCRIPT " /" LAYOUT_OLD_RUNSCRIPT "; do\n"
    "    if [ -x \"$_hpcc_f\" ]; then exec \"$_hpcc_f\" \"$@\"; fi\n"
    "    if [ -f \"$_hpcc_f\" ]; then exec /bin/sh \"$_hpcc_f\" \"$@\"; fi\n"
    "done\n"
    "echo 'hpcc: the image has no runscript: starting a shell' >&2\n"
    "exec /bin/sh \"$@\"\n",
    [RUNTIME_TEST] = READ_ENVIRONMENT
    "if [ -n \"${HPCC_APPNAME-}\" ]; then\n"
    "    exec /bin/sh \"/scif/apps/$HPCC_APPNAME/scif/test\" \"$@\"\n"
    "fi\n"
    "if [ -x /" LAYOUT_TEST " ]; then exec /" LAYOUT_TEST " \"$@\"; fi\n"
    "if [ -f /" LAYOUT_TEST " ]; then exec /bin/sh /" LAYOUT_TEST " \"$@\"; fi\n"
    "echo 'hpcc: the image has no test' >&2\n",
    /* $1 is the shell that was asked for, or empty. */
    [RUNTIME_SHELL] = READ_ENVIRONMENT
    "SHELL=$1; shift\n"
    "if [ -z \"$SHELL\" ]; then\n"
    "    SHELL=/bin/sh; [ -x /bin/bash ] && SHELL=/bin/bash\n"
    "fi\n"
    "export SHELL\n"
    "case $SHELL in\n"
    "*/bash) export PS1=\"${PS1%> }:\\\\w> \"; exec \"$SHELL\" --norc \"$@\" ;;\n"
    "*) export PS1; exec \"$SHELL\" \"$@\" ;;\n"
    "esac\n",
};

enum { MAX_SCRIPTS = 64, MAX_SCRIPT = 64 * 1024 };

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* The names that the shell's *.sh stands for, in its order. */
static int list_scripts(const char *dir, struct strv *names)
{
    auto_strv struct strv all = { 0 };
    if (fs_names_at(AT_FDCWD, dir, &all) < 0)
        return -1;
    for (size_t i = 0; i < all.n; i++)
        if (all.v[i][0] != '.' && strlen(all.v[i]) > 3 && str_ends(all.v[i], ".sh"))
            strv_add(names, all.v[i]);
    return names->n <= MAX_SCRIPTS ? 0 : -1;
}

/* Whether SCRIPT was understood. */
static bool run_plainly(struct envscript *s, const char *script)
{
    struct stat st;
    auto_str struct str text = { 0 };
    auto_close int fd = open(script, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_SCRIPT ||
        fs_read_fd(fd, MAX_SCRIPT, &text, NULL) < 0)
        return false;
    return envscript_run(s, str_text(&text), text.len);
}

static bool read_scripts(struct envscript *s)
{
    static const char dir[] = "/" LAYOUT_ENV_DIR;
    auto_strv struct strv names = { 0 };
    if (!is_directory(dir))
        return access("/" LAYOUT_OLD_ENV, F_OK) < 0 || run_plainly(s, "/" LAYOUT_OLD_ENV);
    if (list_scripts(dir, &names) < 0)
        return false;
    for (size_t i = 0; i < names.n; i++) {
        auto_free char *path = path_join(dir, names.v[i]);
        if (!run_plainly(s, path))
            return false;
    }
    return true;
}

/* PREPEND_X and APPEND_X put before and behind what X is. */
static void prepend(struct strv *env, const char *name, const char *value, bool colon_alone)
{
    const char *old = strv_env_get(env, name);
    auto_free char *all =
        mem_printf("%s%s%s", value, colon_alone || (old && *old) ? ":" : "", old ? old : "");
    strv_env_set(env, name, all);
}

static void append(struct strv *env, const char *name, const char *value, bool colon_alone)
{
    const char *old = strv_env_get(env, name);
    auto_free char *all =
        mem_printf("%s%s%s", old ? old : "", colon_alone || (old && *old) ? ":" : "", value);
    strv_env_set(env, name, all);
}

static void set_after(struct strv *env, const char *text)
{
    const char *value = strchr(text, '=') + 1;
    auto_free char *name = mem_strndup(text, (size_t)(value - 1 - text));
    if (str_eq(name, "PREPEND_PATH"))
        prepend(env, "PATH", value, true);
    else if (str_eq(name, "APPEND_PATH"))
        append(env, "PATH", value, true);
    else if (str_eq(name, "PREPEND_LD_LIBRARY_PATH"))
        prepend(env, "LD_LIBRARY_PATH", value, false);
    else if (str_eq(name, "APPEND_LD_LIBRARY_PATH"))
        append(env, "LD_LIBRARY_PATH", value, false);
    else
        strv_env_set(env, name, value);
}

/* A shell would see to it that PWD tells the truth. */
static void correct_pwd(struct strv *env)
{
    struct stat here, told;
    const char *pwd = strv_env_get(env, "PWD");
    auto_free char *cwd = getcwd(NULL, 0);
    if (!pwd || (cwd && str_eq(pwd, cwd)) ||
        (stat(".", &here) == 0 && stat(pwd, &told) == 0 && here.st_dev == told.st_dev &&
         here.st_ino == told.st_ino))
        return;
    if (cwd)
        strv_env_set(env, "PWD", cwd);
}

static int stop_at_name(void *ctx, const char *name)
{
    (void)ctx;
    (void)name;
    return 1;
}

static bool is_empty(const char *dir)
{
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fs_each_name(fd, stop_at_name, NULL) <= 0;
}

/* Images put this directory, which is for libraries of the host that a run binds, into every
 * search. While it is empty each program and each library would be looked for there in vain, a
 * dozen times.
 */
static void leave_out_empty_libs(struct strv *env)
{
    static const char libs[] = "/" LAYOUT_LIBS;
    const char *path = strv_env_get(env, "LD_LIBRARY_PATH");
    auto_strv struct strv dirs = { 0 };
    auto_strv struct strv kept = { 0 };
    if (!path || !strstr(path, libs) || !is_empty(libs))
        return;
    strv_split(&dirs, path, ":");
    for (size_t i = 0; i < dirs.n; i++)
        if (!str_eq(dirs.v[i], libs))
            strv_add(&kept, dirs.v[i]);
    auto_free char *rest = strv_join(&kept, ":");
    if (kept.n)
        strv_env_set(env, "LD_LIBRARY_PATH", rest);
    else
        strv_env_unset(env, "LD_LIBRARY_PATH");
}

/* The program of ACTION without a shell before it; NULL when one has to look for it. */
static const char *own_program(enum runtime_action action)
{
    static const char runscript[] = "/" LAYOUT_RUNSCRIPT, test[] = "/" LAYOUT_TEST;
    if (action == RUNTIME_RUN)
        return access(runscript, X_OK) == 0 ? runscript : NULL;
    if (action == RUNTIME_TEST)
        return access(test, X_OK) == 0 ? test : NULL;
    return NULL;
}

/* The usual start: no shell of ours. */
static bool make_plainly(const struct runtime_plan *p, struct program *out)
{
    struct envscript s = { 0 };
    const char *own = own_program(p->action);
    if (p->app || p->action == RUNTIME_SHELL || (p->action != RUNTIME_EXEC && !own))
        return false;
    strv_add_all(&s.env, (const char *const *)p->env.v);
    if (!defence("plain-env") || !read_scripts(&s)) {
        envscript_fini(&s);
        return false;
    }
    strv_free(&s.locals);
    out->env = s.env;
    for (size_t i = 0; i < p->env_after.n; i++)
        set_after(&out->env, p->env_after.v[i]);
    leave_out_empty_libs(&out->env);
    correct_pwd(&out->env);
    if (own)
        strv_add(&out->argv, own);
    strv_add_all(&out->argv, (const char *const *)p->argv.v);
    return true;
}

void program_make(const struct runtime_plan *p, struct program *out)
{
    *out = (struct program){ 0 };
    if (make_plainly(p, out))
        return;
    strv_add_all(&out->env, (const char *const *)p->env.v);
    strv_add(&out->argv, "/bin/sh");
    strv_add(&out->argv, "-c");
    strv_add(&out->argv, scripts[p->action]);
    strv_add(&out->argv, "hpcc");
    strv_addf(&out->argv, "%zu", p->env_after.n);
    strv_add_all(&out->argv, (const char *const *)p->env_after.v);
    if (p->action == RUNTIME_SHELL)
        strv_add(&out->argv, p->shell_inside ? p->shell_inside : "");
    strv_add_all(&out->argv, (const char *const *)p->argv.v);
}

void program_fini(struct program *g)
{
    strv_free(&g->argv);
    strv_free(&g->env);
}

static int failed(struct err *e, const char *name, int code)
{
    errno = code;
    err_sys(e, "cannot execute '%s' in the container", name);
    if (str_eq(name, "/bin/sh") && code == ENOENT)
        err_hint(e, "the image has no /bin/sh: it is empty or not a system; bootstrap it first");
    if (e)
        e->status = code == ENOENT || code == ENOTDIR ? 127 : 126;
    return -1;
}

/* 0, or why PATH is not to be executed, as far as can be told before: it is not there; or it would
 * run a host program by a magic link, itself or in its #! line (/proc/self/exe is hpcc, and who can
 * run it can keep a handle on the host's file). */
static int reason_against(int root_fd, const char *path)
{
    char head[256] = "";
    auto_free char *full = path_absolute(path, NULL);
    auto_close int fd = fs_open_at(root_fd, full, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, NULL);
    if (fd < 0)
        return errno == ELOOP ? EACCES : errno == ENOENT || errno == ENOTDIR ? errno : 0;
    if (read(fd, head, sizeof head - 1) < 3 || head[0] != '#' || head[1] != '!')
        return 0;
    char *interpreter = head + 2 + strspn(head + 2, " \t");
    interpreter[strcspn(interpreter, " \t\n")] = 0;
    auto_close int to = fs_open_at(root_fd, interpreter, O_PATH, 0, NULL);
    return to < 0 && errno == ELOOP ? EACCES : 0;
}

/* A script without a #! line is the shell's, as it is when a shell starts it. */
static void exec_as_script(const char *path, const struct program *g)
{
    auto_strv struct strv argv = { 0 };
    strv_add(&argv, "/bin/sh");
    strv_add(&argv, path);
    strv_add_all(&argv, (const char *const *)g->argv.v + 1);
    execve("/bin/sh", argv.v, g->env.v);
    errno = ENOEXEC;
}

static void try_exec(int root_fd, const char *path, const struct program *g)
{
    errno = defence("self-exe") ? reason_against(root_fd, path) : 0;
    if (!errno)
        execve(path, g->argv.v, g->env.v);
    if (errno == ENOEXEC)
        exec_as_script(path, g);
}

int program_exec(const struct program *g, struct err *e)
{
    const char *name = g->argv.v[0];
    auto_close int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (strchr(name, '/')) {
        try_exec(root_fd, name, g);
        return failed(e, name, errno);
    }
    auto_strv struct strv dirs = { 0 };
    const char *path = strv_env_get(&g->env, "PATH");
    strv_split(&dirs, path ? path : "", ":");
    int code = ENOENT;
    for (size_t i = 0; i < dirs.n; i++) {
        auto_free char *full = path_join(dirs.v[i], name);
        try_exec(root_fd, full, g);
        if (errno != ENOENT && errno != ENOTDIR)
            code = errno;
    }
    if (code != ENOENT)
        return failed(e, name, code);
    err_set(e, ERR_INPUT, "'%s' was not found in the container", name);
    if (e)
        e->status = 127;
    return err_hint(e, "its PATH is '%s'", path ? path : "");
}
