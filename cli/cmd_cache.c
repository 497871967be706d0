/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "bootstrap/bootstrap.h"
#include "cli/cache_dir.h"
#include "cli/cli.h"
#include "cli/out.h"

static const struct opt opts[] = {
    { .name = "json", .help = "report as JSON" },
    { 0 },
};

static int64_t number(struct json_object *o, const char *key)
{
    struct json_object *v = NULL;
    return json_object_object_get_ex(o, key, &v) ? json_object_get_int64(v) : 0;
}

static void print_kinds(struct json_object *doc)
{
    struct json_object *kinds = NULL;
    json_object_object_get_ex(doc, "kinds", &kinds);
    for (size_t i = 0; i < json_object_array_length(kinds); i++) {
        struct json_object *k = json_object_array_get_idx(kinds, i);
        auto_free char *size = str_human_size((uint64_t)number(k, "bytes"));
        out_say("%-6s %10s  %" PRId64 " files: %s\n", json_get_str(k, "name"), size,
                number(k, "files"), json_get_str(k, "what"));
    }
}

static void print_roots(struct json_object *doc)
{
    struct json_object *roots = NULL;
    json_object_object_get_ex(doc, "base_roots", &roots);
    for (size_t i = 0; i < json_object_array_length(roots); i++) {
        struct json_object *r = json_object_array_get_idx(roots, i);
        const char *suite = json_get_str(r, "suite");
        auto_free char *size = str_human_size((uint64_t)number(r, "bytes"));
        out_say("       %10s  %s %s, made %s\n", size, json_get_str(r, "agent"), suite ? suite : "",
                json_get_str(r, "made"));
    }
}

static int list(const char *dir, bool json, struct err *e)
{
    auto_json struct json_object *doc = NULL;
    if (bootstrap_cache_list(dir, &doc, e) < 0)
        return -1;
    if (json) {
        auto_free char *text = json_text(doc, 1);
        out_say("%s\n", text);
        return 0;
    }
    auto_free char *size = str_human_size((uint64_t)number(doc, "bytes"));
    out_say("%s: %s\n", dir, size);
    print_kinds(doc);
    print_roots(doc);
    return 0;
}

static int clean(const char *dir, const char *kind, bool json, struct err *e)
{
    uint64_t freed = 0;
    if (bootstrap_cache_clean(dir, kind, &freed, e) < 0)
        return -1;
    if (json) {
        auto_json struct json_object *doc = json_object_new_object();
        json_put_str(doc, "dir", dir);
        json_put_int(doc, "freed_bytes", (int64_t)freed);
        auto_free char *text = json_text(doc, 1);
        out_say("%s\n", text);
        return 0;
    }
    auto_free char *size = str_human_size(freed);
    out_say("freed %s\n", size);
    return 0;
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    const char *verb = args->rest[0];
    const char *kind = args->rest[1];
    auto_config struct config config = { 0 };
    if (config_load(cli->environ, &config, e) < 0)
        return -1;
    auto_free char *dir = cli_cache_dir(cli, &config);
    if (!dir) {
        err_set(e, ERR_USAGE, "this user has no cache: neither HOME nor XDG_CACHE_HOME is set");
        return err_hint(e, "set HPCC_CACHEDIR to a directory of your own");
    }
    if (str_eq(verb, "clean"))
        return clean(dir, kind, args_has(args, "json"), e);
    if (str_eq(verb, "list") && !kind)
        return list(dir, args_has(args, "json"), e);
    if (kind && str_eq(verb, "list"))
        return err_set(e, ERR_USAGE, "'hpcc cache list' takes no argument");
    err_set(e, ERR_USAGE, "unknown action '%s'", verb);
    return err_hint(e, "'hpcc cache list' or 'hpcc cache clean'");
}

const struct command cmd_cache = {
    .synopsis = "[options] list | clean [KIND]",
    .help =
        "Shows or empties the user's cache: packages that were fetched and finished base roots, "
        "which make a repeated 'hpcc bootstrap' quick. Everything in it is checked before use "
        "and can be made again, so it may be emptied at any time.",
    .examples = "  hpcc cache list\n"
                "  hpcc cache clean base\n",
    .verbs = "list clean",
    .opts = opts,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
