/* SPDX-License-Identifier: BSD-3-Clause */
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/inside.h"
#include "cli/out.h"
#include "image/layout.h"

static const struct opt opts[] = {
    { .name = "labels", .letter = 'l', .help = "show the labels (the default)" },
    { .name = "deffile", .letter = 'd', .help = "show the definition file it was built from" },
    { .name = "runscript", .letter = 'r', .help = "show the script that 'hpcc run' starts" },
    { .name = "startscript", .letter = 's', .help = "show the start script" },
    { .name = "environment", .letter = 'e', .help = "show the scripts that set the environment" },
    { .name = "helpfile", .letter = 'H', .help = "show the help text" },
    { .name = "test", .letter = 't', .help = "show the test script" },
    { .name = "all", .help = "show all of these" },
    { .name = "json", .letter = 'j', .help = "show them as JSON" },
    { .name = "label", .alias_of = "labels" },
    { .name = "run", .alias_of = "runscript" },
    { 0 },
};

/* One thing to show, in the order shown. */
struct facet {
    const char *name; /* option and JSON key */
    const char *file; /* NULL: the environment, which is several */
    const char *old;  /* where images from before Singularity 2.3 have it, or NULL */
};

static const struct facet facets[] = {
    { "labels", LAYOUT_LABELS, NULL },
    { "deffile", LAYOUT_DEFFILE, NULL },
    { "runscript", LAYOUT_RUNSCRIPT, LAYOUT_OLD_RUNSCRIPT },
    { "startscript", LAYOUT_STARTSCRIPT, NULL },
    { "environment", NULL, LAYOUT_OLD_ENV },
    { "helpfile", LAYOUT_HELP, NULL },
    { "test", LAYOUT_TEST, ".test" },
};

/* Scripts that every image of a kind has alike say nothing about this one. */
static bool own_environment(const char *name)
{
    static const char *const common[] = { "01-base.sh", "94-appsbase.sh", "95-apps.sh",
                                          "99-base.sh", "99-runtimevars.sh" };
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        if (str_eq(name, common[i]))
            return false;
    return str_ends(name, ".sh");
}

/* The environment as {"/path": "text"}. */
static int read_environment(const struct inside *in, const struct facet *f,
                            struct json_object **out, struct err *e)
{
    auto_strv struct strv names = { 0 };
    auto_json struct json_object *map = json_object_new_object();
    if (inside_list(in, LAYOUT_ENV_DIR, &names, e) < 0)
        return -1;
    auto_strv struct strv files = { 0 };
    for (size_t i = 0; i < names.n; i++)
        if (own_environment(names.v[i]))
            strv_take(&files, path_join(LAYOUT_ENV_DIR, names.v[i]));
    if (names.n == 0)
        strv_add(&files, f->old);
    for (size_t i = 0; i < files.n; i++) {
        auto_str struct str text = { 0 };
        int rc = inside_read(in, files.v[i], &text, e);
        if (rc < 0)
            return -1;
        auto_free char *key = mem_printf("/%s", files.v[i]);
        if (rc > 0)
            json_put_str(map, key, str_text(&text));
    }
    *out = json_object_object_length(map) ? steal_ptr(map) : NULL;
    return 0;
}

static struct json_object *parse_labels(const struct inside *in, const struct str *text)
{
    auto_err struct err why = { 0 };
    auto_json struct json_object *doc = json_read(str_text(text), text->len, LAYOUT_LABELS, &why);
    if (doc && json_object_is_type(doc, json_type_object))
        return steal_ptr(doc);
    log_warn("image '%s': its labels are not a JSON object: %s", in->path,
             why.msg ? why.msg : "of another type");
    return json_object_new_object();
}

