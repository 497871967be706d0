/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "build/parts.h"
#include "image/layout.h"

/* Sections that become files below /.singularity.d. */

void script_with_interpreter(const char *text, const char *args, struct str *out)
{
    size_t blanks = strspn(text, " \t\n");
    const char *line = text + blanks;
    if (str_starts(line, "#!")) {
        size_t n = strcspn(line, "\n");
        str_add_n(out, line, n);
        str_add_c(out, '\n');
        str_add(out, line + n + (line[n] == '\n'));
        return;
    }
    auto_strv struct strv words = { 0 };
    strv_split(&words, args, " \t");
    if (words.n > 1 && str_eq(words.v[0], "-c"))
        str_addf(out, "#!%s\n\n", words.v[1]);
    else
        str_addf(out, "#!/bin/sh%s%s\n\n", *args ? " " : "", args);
    str_add(out, text);
}

static unsigned heading_line(const struct build *b, const char *name)
{
    unsigned line = 0;
    section_args(b->stage, name, NULL, &line);
    return line;
}

static int perform_environment(struct build *b, const struct section_kind *kind, struct err *e)
{
    auto_str struct str text = { 0 };
    str_add(&text, "#!/bin/sh\n# from the %environment section of the definition\n\n");
    section_body(b->stage, kind->name, NULL, &text);
    return fs_write_at(b->rootfs_fd, LAYOUT_ENV_USER, &text, 0755, e);
}

static int write_script(struct build *b, const struct section_kind *kind, const char *path,
                        struct err *e)
{
    auto_str struct str body = { 0 };
    auto_str struct str text = { 0 };
    if (!section_body(b->stage, kind->name, NULL, &body)) {
        log_warn("%s:%u: the empty section '%%%s' is left out", b->def->name,
                 heading_line(b, kind->name), kind->name);
        return 0;
    }
    script_with_interpreter(body.data, section_args(b->stage, kind->name, NULL, NULL), &text);
    return fs_write_at(b->rootfs_fd, path, &text, 0755, e);
}

static int perform_runscript(struct build *b, const struct section_kind *kind, struct err *e)
{
    return write_script(b, kind, LAYOUT_RUNSCRIPT, e);
}

static int perform_startscript(struct build *b, const struct section_kind *kind, struct err *e)
{
    return write_script(b, kind, LAYOUT_STARTSCRIPT, e);
}

static int perform_help(struct build *b, const struct section_kind *kind, struct err *e)
{
    auto_str struct str text = { 0 };
    str_add(&text, "");
    section_body(b->stage, kind->name, NULL, &text);
    labels_set(b->labels, "org.label-schema.usage", "/" LAYOUT_HELP);
    labels_set(b->labels, "org.label-schema.usage.singularity.runscript.help", "/" LAYOUT_HELP);
    return fs_write_at(b->rootfs_fd, LAYOUT_HELP, &text, 0644, e);
}

static int perform_labels(struct build *b, const struct section_kind *kind, struct err *e)
{
    (void)e;
    const struct deffile_section *s;
    for (size_t pos = 0; (s = deffile_section_next(b->stage, kind->name, NULL, &pos));)
        for (size_t i = 0; i < s->n_entries; i++)
            labels_set(b->labels, s->entries[i].first, s->entries[i].second);
    return 0;
}

/* Templates are a later language: text would be used as it stands, which nobody means. */
static void check_arguments(const struct deffile_stage *stage, struct deffile *def)
{
    auto_str struct str body = { 0 };
    unsigned line = 1;
    section_args(stage, "arguments", NULL, &line);
    if (section_body(stage, "arguments", NULL, &body))
        deffile_diag_add(def, DEFFILE_ERROR, "unsupported", line, 1,
                         "write the values in place of {{ name }}",
                         "'%%arguments' is not supported");
}

static int perform_nothing(struct build *b, const struct section_kind *kind, struct err *e)
{
    (void)b;
    (void)kind;
    (void)e;
    return 0;
}

const struct section_kind section_environment = {
    .name = "environment",
    .perform = perform_environment,
};

const struct section_kind section_runscript = {
    .name = "runscript",
    .perform = perform_runscript,
};

const struct section_kind section_startscript = {
    .name = "startscript",
    .perform = perform_startscript,
};

const struct section_kind section_help = {
    .name = "help",
    .perform = perform_help,
};

const struct section_kind section_labels = {
    .name = "labels",
    .perform = perform_labels,
};

const struct section_kind section_arguments = {
    .name = "arguments",
    .check = check_arguments,
    .perform = perform_nothing,
};
