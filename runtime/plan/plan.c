/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/plan/plan.h"

#include "base/defence.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "image/layout.h"

/* Everything that comes from outside is nosuid and nodev; the host's /dev is the one exception. */
enum {
    ATTRS_DATA = MOUNT_NOSUID | MOUNT_NODEV,
    ATTRS_KERNEL = MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC,
};

struct builder {
    struct runtime_plan *p;
    const struct runtime_spec *spec;
    const struct plan_host *host;
};

static bool flag(const struct builder *b, unsigned bits)
{
    return (b->p->flags & bits) == bits;
}

static bool skipped(const struct builder *b, const char *name)
{
    for (const char *const *n = b->spec->no_mount; n && *n; n++)
        if (str_eq(*n, name))
            return true;
    return false;
}

static void add(struct builder *b, struct plan_op op)
{
    struct runtime_plan *p = b->p;
    p->ops = mem_grow(p->ops, p->n_ops, sizeof *p->ops);
    op.src = mem_strdup(op.src);
    op.dst = mem_strdup(op.dst);
    p->ops[p->n_ops++] = op;
}

static int look(const struct builder *b, const char *path)
{
    return b->host->look(b->host->ctx, path);
}

static void bind_dir(struct builder *b, const char *src, const char *dst, unsigned traits)
{
    if (look(b, src) == 'd')
        add(b, (struct plan_op){
                   .kind = PLAN_BIND,
                   .src = (char *)(uintptr_t)src,
                   .dst = (char *)(uintptr_t)dst,
                   .attrs = ATTRS_DATA,
                   .traits = traits,
               });
}

static void add_tmpfs(struct builder *b, const char *dst, const char *options, unsigned traits)
{
    add(b, (struct plan_op){
               .kind = PLAN_TMPFS,
               .src = (char *)(uintptr_t)options,
               .dst = (char *)(uintptr_t)dst,
               .attrs = ATTRS_DATA,
               .traits = traits | PLAN_MAKE,
           });
}

static void plan_kernel_views(struct builder *b)
{
    if (!skipped(b, "proc")) {
        enum plan_kind kind = flag(b, RUNTIME_PID_NS) ? PLAN_PROC : PLAN_BIND;
        add(b, (struct plan_op){ kind, (char[]){ "/proc" }, (char[]){ "/proc" }, ATTRS_KERNEL,
                                 PLAN_MAKE });
    }
    if (!skipped(b, "sys"))
        add(b, (struct plan_op){ PLAN_BIND, (char[]){ "/sys" }, (char[]){ "/sys" },
                                 ATTRS_KERNEL | MOUNT_RO, PLAN_MAKE });
    if (skipped(b, "dev"))
        return;
    if (flag(b, RUNTIME_CONTAIN))
        add(b, (struct plan_op){ PLAN_DEV, NULL, (char[]){ "/dev" }, MOUNT_NOSUID, PLAN_MAKE });
    else
        add(b, (struct plan_op){ PLAN_BIND, (char[]){ "/dev" }, (char[]){ "/dev" }, MOUNT_NOSUID,
                                 PLAN_MAKE });
}

/* /tmp and /var/tmp: the host's, or private ones (in --workdir when given). */
static int plan_temp(struct builder *b, const char *path, const char *work_name, struct err *e)
{
    if (skipped(b, "tmp"))
        return 0;
    if (!flag(b, RUNTIME_CONTAIN)) {
        bind_dir(b, path, path, PLAN_MAKE);
        return 0;
    }
    if (!b->spec->workdir) {
        add_tmpfs(b, path, "mode=1777", 0);
        return 0;
    }
    auto_free char *src = path_join(b->spec->workdir, work_name);
    if (look(b, src) != 'd') {
        err_set(e, ERR_INPUT, "--workdir: there is no directory '%s'", src);
        return err_hint(e, "mkdir -p '%s'", src);
    }
    bind_dir(b, src, path, PLAN_MAKE | PLAN_USER);
    return 0;
}

static int plan_home(struct builder *b, struct err *e)
{
    const char *src = b->spec->home_src;
    const char *dst = b->p->home;
    if (flag(b, RUNTIME_NO_HOME) || skipped(b, "home"))
        return 0;
    if (src && look(b, src) != 'd')
        return err_set(e, ERR_INPUT, "--home: there is no directory '%s'", src);
    if (!src && flag(b, RUNTIME_CONTAIN)) {
        if (!str_eq(dst, "/"))
            add_tmpfs(b, dst, "mode=0755", 0);
        return 0;
    }
    if (!src)
        src = b->host->home;
    if (!src || str_eq(src, "/") || str_eq(dst, "/"))
        return 0;
    if (look(b, src) != 'd') {
        log_warn("your home '%s' does not exist on this host: it is left out", src);
        return 0;
    }
    bind_dir(b, src, dst, PLAN_MAKE | (b->spec->home_src ? PLAN_USER : 0));
    return 0;
}

