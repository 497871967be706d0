/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/stat.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "bootstrap/bootstrap.h"
#include "build/build.h"
#include "cli/cache_dir.h"
#include "cli/cli.h"
#include "cli/out.h"
#include "cli/plain.h"

/* Any key server would do: what comes is right when its fingerprint is. This one has all of
 * keys.list. */
#define KEY_SERVER "https://keyserver.ubuntu.com"

static const struct opt opts[] = {
    { .name = "size",
      .letter = 's',
      .arg = "SIZE",
      .help = "size of the image (default: as it is, or from the content)" },
    { .name = "no-grow",
      .help = "fail when the content does not fit, instead of growing the image" },
    { .name = "fresh", .help = "start over instead of keeping the system that the image holds" },
    { .name = "no-verify", .help = "do not check signatures of repositories and packages" },
    { .name = "key-server",
      .arg = "URL",
      .help = "where signing keys are looked for that neither host nor repository has "
              "(default " KEY_SERVER "); 'none' for nowhere",
      .env = "KEYSERVER" },
    { .name = "no-vault", .help = "do not look for archived mirrors of retired releases" },
    { .name = "no-test", .letter = 'T', .help = "do not run the %test section" },
    { .name = "section",
      .arg = "NAME",
      .help = "perform only this section; may be repeated",
      .many = true },
    { .name = "dry-run",
      .letter = 'n',
      .help = "say what would be done, writing nothing but the cache" },
    { .name = "reproducible",
      .help = "same input, same bytes; times no later than SOURCE_DATE_EPOCH" },
    { .name = "tmpdir",
      .arg = "DIR",
      .help = "prepare the root in DIR (default: beside the image)",
      .env = "TMPDIR" },
    { .name = "arch",
      .arg = "NAME",
      .help = "build for this architecture, as 'uname -m' names it" },
    { .name = "no-cache", .help = "neither use nor fill the cache", .env = "DISABLE_CACHE" },
    { .name = "json", .help = "report as JSON" },
    { .name = "notest", .alias_of = "no-test" },
    { .name = "disable-cache", .alias_of = "no-cache" },
    { .name = "force", .letter = 'F', .alias_of = "fresh" },
    { 0 },
};

/* Make DIR for the user alone. The cache is a help, not a need: without one the build goes on. */
static char *usable_cache(char *take_dir)
{
    auto_free char *given = take_dir;
    if (!given)
        return NULL;
    auto_free char *dir = path_absolute(given, NULL);
    auto_err struct err why = { 0 };
    auto_close int top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (top < 0 || fs_mkdirs_at(top, dir, 0700, &why) < 0) {
        log_warn("no cache: %s", why.msg ? why.msg : strerror(errno));
        return NULL;
    }
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 022)) {
        log_warn("no cache: '%s' can be written by others", dir);
        return NULL;
    }
    return steal_ptr(dir);
}

static void add_proxies(const struct cli *cli, struct strv *out)
{
    static const char *const names[] = { "http_proxy", "https_proxy", "ftp_proxy",
                                         "all_proxy",  "no_proxy",    "HTTPS_PROXY",
                                         "FTP_PROXY",  "ALL_PROXY",   "NO_PROXY" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = strv_env_value(cli->environ, names[i]);
        if (value && *value)
            strv_addf(out, "%s=%s", names[i], value);
    }
}

static int read_size(const struct args *args, struct build_spec *spec, struct err *e)
{
    const char *size = args_value(args, "size");
    if (!size || str_parse_size(size, &spec->size_bytes, e) == 0)
        return 0;
    err_wrap(e, "--size");
    return err_code_set(e, ERR_USAGE);
}

static int read_epoch(const struct cli *cli, const struct args *args, struct build_spec *spec,
                      struct err *e)
{
    const char *text = strv_env_value(cli->environ, "SOURCE_DATE_EPOCH");
    uint64_t epoch = 0;
    if (text && *text && str_parse_u64(text, UINT32_MAX, &epoch) < 0) {
        err_set(e, ERR_USAGE, "SOURCE_DATE_EPOCH is '%s', not a number of seconds", text);
        return err_hint(e, "write 'export SOURCE_DATE_EPOCH=$(date +%%s)', or unset it");
    }
    spec->deterministic = args_has(args, "reproducible") || (text && *text);
    spec->epoch = (int64_t)epoch;
    return 0;
}

/* The two words are easily swapped, and then the image would be written over the definition. */
static int check_order(const struct args *args, struct err *e)
{
    if (!str_ends(args->rest[0], ".def") || str_ends(args->rest[1], ".def"))
        return 0;
    err_set(e, ERR_USAGE, "the image '%s' has the name of a definition", args->rest[0]);
    return err_hint(e, "the image comes first: 'hpcc bootstrap %s %s'", args->rest[1],
                    args->rest[0]);
}

static uint64_t bytes_of(struct json_object *report, const char *key)
{
    struct json_object *value = NULL;
    json_object_object_get_ex(report, key, &value);
    return (uint64_t)json_object_get_int64(value);
}

