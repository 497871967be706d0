/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/action.h"

#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/config.h"
#include "cli/out.h"

const struct opt action_opts[] = {
    { .name = "bind",
      .letter = 'B',
      .arg = "SPEC",
      .help = "bind SRC[:DST[:ro|rw]] of the host; several parted by commas",
      .env = "BIND BINDPATH",
      .many = true },
    { .name = "mount",
      .arg = "SPEC",
      .help = "bind as type=bind,src=SRC,dst=DST[,ro]",
      .many = true },
    { .name = "home",
      .letter = 'H',
      .arg = "SRC[:DST]",
      .help = "another home directory",
      .env = "HOME" },
    { .name = "no-home", .help = "do not bind the home directory", .env = "NO_HOME NOHOME" },
    { .name = "no-mount",
      .arg = "NAMES",
      .help = "leave out proc, sys, dev, tmp, home, cwd or hostfs-files",
      .env = "NO_MOUNT",
      .many = true },
    { .name = "pwd",
      .arg = "DIR",
      .help = "start in this directory of the container",
      .env = "PWD TARGET_PWD" },
    { .name = "cwd", .arg = "DIR", .help = "as --pwd", .alias_of = "pwd" },
    { .name = "contain",
      .letter = 'c',
      .help = "private /tmp, home and /dev, no inherited descriptors",
      .env = "CONTAIN" },
    { .name = "containall",
      .letter = 'C',
      .help = "--contain with --pid, --ipc and --cleanenv",
      .env = "CONTAINALL" },
    { .name = "workdir",
      .letter = 'W',
      .arg = "DIR",
      .help = "with --contain: DIR/tmp and DIR/var_tmp instead of tmpfs",
      .env = "WORKDIR" },
    { .name = "scratch",
      .letter = 'S',
      .arg = "DIR",
      .help = "an empty directory of the container's own",
      .env = "SCRATCH SCRATCHDIR",
      .many = true },
    { .name = "cleanenv",
      .letter = 'e',
      .help = "do not pass the caller's environment",
      .env = "CLEANENV" },
    { .name = "env",
      .arg = "K=V",
      .help = "set a variable, after the image's own; K alone passes the caller's",
      .many = true },
    { .name = "env-file",
      .arg = "FILE",
      .help = "set variables from FILE, one K=V a line",
      .env = "ENV_FILE" },
    { .name = "writable", .letter = 'w', .help = "write to the image itself", .env = "WRITABLE" },
    { .name = "writable-tmpfs",
      .help = "writes go to memory and are lost at the end",
      .env = "WRITABLE_TMPFS" },
    { .name = "overlay",
      .letter = 'o',
      .arg = "LAYER[:ro]",
      .help = "a directory or image over the image; writes go there",
      .env = "OVERLAY OVERLAYIMAGE",
      .many = true },
    { .name = "pid", .letter = 'p', .help = "new pid namespace", .env = "PID UNSHARE_PID" },
    { .name = "no-init",
      .help = "with --pid: the program itself is pid 1",
      .env = "NO_INIT NOSHIMINIT" },
    { .name = "ipc", .letter = 'i', .help = "new ipc namespace", .env = "IPC UNSHARE_IPC" },
    { .name = "net",
      .letter = 'n',
      .help = "new network namespace with the loopback only",
      .env = "NET UNSHARE_NET" },
    { .name = "network",
      .arg = "none",
      .help = "the network of --net; 'none' is the one there is" },
    { .name = "uts", .help = "new host name namespace", .env = "UTS" },
    { .name = "hostname",
      .arg = "NAME",
      .help = "host name in the container; implies --uts",
      .env = "HOSTNAME" },
    { .name = "userns",
      .letter = 'u',
      .help = "user namespace even for root",
      .env = "USERNS UNSHARE_USERNS" },
    { .name = "fakeroot",
      .letter = 'f',
      .help = "be root in the container's own view",
      .env = "FAKEROOT" },
    { .name = "app", .arg = "NAME", .help = "the app NAME of the image", .env = "APP APPNAME" },
    { .name = "shell",
      .letter = 's',
      .arg = "PATH",
      .help = "with shell: this shell of the container",
      .env = "SHELL" },
    { .name = "keep-fd",
      .arg = "N",
      .help = "with --contain: pass this open descriptor",
      .many = true },
    { .name = "no-share",
      .help = "do not share the mount with other runs of this image",
      .env = "NO_SHARE" },
    { .name = "no-eval", .help = "accepted: hpcc never evaluates arguments or values" },
    { .name = "dry-run", .help = "show what would be done" },
    { .name = "json", .help = "with --dry-run: as JSON" },
    { 0 },
};

