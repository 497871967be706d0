/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/program.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/defence.h"

/* $1: how many "NAME=VALUE" words follow, which win over the image's environment; then the words of
 * the action. The function keeps a script's `set --` away from our own arguments. Names start with
 * _hpcc so that no variable of the caller's is touched. */
#define READ_ENVIRONMENT                                                                           \
    "_hpcc_env() {\n"                                                                              \
    "    if [ -d /.singularity.d/env ]; then\n"                                                    \
    "        for _hpcc_f in /.singularity.d/env/*.sh; do\n"                                        \
    "            [ -f \"$_hpcc_f\" ] && . \"$_hpcc_f\"\n"                                          \
    "        done\n"                                                                               \
    "    elif [ -f /environment ]; then\n"                                                         \
    "        . /environment\n"                                                                     \
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
    "for _hpcc_f in /.singularity.d/runscript /singularity; do\n"
    "    if [ -x \"$_hpcc_f\" ]; then exec \"$_hpcc_f\" \"$@\"; fi\n"
    "    if [ -f \"$_hpcc_f\" ]; then exec /bin/sh \"$_hpcc_f\" \"$@\"; fi\n"
    "done\n"
    "echo 'hpcc: the image has no runscript: starting a shell' >&2\n"
    "exec /bin/sh \"$@\"\n",
    [RUNTIME_TEST] = READ_ENVIRONMENT
    "if [ -n \"${HPCC_APPNAME-}\" ]; then\n"
    "    exec /bin/sh \"/scif/apps/$HPCC_APPNAME/scif/test\" \"$@\"\n"
    "fi\n"
    "if [ -x /.singularity.d/test ]; then exec /.singularity.d/test \"$@\"; fi\n"
    "if [ -f /.singularity.d/test ]; then exec /bin/sh /.singularity.d/test \"$@\"; fi\n"
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

static bool has(int root_fd, const char *path)
{
    struct stat st;
    return fs_stat_at(root_fd, path, true, &st) == 0;
}

/* exec in an image without environment scripts needs no shell in between. */
static bool direct(const struct runtime_plan *p, int root_fd)
{
    return p->action == RUNTIME_EXEC && !p->env_after.n && !p->app &&
           !has(root_fd, "/.singularity.d/env") && !has(root_fd, "/environment");
}

void program_make(const struct runtime_plan *p, int root_fd, struct program *out)
{
    *out = (struct program){ 0 };
    if (!direct(p, root_fd)) {
        strv_add(&out->argv, "/bin/sh");
        strv_add(&out->argv, "-c");
        strv_add(&out->argv, scripts[p->action]);
        strv_add(&out->argv, "hpcc");
        strv_addf(&out->argv, "%zu", p->env_after.n);
        strv_add_all(&out->argv, (const char *const *)p->env_after.v);
        if (p->action == RUNTIME_SHELL)
            strv_add(&out->argv, p->shell_inside ? p->shell_inside : "");
    }
    strv_add_all(&out->argv, (const char *const *)p->argv.v);
}

void program_free(struct program *g)
{
    strv_free(&g->argv);
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

/* Whether executing PATH would run a host program by a magic link (/proc/self/exe is hpcc itself,
 * and who can run it can keep a handle on the host's file). Looks at the path and at a #! line. */
static bool by_magic_link(const char *path)
{
    char head[256] = "";
    auto_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    auto_close int fd = fs_open_at(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, NULL);
    if (fd < 0)
        return errno == ELOOP;
    if (read(fd, head, sizeof head - 1) < 3 || head[0] != '#' || head[1] != '!')
        return false;
    char *interpreter = head + 2 + strspn(head + 2, " \t");
    interpreter[strcspn(interpreter, " \t\n")] = 0;
    auto_close int to = fs_open_at(root, interpreter, O_PATH, 0, NULL);
    return to < 0 && errno == ELOOP;
}

static void try_exec(const char *path, const struct program *g, const struct strv *env)
{
    if (defence("self-exe") && by_magic_link(path))
        errno = EACCES;
    else
        execve(path, g->argv.v, env->v);
}

int program_exec(const struct program *g, const struct strv *env, struct err *e)
{
    const char *name = g->argv.v[0];
    if (strchr(name, '/')) {
        try_exec(name, g, env);
        return failed(e, name, errno);
    }
    auto_strv struct strv dirs = { 0 };
    const char *path = strv_env_get(env, "PATH");
    strv_split(&dirs, path ? path : "", ":");
    int code = ENOENT;
    for (size_t i = 0; i < dirs.n; i++) {
        auto_free char *full = path_join(dirs.v[i], name);
        try_exec(full, g, env);
        if (errno != ENOENT && errno != ENOTDIR)
            code = errno;
    }
    return failed(e, name, code);
}