static void tell(const struct cli *cli, const struct build_spec *spec, struct json_object *report)
{
    if (cli->quiet || spec->dry_run)
        return;
    auto_free char *name = str_printable_line(spec->image_path);
    bool plain = name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789._/+-")] == '\0';
    auto_free char *quoted = plain ? mem_strdup(name) : str_shell_quote(name);
    auto_free char *size = str_human_size(bytes_of(report, "size_bytes"));
    auto_free char *disk = str_human_size(bytes_of(report, "disk_bytes"));
    out_say("built '%s': %s, of which %s on disk\n", name, size, disk);
    out_say("try: hpcc run %s\n     hpcc shell %s\n", quoted, quoted);
}

static const char *key_server(const struct args *args)
{
    const char *given = args_value(args, "key-server");
    return !given ? KEY_SERVER : str_eq(given, "none") || !*given ? NULL : given;
}

static int build(struct cli *cli, const struct args *args, struct build_spec *spec, struct err *e)
{
    auto_json struct json_object *report = NULL;
    if (build_bootstrap(spec, &report, e) < 0)
        return -1;
    if (report && args_has(args, "json")) {
        auto_free char *text = json_text(report, 1);
        out_say("%s\n", text);
        return 0;
    }
    if (report && spec->dry_run) {
        auto_str struct str text = { 0 };
        json_object_object_del(report, "format"); /* for programs only */
        plain_add(&text, report, 0);
        out_say("%s", str_text(&text));
        return 0;
    }
    tell(cli, spec, report);
    return 0;
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    auto_strv struct strv proxies = { 0 };
    auto_strv struct strv sections = { 0 };
    auto_config struct config config = { 0 };
    if (config_load(cli->environ, &config, e) < 0)
        return -1;
    auto_free char *cache =
        args_has(args, "no-cache") ? NULL : usable_cache(cli_cache_dir(cli, &config));
    const char *tmp_dir = args_value(args, "tmpdir");
    add_proxies(cli, &proxies);
    args_values(args, "section", &sections);
    struct build_spec spec = {
        .image_path = args->rest[0],
        .def_path = args->rest[1],
        .grow = !args_has(args, "no-grow"),
        .fresh = args_has(args, "fresh"),
        .verify = !args_has(args, "no-verify"),
        .vault = !args_has(args, "no-vault"),
        .run_test = !args_has(args, "no-test"),
        .dry_run = args_has(args, "dry-run"),
        .cache_dir = cache,
        .tmp_dir = tmp_dir ? tmp_dir : config.tmp_dir,
        .arch = args_value(args, "arch"),
        .sections = (const char *const *)sections.v,
        .proxy_env = (const char *const *)proxies.v,
        .key_server = key_server(args),
    };
    if (check_order(args, e) < 0 || read_size(args, &spec, e) < 0 ||
        read_epoch(cli, args, &spec, e) < 0)
        return -1;
    if (!spec.verify)
        log_warn("signatures are not checked: what is fetched may come from anybody");
    return build(cli, args, &spec, e);
}

static void add_agents(struct str *out)
{
    str_add(out, "\nAgents ('Bootstrap: NAME'; 'hpcc help agents' tells their header keys):\n");
    for (const struct agent *const *a = bootstrap_agents; *a; a++)
        str_addf(out, "  %-12s %s\n", (*a)->name, (*a)->help);
}

/* What each agent's own table says. */
static void print_agents(void)
{
    out_say("What 'Bootstrap: NAME' in a definition may say, and the header keys it understands\n"
            "(* must be there).\n");
    for (const struct agent *const *a = bootstrap_agents; *a; a++) {
        out_say("\n%s: %s\n", (*a)->name, (*a)->help);
        const struct agent *same = NULL;
        for (const struct agent *const *b = bootstrap_agents; *b != *a; b++)
            same = (*b)->keys == (*a)->keys && (*b)->keys ? *b : same;
        if (same)
            out_say("    the keys of %s\n", same->name);
        for (const struct agent_key *k = same ? NULL : (*a)->keys; k && k->name; k++)
            out_say("  %c %-14s %s\n", k->kind == AGENT_KEY_REQUIRED ? '*' : ' ', k->name, k->help);
    }
}

const struct command cmd_bootstrap = {
    .synopsis = "[options] IMAGE DEFINITION",
    .help = "Builds an image from a definition file. A missing image is made, sized from its "
            "content; one that holds a system already keeps it and has the sections performed "
            "again. The image named is the old one until the new one is complete: a failure or a "
            "kill changes nothing.\n\n"
            "SIZE is " STR_SIZE_FORMS ".",
    .examples = "  hpcc bootstrap demo.img examples/debian.def\n"
                "  hpcc bootstrap --fresh --size 4G demo.img examples/debian.def\n",
    .opts = opts,
    .more = add_agents,
    .topic = "agents",
    .print_topic = print_agents,
    .min_args = 2,
    .max_args = 2,
    .run = run,
};