static const struct {
    const char *option;
    unsigned flags;
} flag_options[] = {
    { "contain", RUNTIME_CONTAIN },
    { "containall", RUNTIME_CONTAIN | RUNTIME_CLEANENV | RUNTIME_PID_NS | RUNTIME_IPC_NS },
    { "cleanenv", RUNTIME_CLEANENV },
    { "writable", RUNTIME_WRITABLE },
    { "writable-tmpfs", RUNTIME_WRITABLE_TMPFS },
    { "no-home", RUNTIME_NO_HOME },
    { "pid", RUNTIME_PID_NS },
    { "no-init", RUNTIME_NO_INIT },
    { "ipc", RUNTIME_IPC_NS },
    { "net", RUNTIME_NET_NS },
    { "uts", RUNTIME_UTS_NS },
    { "hostname", RUNTIME_UTS_NS },
    { "userns", RUNTIME_USERNS },
    { "fakeroot", RUNTIME_FAKEROOT },
    { "no-share", RUNTIME_NO_SHARE },
};

/* What a spec borrows while it is used. */
struct request {
    struct runtime_spec spec;
    struct runtime_bind *binds;
    struct strv env, scratch, no_mount, keep_fds, overlays;
    struct strv environ; /* the caller's, less what the configuration drops */
    struct config config;
    char *home;
};

static void request_fini(struct request *r)
{
    for (size_t i = 0; i < r->spec.n_binds; i++) {
        free(r->binds[i].src);
        free(r->binds[i].dst);
    }
    free(r->binds);
    strv_free(&r->env);
    strv_free(&r->scratch);
    strv_free(&r->no_mount);
    strv_free(&r->keep_fds);
    strv_free(&r->overlays);
    strv_free(&r->environ);
    config_fini(&r->config);
    free(r->home);
}

static struct runtime_bind *new_bind(struct request *r)
{
    r->binds = mem_grow(r->binds, r->spec.n_binds, sizeof *r->binds);
    r->spec.binds = r->binds;
    r->binds[r->spec.n_binds] = (struct runtime_bind){ 0 };
    return &r->binds[r->spec.n_binds++];
}

static int collect_binds(struct request *r, const struct args *a, struct err *e)
{
    auto_free char *cwd = getcwd(NULL, 0);
    auto_strv struct strv given = { 0 };
    auto_strv struct strv specs = { 0 };
    auto_strv struct strv mounts = { 0 };
    strv_add_all(&specs, (const char *const *)r->config.binds.v);
    args_values(a, "bind", &given);
    for (size_t i = 0; i < given.n; i++)
        strv_split(&specs, given.v[i], ",");
    for (size_t i = 0; i < specs.n; i++)
        if (action_parse_bind(specs.v[i], cwd ? cwd : "/", new_bind(r), e) < 0)
            return -1;
    args_values(a, "mount", &mounts);
    for (size_t i = 0; i < mounts.n; i++)
        if (action_parse_mount(mounts.v[i], cwd ? cwd : "/", new_bind(r), e) < 0)
            return -1;
    return 0;
}

/* SINGULARITYENV_X, APPTAINERENV_X, HPCCENV_X: the later name wins over the earlier. */
static void collect_prefixed(struct request *r, const char *const *envp)
{
    static const char *const prefixes[] = { "SINGULARITYENV_", "APPTAINERENV_", "HPCCENV_" };
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        size_t len = strlen(prefixes[i]);
        for (const char *const *v = envp; v && *v; v++)
            if (strncmp(*v, prefixes[i], len) == 0 && (*v)[len] != '=' && (*v)[len])
                strv_add(&r->env, *v + len);
    }
}

static bool valid_name(const char *text)
{
    size_t len = strcspn(text, "=");
    if (!len || (text[0] >= '0' && text[0] <= '9'))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", text[i]))
            return false;
    return true;
}

