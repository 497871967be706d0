/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/inside.h"
#include "cli/out.h"
#include "image/layout.h"
#include "runtime/runtime.h"

static const struct opt opts[] = {
    { .name = "explain", .help = "say where each variable comes from, and why it was dropped" },
    { .name = "cleanenv", .letter = 'e', .help = "as in run and exec", .env = "CLEANENV" },
    { .name = "env", .arg = "K=V", .help = "as in run and exec", .many = true },
    { 0 },
};

/* "export NAME=…" lines of the image's scripts: their names only, since a script has to be run to
 * know more. */
static void explain_script(const char *path, const char *text)
{
    auto_strv struct strv lines = { 0 };
    auto_free char *shown = str_printable_line(path);
    strv_split(&lines, text, "\n;");
    for (size_t i = 0; i < lines.n; i++) {
        const char *line = lines.v[i] + strspn(lines.v[i], " \t");
        if (!str_starts(line, "export "))
            continue;
        line += strlen("export ");
        line += strspn(line, " \t\"'");
        int len = (int)strcspn(line, "= \t\"'");
        if (len)
            out_say("%-28.*s set      the image: /%s\n", len, line, shown);
    }
}

static int explain_image(const char *path, struct err *e)
{
    auto_inside struct inside in = { 0 };
    auto_strv struct strv names = { 0 };
    if (inside_open(path, &in, e) < 0 || inside_list(&in, LAYOUT_ENV_DIR, &names, e) < 0)
        return -1;
    for (size_t i = 0; i < names.n; i++) {
        auto_str struct str text = { 0 };
        auto_free char *file = mem_printf("%s/%s", LAYOUT_ENV_DIR, names.v[i]);
        if (!str_ends(file, ".sh"))
            continue;
        if (inside_read(&in, file, &text, e) < 0)
            return -1;
        explain_script(file, str_text(&text));
    }
    return 0;
}

static void print_item(const struct runtime_env_item *item, bool explain)
{
    auto_free char *name = str_printable_line(item->name);
    auto_free char *value = str_printable(item->value);
    if (!explain) {
        if (!item->dropped)
            out_say("%s=%s\n", name, value);
        return;
    }
    if (item->dropped)
        out_say("%-28s dropped  %s: %s\n", name, item->origin, item->dropped);
    else
        out_say("%-28s passed   %s: %s\n", name, item->origin, value);
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    auto_strv struct strv set = { 0 };
    auto_runtime_plan struct runtime_plan *plan = NULL;
    args_values(args, "env", &set);
    const char *const argv[] = { "true", NULL };
    struct runtime_spec spec = {
        .action = RUNTIME_EXEC,
        .image_path = args->rest[0],
        .argv = argv,
        .envp = cli->environ,
        .env_set = (const char *const *)set.v,
        .flags = args_has(args, "cleanenv") ? RUNTIME_CLEANENV : 0,
        .squashfs_server = cli_squashfs_server,
    };
    if (runtime_plan_make(&spec, &plan, e) < 0)
        return -1;
    bool explain = args_has(args, "explain");
    struct runtime_env_item *items = NULL;
    size_t n = 0;
    runtime_env_explain(plan, cli->environ, &items, &n);
    for (size_t i = 0; i < n; i++)
        print_item(&items[i], explain);
    runtime_env_items_free(items, n);
    return explain ? explain_image(args->rest[0], e) : 0;
}

const struct command cmd_env = {
    .synopsis = "[options] IMAGE",
    .help =
        "Prints the environment that a program of the image starts with, before the image's own "
        "scripts are read. With --explain: every variable of the caller and of hpcc, whether it "
        "is passed or dropped and why, and the variables that the image's scripts set.",
    .examples = "  hpcc env --explain demo.img | grep dropped\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
