/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "base/defence.h"
#include "image/layout.h"
#include "runtime/plan/plan.h"

#define CONTAINER_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#define PROMPT_SAFE "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-@:,"

static const struct plan_env_rule dropped[] = {
    { "LD_*", "the host's libraries do not fit the container" },
    { "GLIBC_TUNABLES", "it is meant for the host's libc" },
    { "GCONV_PATH", "it is meant for the host's libc" },
    { "LOCPATH", "it is meant for the host's libc" },
    { "PATH", "the container has its own" },
    { "PYTHONHOME", "the host's Python is another one" },
    { "PYTHONPATH", "the host's Python is another one" },
    { "PYTHONSTARTUP", "the host's Python is another one" },
    { "PYTHONUSERBASE", "the host's Python is another one" },
    { "VIRTUAL_ENV*", "the host's Python is another one" },
    { "CONDA_*", "the host's Python is another one" },
    { "PERL5LIB", "the host's Perl is another one" },
    { "PERL5OPT", "the host's Perl is another one" },
    { "PERLLIB", "the host's Perl is another one" },
    { "PERL_*", "the host's Perl is another one" },
    { "R_LIBS*", "the host's R is another one" },
    { "R_HOME", "the host's R is another one" },
    { "RUBYLIB", "the host's Ruby is another one" },
    { "RUBYOPT", "the host's Ruby is another one" },
    { "GEM_*", "the host's Ruby is another one" },
    { "JAVA_HOME", "the host's Java is another one" },
    { "CLASSPATH", "the host's Java is another one" },
    { "LUA_*", "the host's Lua is another one" },
    { "NODE_PATH", "the host's Node is another one" },
    { "TCLLIBPATH", "the host's Tcl is another one" },
    { "MODULEPATH*", "the host's module system is not in the container" },
    { "MODULESHOME", "the host's module system is not in the container" },
    { "MODULES_*", "the host's module system is not in the container" },
    { "LOADEDMODULES", "the host's module system is not in the container" },
    { "_LMFILES_*", "the host's module system is not in the container" },
    { "LMOD_*", "the host's module system is not in the container" },
    { "__LMOD*", "the host's module system is not in the container" },
    { "_ModuleTable*", "the host's module system is not in the container" },
    { "__MODULES_*", "the host's module system is not in the container" },
    { "BASH_FUNC_*", "a function of the host's shell" },
    { "BASH_ENV", "a script of the host" },
    { "ENV", "a script of the host" },
    { "PROMPT_COMMAND", "a command of the host's shell" },
    { "PS1", "the container's prompt names the image" },
    { "GTK_*", "the host's desktop libraries do not fit the container" },
    { "GIO_*", "the host's desktop libraries do not fit the container" },
    { "GDK_PIXBUF_*", "the host's desktop libraries do not fit the container" },
    { "QT_PLUGIN_PATH", "the host's desktop libraries do not fit the container" },
    { "PKG_CONFIG_*", "it points to the host's headers" },
    { "CPATH", "it points to the host's headers" },
    { "C_INCLUDE_PATH", "it points to the host's headers" },
    { "CPLUS_INCLUDE_PATH", "it points to the host's headers" },
    { "LIBRARY_PATH", "the host's libraries do not fit the container" },
    { "MANPATH", "it points to the host's manuals" },
    { "INFOPATH", "it points to the host's manuals" },
    { "HPCC_*", "an option of hpcc itself" },
    { "HPCCENV_*", "given to the container without its prefix" },
    { "SINGULARITY_*", "an option of hpcc itself" },
    { "SINGULARITYENV_*", "given to the container without its prefix" },
    { "APPTAINER_*", "an option of hpcc itself" },
    { "APPTAINERENV_*", "given to the container without its prefix" },
    { "IFS", "a shell would trip over it" },
};

static const struct plan_env_rule clean = { "*", "--cleanenv" };

static const char *const kept_by_cleanenv[] = {
    "TERM",       "COLORTERM",   "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY",  "NO_PROXY",    "ALL_PROXY", NULL,
};

static bool matches(const char *pattern, const char *name)
{
    size_t len = strlen(pattern);
    if (len && pattern[len - 1] == '*')
        return strncmp(name, pattern, len - 1) == 0;
    return str_eq(name, pattern);
}

const struct plan_env_rule *plan_env_dropped(const char *name, unsigned flags)
{
    for (size_t i = 0; i < ARRAY_LEN(dropped) && defence("env"); i++)
        if (matches(dropped[i].pattern, name))
            return &dropped[i];
    if (!(flags & RUNTIME_CLEANENV))
        return NULL;
    for (const char *const *k = kept_by_cleanenv; *k; k++)
        if (str_eq(*k, name))
            return NULL;
    return &clean;
}

static void pass_host(struct runtime_plan *p, const char *const *envp)
{
    for (; envp && *envp; envp++) {
        const char *eq = strchr(*envp, '=');
        if (!eq || eq == *envp)
            continue;
        auto_free char *name = mem_strndup(*envp, (size_t)(eq - *envp));
        if (!plan_env_dropped(name, p->flags))
            strv_add(&p->env, *envp);
    }
}

/* The names by which scripts know that they run in a container, in all three spellings. */
static void name_the_container(struct runtime_plan *p)
{
    static const char *const prefixes[] = { "SINGULARITY", "APPTAINER", "HPCC" };
    auto_free char *base = path_base(p->image.path);
    static const char *const actions[] = { "run", "exec", "shell", "test" };
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        strv_addf(&p->env, "%s_CONTAINER=%s", prefixes[i], p->image.path);
        strv_addf(&p->env, "%s_NAME=%s", prefixes[i], base);
        strv_addf(&p->env, "%s_COMMAND=%s", prefixes[i], actions[p->action]);
        strv_addf(&p->env, "%s_ENVIRONMENT=/" LAYOUT_ENV_POST, prefixes[i]);
        if (p->app)
            strv_addf(&p->env, "%s_APPNAME=%s", prefixes[i], p->app);
    }
    if (p->action == RUNTIME_SHELL) {
        /* Shells expand their prompt: a file's name must not become a command. */
        for (char *c = base; *c; c++)
            if (!strchr(PROMPT_SAFE, *c))
                *c = '_';
        strv_addf(&p->env, "PS1=hpcc %s> ", base);
    }
}

/* --env K=V, or K alone to pass the caller's own value past the rules. */
static void set_after(struct runtime_plan *p, const char *const *envp, const char *text)
{
    const char *eq = strchr(text, '=');
    if (eq) {
        auto_free char *name = mem_strndup(text, (size_t)(eq - text));
        strv_env_set(&p->env_after, name, eq + 1);
        return;
    }
    const char *value = strv_env_value(envp, text);
    if (value)
        strv_env_set(&p->env_after, text, value);
}

void plan_environment(struct runtime_plan *p, const struct runtime_spec *spec)
{
    pass_host(p, spec->envp);
    strv_env_set(&p->env, "PATH", CONTAINER_PATH);
    strv_env_set(&p->env, "HOME", p->home);
    strv_env_set(&p->env, "PYTHONNOUSERSITE", "1");
    if (p->flags & RUNTIME_CLEANENV)
        strv_env_set(&p->env, "LANG", "C.UTF-8");
    name_the_container(p);
    for (const char *const *s = spec->env_set; s && *s; s++)
        set_after(p, spec->envp, *s);
}