static void plan_host_files(struct builder *b)
{
    static const struct {
        const char *path;
        unsigned attrs, traits;
    } files[] = {
        { "/etc/resolv.conf", 0, PLAN_MAKE },
        { "/etc/hosts", 0, 0 },
        /* mostly a link to a zone's own file, which has to stay what it is */
        { "/etc/localtime", MOUNT_LINK, 0 },
    };
    if (skipped(b, "hostfs-files"))
        return;
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (look(b, files[i].path) == 'f')
            add(b, (struct plan_op){
                       .kind = PLAN_BIND,
                       .src = (char *)(uintptr_t)files[i].path,
                       .dst = (char *)(uintptr_t)files[i].path,
                       .attrs = ATTRS_DATA | MOUNT_RO | MOUNT_FLAT | files[i].attrs,
                       .traits = files[i].traits | PLAN_OPTIONAL | PLAN_FILE,
                   });
    add(b, (struct plan_op){ .kind = PLAN_ACCOUNTS,
                             .dst = (char[]){ "/etc/passwd" },
                             .attrs = ATTRS_DATA | MOUNT_RO,
                             .traits = PLAN_OPTIONAL | PLAN_FILE });
}

static int plan_user_binds(struct builder *b, struct err *e)
{
    for (size_t i = 0; i < b->spec->n_binds; i++) {
        const struct runtime_bind *bind = &b->spec->binds[i];
        int what = look(b, bind->src);
        if (!what) {
            err_set(e, ERR_INPUT,
                    "cannot bind '%s': there is no such file or directory on the host", bind->src);
            return err_hint(e, "--bind takes SRC[:DST[:ro|rw]]; check the spelling of SRC");
        }
        auto_free char *dst = path_clean(bind->dst);
        if (str_eq(dst, "/"))
            return err_set(e, ERR_INPUT, "cannot bind '%s' onto the container's '/'", bind->src);
        add(b, (struct plan_op){
                   .kind = PLAN_BIND,
                   .src = bind->src,
                   .dst = dst,
                   .attrs = ATTRS_DATA | (bind->read_only ? MOUNT_RO : 0),
                   .traits = PLAN_MAKE | PLAN_USER | (what == 'd' ? 0 : PLAN_FILE),
               });
    }
    return 0;
}

static int plan_scratch(struct builder *b, struct err *e)
{
    for (const char *const *s = b->spec->scratch; s && *s; s++) {
        auto_free char *full = path_absolute(*s, "/");
        auto_free char *dst = path_clean(full);
        if (str_eq(dst, "/"))
            return err_set(e, ERR_USAGE, "--scratch cannot be '/'");
        add_tmpfs(b, dst, "mode=0700", PLAN_USER);
    }
    return 0;
}

/* Whether the container shows the host's PATH at the same place through some bind. */
static bool visible(const struct builder *b, const char *path)
{
    const struct plan_op *best = NULL;
    for (size_t i = 0; i < b->p->n_ops; i++) {
        const struct plan_op *op = &b->p->ops[i];
        if (path_within(path, op->dst) && (!best || path_within(op->dst, best->dst)))
            best = op;
    }
    return best && best->kind == PLAN_BIND && str_eq(best->src, best->dst);
}

/* Below these the container's own files matter more than the host's. */
static bool system_dir(const char *path)
{
    static const char *const dirs[] = { "/bin",   "/boot",         "/dev",    "/etc", "/lib",
                                        "/lib32", "/lib64",        "/libx32", "/opt", "/proc",
                                        "/root",  "/run",          "/sbin",   "/sys", "/usr",
                                        "/var",   ("/" LAYOUT_DIR) };
    if (str_eq(path, "/"))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (path_within(path, dirs[i]))
            return true;
    return false;
}

static void plan_cwd(struct builder *b)
{
    struct runtime_plan *p = b->p;
    const char *cwd = b->host->cwd;
    if (b->spec->pwd) {
        p->cwd = path_absolute(b->spec->pwd, cwd ? cwd : "/");
        p->cwd_is_user = true;
        return;
    }
    if (flag(b, RUNTIME_CONTAIN)) {
        p->cwd = mem_strdup(p->home);
        return;
    }
    if (!cwd) {
        log_warn("the current directory is gone or out of reach: starting in '%s'", p->home);
        p->cwd = mem_strdup(p->home);
        return;
    }
    p->cwd = mem_strdup(cwd);
    if (!visible(b, cwd) && !system_dir(cwd) && !skipped(b, "cwd"))
        bind_dir(b, cwd, cwd, PLAN_MAKE);
}

/* Parents before children, else a parent's mount would cover its child's; the order of equals (and
 * so "the last one wins") stays. */
static size_t depth(const char *path)
{
    size_t n = 0;
    for (; *path; path++)
        n += *path == '/' && path[1];
    return n;
}

static void sort_ops(struct runtime_plan *p)
{
    for (size_t i = 1; i < p->n_ops; i++) {
        struct plan_op op = p->ops[i];
        size_t j = i;
        for (; j && depth(p->ops[j - 1].dst) > depth(op.dst); j--)
            p->ops[j] = p->ops[j - 1];
        p->ops[j] = op;
    }
}

