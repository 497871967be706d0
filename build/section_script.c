/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "build/parts.h"
#include "image/layout.h"

/* %pre %setup on the host, %post %test inside. */

static int perform_on_host(struct build *b, const struct section_kind *kind, struct err *e)
{
    const struct script_spec spec = { .section = kind->name, .on_host = true };
    return script_run(b, &spec, e);
}

/* What %post writes to $SINGULARITY_ENVIRONMENT and $SINGULARITY_LABELS starts empty. */
static int perform_post(struct build *b, const struct section_kind *kind, struct err *e)
{
    static const char head[] = "#!/bin/sh\n";
    auto_str struct str text = { 0 };
    auto_str struct str labels = { 0 };
    str_add(&text, head);
    str_add(&labels, "");
    const char *label_file = LAYOUT_HPCC_DIR "/labels";
    if (fs_write_at(b->rootfs_fd, LAYOUT_ENV_POST, &text, 0755, e) < 0 ||
        fs_write_at(b->rootfs_fd, label_file, &labels, 0644, e) < 0)
        return -1;
    const struct script_spec spec = { .section = kind->name };
    if (script_run(b, &spec, e) < 0)
        return -1;
    if (fs_read_at(b->rootfs_fd, label_file, 1 << 20, &labels, e) < 0)
        return err_wrap(e, "what %%post wrote as labels");
    for (char *line = labels.data, *next; *line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        else
            next = line + strlen(line);
        line += strspn(line, " \t");
        size_t n = strcspn(line, " \t");
        if (n == 0 || line[0] == '#')
            continue;
        auto_free char *key = mem_strndup(line, n);
        labels_set(b->labels, key, line + n + strspn(line + n, " \t"));
    }
    auto_free char *base = NULL;
    auto_close int dir_fd = fs_open_parent_at(b->rootfs_fd, label_file, &base, e);
    return dir_fd < 0 ? -1 : fs_remove_tree(dir_fd, base, e);
}

/* The file is for `hpcc test`; the run at the end of the build has the definition's
 * line numbers. */
static int perform_test(struct build *b, const struct section_kind *kind, struct err *e)
{
    auto_str struct str body = { 0 };
    auto_str struct str text = { 0 };
    bool code = section_body(b->stage, kind->name, NULL, &body);
    const char *args = section_args(b->stage, kind->name, NULL, NULL);
    script_with_interpreter(str_text(&body), args, &text);
    if (!code)
        return 0;
    if (fs_write_at(b->rootfs_fd, LAYOUT_TEST, &text, 0755, e) < 0)
        return -1;
    const struct script_spec spec = { .section = kind->name };
    if (!b->spec->run_test) {
        log_verbose("%%test is not run");
        return 0;
    }
    return script_run(b, &spec, e);
}

const struct section_kind section_pre = {
    .name = "pre",
    .before_base = true,
    .perform = perform_on_host,
};

const struct section_kind section_setup = {
    .name = "setup",
    .perform = perform_on_host,
};

const struct section_kind section_post = {
    .name = "post",
    .perform = perform_post,
};

const struct section_kind section_test = {
    .name = "test",
    .perform = perform_test,
};