/* The facet's value, NULL in OUT when the image has none. */
static int read_facet(const struct inside *in, const struct facet *f, struct json_object **out,
                      struct err *e)
{
    *out = NULL;
    if (!f->file)
        return read_environment(in, f, out, e);
    auto_str struct str text = { 0 };
    int rc = inside_read(in, f->file, &text, e);
    if (rc == 0 && f->old)
        rc = inside_read(in, f->old, &text, e);
    if (rc <= 0)
        return rc;
    if (str_eq(f->name, "labels"))
        *out = parse_labels(in, &text);
    else
        *out = json_object_new_string_len(str_text(&text), (int)text.len);
    return 0;
}

/* A file's bytes go as they are into a file or pipe when that one file is all that was asked for.
 */
static void print_text(const char *text, size_t len, bool raw)
{
    if (raw)
        out_bytes(text, len);
    else
        out_say("%s", text);
    if (len > 0 && text[len - 1] != '\n')
        out_say("\n");
}

static void print_facet(const struct facet *f, struct json_object *value, bool raw)
{
    if (json_object_is_type(value, json_type_string)) {
        print_text(json_object_get_string(value), (size_t)json_object_get_string_len(value), raw);
        return;
    }
    json_object_object_foreach(value, key, item)
    {
        const char *text = json_object_get_string(item); /* of any type */
        auto_free char *name = str_printable_line(key);
        auto_free char *line = f->file ? mem_printf("%s: %s\n", name, text ? text : "null")
                                       : mem_printf("# %s\n%s", name, text ? text : "");
        print_text(line, strlen(line), false);
    }
}

static bool wanted(const struct args *args, const struct facet *f)
{
    if (args_has(args, "all") || args_has(args, f->name))
        return true;
    if (!str_eq(f->name, "labels"))
        return false;
    for (size_t i = 1; i < ARRAY_LEN(facets); i++)
        if (args_has(args, facets[i].name))
            return false;
    return true;
}

static void print_json(struct json_object *attributes)
{
    auto_json struct json_object *doc = json_object_new_object();
    struct json_object *data = json_object_new_object();
    json_put(data, "attributes", json_object_get(attributes));
    json_put(doc, "data", data);
    json_put_str(doc, "type", "container");
    auto_free char *text = json_text(doc, 1);
    out_say("%s\n", text);
}

static void print_plain(const struct inside *in, struct json_object *attributes)
{
    bool several = json_object_object_length(attributes) > 1;
    for (size_t i = 0; i < ARRAY_LEN(facets); i++) {
        struct json_object *value = NULL;
        if (!json_object_object_get_ex(attributes, facets[i].name, &value))
            continue;
        if (!value) {
            log_info("image '%s' has no %s", in->path, facets[i].name);
            continue;
        }
        if (several)
            out_say("==> %s <==\n", facets[i].name);
        print_facet(&facets[i], value, !several && !isatty(STDOUT_FILENO));
        if (several)
            out_say("\n");
    }
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    (void)cli;
    bool json = args_has(args, "json");
    auto_inside struct inside in = { 0 };
    if (inside_open(args->rest[0], &in, e) < 0)
        return -1;
    auto_json struct json_object *attributes = json_object_new_object();
    for (size_t i = 0; i < ARRAY_LEN(facets); i++) {
        struct json_object *value = NULL;
        if (!wanted(args, &facets[i]))
            continue;
        if (read_facet(&in, &facets[i], &value, e) < 0)
            return -1;
        if (!value && json && str_eq(facets[i].name, "labels"))
            value = json_object_new_object(); /* workflow engines want attributes that are there */
        if (value || (!json && !args_has(args, "all")))
            json_put(attributes, facets[i].name, value);
    }
    if (json)
        print_json(attributes);
    else
        print_plain(&in, attributes);
    return 0;
}

const struct command cmd_inspect = {
    .synopsis = "[options] IMAGE",
    .help = "Shows what an image says about itself: labels, the definition it was built from, its "
            "scripts and help text. IMAGE is an image file or a directory; nothing is mounted and "
            "no privilege is needed.",
    .examples = "  hpcc inspect demo.img\n  hpcc inspect --deffile demo.img > demo.def\n"
                "  hpcc inspect --all --json demo.img\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