static int env_file(struct request *r, const char *path, struct err *e)
{
    auto_str struct str text = { 0 };
    auto_strv struct strv lines = { 0 };
    if (fs_read_file(path, 1u << 20, &text, e) < 0)
        return err_wrap(e, "--env-file");
    strv_split(&lines, str_text(&text), "\n");
    for (size_t i = 0; i < lines.n; i++) {
        const char *line = lines.v[i] + strspn(lines.v[i], " \t");
        if (*line == '#' || !*line)
            continue;
        strv_add(&r->env, str_starts(line, "export ") ? line + strlen("export ") : line);
    }
    return 0;
}

static int collect_env(struct request *r, const struct cli *cli, const struct args *a,
                       struct err *e)
{
    const char *file = args_value(a, "env-file");
    for (size_t i = 0; i < r->config.env_keep.n; i++)
        if (strv_env_value(cli->environ, r->config.env_keep.v[i]))
            strv_add(&r->env, r->config.env_keep.v[i]);
    strv_add_all(&r->env, (const char *const *)r->config.env_set.v);
    collect_prefixed(r, cli->environ);
    if (file && env_file(r, file, e) < 0)
        return -1;
    args_values(a, "env", &r->env);
    for (size_t i = 0; i < r->env.n; i++)
        if (!valid_name(r->env.v[i])) {
            err_set(e, ERR_USAGE, "--env: '%s' does not start with a variable's name", r->env.v[i]);
            return err_hint(e, "--env takes NAME=VALUE, once for each variable");
        }
    r->spec.env_set = (const char *const *)r->env.v;
    return 0;
}

static int check_names(const struct strv *given, struct err *e)
{
    static const char *const known[] = { "proc", "sys", "dev",          "tmp",
                                         "home", "cwd", "hostfs-files", NULL };
    for (size_t i = 0; i < given->n; i++) {
        bool found = false;
        for (size_t k = 0; known[k]; k++)
            found |= str_eq(known[k], given->v[i]);
        if (found)
            continue;
        err_set(e, ERR_USAGE, "--no-mount: there is no mount '%s'", given->v[i]);
        return err_hint(e, "the names are proc, sys, dev, tmp, home, cwd, hostfs-files");
    }
    return 0;
}

static int collect_lists(struct request *r, const struct args *a, struct err *e)
{
    auto_strv struct strv given = { 0 };
    strv_add_all(&r->no_mount, (const char *const *)r->config.no_mount.v);
    args_values(a, "no-mount", &given);
    for (size_t i = 0; i < given.n; i++)
        strv_split(&r->no_mount, given.v[i], ",");
    if (check_names(&r->no_mount, e) < 0)
        return -1;
    auto_strv struct strv layers = { 0 };
    args_values(a, "overlay", &layers);
    for (size_t i = 0; i < layers.n; i++)
        strv_split(&r->overlays, layers.v[i], ",");
    r->spec.overlays = (const char *const *)r->overlays.v;
    args_values(a, "scratch", &r->scratch);
    args_values(a, "keep-fd", &r->keep_fds);
    r->spec.scratch = (const char *const *)r->scratch.v;
    r->spec.no_mount = (const char *const *)r->no_mount.v;
    r->spec.keep_fds = (const char *const *)r->keep_fds.v;
    return 0;
}

/* What hpcc.yaml says where the command line does not. */
static void collect_config(struct request *r, const struct cli *cli)
{
    const struct config *c = &r->config;
    const struct {
        bool on;
        unsigned flag;
    } defaults[] = {
        { c->contain == CONFIG_YES, RUNTIME_CONTAIN },
        { c->cleanenv == CONFIG_YES, RUNTIME_CLEANENV },
        { c->home == CONFIG_NO, RUNTIME_NO_HOME },
        { c->pid == CONFIG_YES, RUNTIME_PID_NS },
        { c->ipc == CONFIG_YES, RUNTIME_IPC_NS },
        { c->writable_tmpfs == CONFIG_YES, RUNTIME_WRITABLE_TMPFS },
    };
    for (size_t i = 0; i < ARRAY_LEN(defaults); i++)
        r->spec.flags |= defaults[i].on ? defaults[i].flag : 0;
    r->spec.envp = cli->environ;
    r->spec.tmp_dir = c->tmp_dir;
    if (c->env_drop.n == 0)
        return;
    strv_add_all(&r->environ, cli->environ);
    for (size_t i = 0; i < c->env_drop.n; i++)
        strv_env_unset(&r->environ, c->env_drop.v[i]);
    r->spec.envp = (const char *const *)r->environ.v;
}

