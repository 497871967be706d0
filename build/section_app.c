/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fs.h"
#include "base/mem.h"
#include "base/strv.h"
#include "build/parts.h"

/* Applications inside one image (SCI-F): each has its own tree /scif/apps/NAME with bin and lib,
 * metadata in scif/, and data in /scif/data/NAME. */

static int make_app(struct build *b, const char *app, struct err *e)
{
    static const char *const dirs[][2] = { { "apps", "bin" },
                                           { "apps", "lib" },
                                           { "apps", "scif/env" },
                                           { "data", "input" },
                                           { "data", "output" } };
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        auto_free char *path = mem_printf("/scif/%s/%s/%s", dirs[i][0], app, dirs[i][1]);
        if (fs_mkdirs_at(b->rootfs_fd, path, 0755, e) < 0)
            return -1;
    }
    return 0;
}

static char *app_path(const char *app, const char *name)
{
    return mem_printf("/scif/apps/%s/scif/%s", app, name);
}

/* Call STEP once for each application that has a section of KIND. */
static int each_app(struct build *b, const struct section_kind *kind,
                    int (*step)(struct build *b, const struct section_kind *kind, const char *app,
                                struct err *e),
                    struct err *e)
{
    auto_strv struct strv seen = { 0 };
    for (size_t i = 0; i < b->stage->n_sections; i++) {
        const struct deffile_section *s = &b->stage->sections[i];
        if (!str_eq(s->name, kind->name) || strv_has(&seen, s->app))
            continue;
        strv_add(&seen, s->app);
        if (make_app(b, s->app, e) < 0 || step(b, kind, s->app, e) < 0)
            return -1;
    }
    return 0;
}

/* Sections whose body becomes a file of the application. */
static const struct app_file {
    const char *section, *name;
    const char *head; /* NULL: the body's own #! line, or that of a shell */
    mode_t mode;
} app_files[] = {
    { "appenv", "env/90-environment.sh", "#!/bin/sh\n\n", 0755 },
    { "apphelp", "runscript.help", "", 0644 },
    { "apprun", "runscript", NULL, 0755 },
    { "appstart", "startscript", NULL, 0755 },
    { "apptest", "test", NULL, 0755 },
};

static int write_file(struct build *b, const struct section_kind *kind, const char *app,
                      struct err *e)
{
    const struct app_file *f = app_files;
    while (!str_eq(f->section, kind->name))
        f++;
    auto_free char *path = app_path(app, f->name);
    auto_str struct str body = { 0 };
    auto_str struct str text = { 0 };
    str_add(&body, "");
    section_body(b->stage, kind->name, app, &body);
    if (f->head)
        str_addf(&text, "%s%s", f->head, body.data);
    else
        script_with_interpreter(body.data, "", &text);
    return fs_write_at(b->rootfs_fd, path, &text, f->mode, e);
}

static int write_labels(struct build *b, const struct section_kind *kind, const char *app,
                        struct err *e)
{
    auto_json struct json_object *labels = json_object_new_object();
    auto_free char *path = app_path(app, "labels.json");
    auto_str struct str text = { 0 };
    const struct deffile_section *s;
    for (size_t pos = 0; (s = deffile_section_next(b->stage, kind->name, app, &pos));)
        for (size_t i = 0; i < s->n_entries; i++)
            labels_set(labels, s->entries[i].first, s->entries[i].second);
    labels_set(labels, "SCIF_APPNAME", app);
    auto_free char *json = json_text(labels, 1);
    str_addf(&text, "%s\n", json);
    return fs_write_at(b->rootfs_fd, path, &text, 0644, e);
}

static int install(struct build *b, const struct section_kind *kind, const char *app, struct err *e)
{
    auto_free char *prologue = mem_printf("cd /scif/apps/%s", app);
    const struct script_spec spec = { .section = kind->name, .app = app, .prologue = prologue };
    return script_run(b, &spec, e);
}

static int perform_file(struct build *b, const struct section_kind *kind, struct err *e)
{
    return each_app(b, kind, write_file, e);
}

static int perform_labels(struct build *b, const struct section_kind *kind, struct err *e)
{
    return each_app(b, kind, write_labels, e);
}

static int perform_install(struct build *b, const struct section_kind *kind, struct err *e)
{
    return each_app(b, kind, install, e);
}

const struct section_kind section_appenv = { .name = "appenv", .perform = perform_file };
const struct section_kind section_apphelp = { .name = "apphelp", .perform = perform_file };
const struct section_kind section_apprun = { .name = "apprun", .perform = perform_file };
const struct section_kind section_appstart = { .name = "appstart", .perform = perform_file };
const struct section_kind section_apptest = { .name = "apptest", .perform = perform_file };
const struct section_kind section_applabels = { .name = "applabels", .perform = perform_labels };
const struct section_kind section_appinstall = { .name = "appinstall", .perform = perform_install };