static int plan_identity(struct builder *b, struct err *e)
{
    struct runtime_plan *p = b->p;
    const struct plan_host *h = b->host;
    const struct runtime_spec *s = b->spec;
    p->uid = h->uid;
    p->gid = h->gid;
    bool fakeroot = flag(b, RUNTIME_FAKEROOT);
    p->user = mem_strdup(fakeroot ? "root" : h->user);
    p->shell = mem_strdup(h->shell ? h->shell : "/bin/sh");
    p->gecos = mem_strdup(h->gecos ? h->gecos : "");
    p->group = mem_strdup(h->group);
    p->userns = h->uid != 0 || (p->flags & (RUNTIME_USERNS | RUNTIME_FAKEROOT));
    /* An overlay refuses to write where a file's owner has no name in the user namespace. So the
     * mounts are made in a namespace where the caller is 0, and all of an image is shown as 0's;
     * and the program runs in one below, where he is himself again. */
    p->all_root = p->userns && plan_has_upper(p);
    p->two_userns = p->all_root && !fakeroot;
    const char *home = s->home_dst ? s->home_dst : s->home_src ? s->home_src : h->home;
    if (fakeroot && !s->home_dst && !s->home_src)
        home = "/root";
    if (home && home[0] != '/')
        return err_set(e, ERR_USAGE, "--home: '%s' is not an absolute path", home);
    p->home = path_clean(home ? home : "/");
    return 0;
}

/* It becomes part of paths inside: a word, as the sections %appinstall NAME … take. */
static int check_app(const char *app, struct err *e)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                  "_+.-";
    enum { MAX_NAME = 255 };
    size_t len = app ? strlen(app) : 0;
    if (!app || !defence("app-name") ||
        (len && len <= MAX_NAME && app[0] != '-' && app[0] != '.' && strspn(app, allowed) == len))
        return 0;
    err_set(e, ERR_USAGE, "--app: '%.64s' is not a name of an app", app);
    return err_hint(e, "names have letters, digits and '_+.-', and do not start with '-' or '.'");
}

/* Runs of different job steps do not share what ends with one of them. */
static char *job_step(const char *const *envp)
{
    static const char *const names[] = { "SLURM_JOB_ID=", "SLURM_STEP_ID=", "PBS_JOBID=",
                                         "LSB_JOBID=",    "JOB_ID=",        "OAR_JOB_ID=",
                                         "FLUX_JOB_ID=",  "COBALT_JOBID=" };
    auto_str struct str job = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        for (const char *const *v = envp; v && *v; v++)
            if (str_starts(*v, names[i]))
                str_addf(&job, "%s%s", job.len ? " " : "", *v);
    return mem_strdup(str_text(&job));
}

static int check_flags(const struct builder *b, struct err *e)
{
    if (check_app(b->spec->app, e) < 0)
        return -1;
    const struct runtime_plan *p = b->p;
    if (flag(b, RUNTIME_WRITABLE) && (p->n_layers || flag(b, RUNTIME_WRITABLE_TMPFS)))
        return err_set(e, ERR_USAGE, "--writable cannot go together with an overlay");
    if (p->n_layers && p->layers[p->n_layers - 1].writable && flag(b, RUNTIME_WRITABLE_TMPFS))
        return err_set(e, ERR_USAGE, "--overlay and --writable-tmpfs are two ways to do one thing");
    if (b->spec->workdir && !flag(b, RUNTIME_CONTAIN))
        log_warn("--workdir is for --contain: without it the host's own /tmp is used");
    if (b->p->action == RUNTIME_EXEC && !(b->spec->argv && b->spec->argv[0]))
        return err_set(e, ERR_USAGE, "hpcc exec: no command given");
    return 0;
}

int plan_build(struct runtime_plan *p, const struct runtime_spec *spec,
               const struct plan_host *host, struct err *e)
{
    struct builder b = { .p = p, .spec = spec, .host = host };
    p->action = spec->action;
    p->flags = spec->flags;
    if (p->merge) /* so that nothing of the program is left to write when it has ended */
        p->flags = (p->flags | RUNTIME_PID_NS) & ~(unsigned)RUNTIME_NO_INIT;
    if (check_flags(&b, e) < 0 || plan_identity(&b, e) < 0)
        return -1;
    p->hostname = mem_strdup(spec->hostname);
    p->shell_inside = mem_strdup(spec->shell);
    p->app = mem_strdup(spec->app);
    strv_add_all(&p->argv, spec->argv);
    strv_add_all(&p->keep_fds, spec->keep_fds);
    p->job = job_step(spec->envp);
    p->runtime_dir = mem_strdup(strv_env_value(spec->envp, "XDG_RUNTIME_DIR"));
    plan_kernel_views(&b);
    if (plan_temp(&b, "/tmp", "tmp", e) < 0 || plan_temp(&b, "/var/tmp", "var_tmp", e) < 0 ||
        plan_home(&b, e) < 0)
        return -1;
    plan_host_files(&b);
    if (plan_scratch(&b, e) < 0 || plan_user_binds(&b, e) < 0)
        return -1;
    plan_cwd(&b);
    sort_ops(p);
    plan_environment(p, spec);
    return 0;
}