/* `limit:` of the site's file. */
static int check_limits(const struct config *c, const struct args *a, struct err *e)
{
    static const char *const options[] = { "writable", "overlay", "bind", "mount" };
    const enum config_switch allowed[] = { c->writable, c->overlay, c->user_bind, c->user_bind };
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (allowed[i] != CONFIG_NO || !args_has(a, options[i]))
            continue;
        err_set(e, ERR_USAGE, "this site does not allow --%s", options[i]);
        return err_hint(e, "/etc/hpcc/hpcc.yaml says so; ask whoever runs this machine");
    }
    return 0;
}

static int collect(struct request *r, const struct cli *cli, const struct args *a, struct err *e)
{
    struct runtime_spec *s = &r->spec;
    const char *network = args_value(a, "network");
    const char *home = args_value(a, "home");
    s->squashfs_server = cli_squashfs_server;
    s->image_path = a->rest[0];
    s->argv = a->rest + 1;
    s->pwd = args_value(a, "pwd");
    s->shell = args_value(a, "shell");
    s->app = args_value(a, "app");
    s->workdir = args_value(a, "workdir");
    s->hostname = args_value(a, "hostname");
    if (config_load(cli->environ, &r->config, e) < 0 || check_limits(&r->config, a, e) < 0)
        return -1;
    collect_config(r, cli);
    for (size_t i = 0; i < ARRAY_LEN(flag_options); i++)
        if (args_has(a, flag_options[i].option))
            s->flags |= flag_options[i].flags;
    if (network && !str_eq(network, "none")) {
        err_set(e, ERR_USAGE, "--network: there is no network '%s'", network);
        return err_hint(e, "leave --net out to use the host's network");
    }
    if (home) {
        r->home = mem_strdup(home);
        char *dst = strchr(r->home, ':');
        if (dst)
            *dst++ = 0;
        s->home_src = r->home;
        s->home_dst = dst;
    }
    if (collect_binds(r, a, e) < 0 || collect_env(r, cli, a, e) < 0)
        return -1;
    return collect_lists(r, a, e);
}

static int show(const struct runtime_plan *plan, bool json)
{
    if (json) {
        auto_json struct json_object *doc = runtime_plan_json(plan);
        auto_free char *text = json_text(doc, 1);
        out_say("%s\n", text);
        return 0;
    }
    auto_free char *text = runtime_plan_text(plan);
    out_say("%s", text);
    return 0;
}

/* The same words to hpcc-full, which can write images. */
static int merge_elsewhere(struct cli *cli, struct err *e)
{
    auto_strv struct strv words = { 0 };
    strv_add(&words, "hpcc"); /* the name run-hpcc has been expanded already */
    strv_add_all(&words, cli->argv + 1);
    cli_exec_full(cli, (const char *const *)words.v, e);
    return err_wrap(e, "cannot write to an image without what changes images");
}

int action_run(struct cli *cli, const struct args *args, enum runtime_action action, struct err *e)
{
    cleanup_with(request_fini) struct request r = { .spec.action = action };
    auto_runtime_plan struct runtime_plan *plan = NULL;
    int status = 0;
    if (collect(&r, cli, args, e) < 0 || runtime_plan_make(&r.spec, &plan, e) < 0 ||
        config_allows_image(&r.config, runtime_plan_image(plan), r.spec.image_path, e) < 0)
        return -1;
    if (args_has(args, "dry-run"))
        return show(plan, args_has(args, "json"));
    bool merges = runtime_plan_merges(plan);
    if (merges && !cli->perform_merging)
        return merge_elsewhere(cli, e);
    if ((merges ? cli->perform_merging(plan, &status, e) : runtime_perform(plan, &status, e)) < 0)
        return -1;
    return status;
}
