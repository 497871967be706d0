/* SPDX-License-Identifier: BSD-3-Clause */

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/out.h"
#include "runtime/runtime.h"

static const struct opt opts[] = {
    { .name = "json", .help = "report as JSON" },
    { 0 },
};

static void print_json(const struct runtime_finding *f, size_t n)
{
    auto_json struct json_object *doc = json_object_new_object();
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        struct json_object *o = json_object_new_object();
        json_put_str(o, "name", f[i].name);
        json_put_bool(o, "ok", f[i].ok);
        json_put_bool(o, "fatal", f[i].fatal);
        json_put_str(o, "text", f[i].text);
        json_put_str(o, "cure", f[i].cure);
        json_add(list, o);
    }
    json_put_str(doc, "schema", "hpcc.doctor.v1");
    json_put(doc, "findings", list);
    auto_free char *text = json_text(doc, 1);
    out_say("%s\n", text);
}

static void print_text(const struct runtime_finding *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out_say("%-8s %-8s %s\n",
                f[i].ok      ? "ok"
                : f[i].fatal ? "missing"
                             : "limited",
                f[i].name, f[i].text);
        if (f[i].cure && *f[i].cure)
            out_say("%-17s cure: %s\n", "", f[i].cure);
    }
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    (void)cli;
    struct runtime_finding *f = NULL;
    size_t n = 0;
    if (runtime_doctor(cli_squashfs_server, &f, &n, e) < 0)
        return -1;
    if (args_has(args, "json"))
        print_json(f, n);
    else
        print_text(f, n);
    bool fatal = false;
    for (size_t i = 0; i < n; i++)
        fatal |= f[i].fatal;
    runtime_findings_free(f, n);
    return fatal ? ERR_HOST : 0;
}

const struct command cmd_doctor = {
    .synopsis = "[options]",
    .help =
        "Tries what running and building images needs on this host, and says one line for each: "
        "'ok', 'limited' (something works less well) or 'missing' (images cannot be run), with "
        "the cure.\n\n"
        "Exit status 4 when 'hpcc run' cannot work here for this user.",
    .examples = "  hpcc doctor\n",
    .opts = opts,
    .max_args = 0,
    .run = run,
};
