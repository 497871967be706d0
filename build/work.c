/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/bootstrap.h"
#include "build/parts.h"
#include "image/layout.h"

/* What the worker does: as uid 0 of its own view, with everything checked beforehand. */

static int run_agent(struct build *b, const void *arg, struct err *e)
{
    (void)arg;
    log_info("making the base: agent '%s'", deffile_header_value(b->stage, "bootstrap"));
    const struct agent_input in = build_agent_input(b, b->stage);
    struct agent_result result = { 0 };
    if (bootstrap_run(&in, b->rootfs_fd, &result, e) < 0)
        return -1;
    json_object_put(b->facts);
    b->facts = result.facts;
    return 0;
}

/* How the base that is kept was made, as the build that made it wrote down. */
static struct json_object *old_facts(int rootfs_fd)
{
    auto_str struct str text = { 0 };
    struct json_object *facts = NULL;
    if (fs_read_at(rootfs_fd, LAYOUT_HPCC_DIR "/build.json", 16 << 20, &text, NULL) < 0)
        return NULL;
    auto_json struct json_object *old = json_read(text.data, text.len, "build.json", NULL);
    if (!old || !json_object_object_get_ex(old, "base", &facts))
        return NULL;
    return json_object_get(facts);
}

static int keep_old(struct build *b, const void *arg, struct err *e)
{
    (void)arg;
    log_info("keeping the system that '%s' holds; --fresh starts over", b->target.path);
    if (image_unpack(b->target.fd, &b->target.info, b->rootfs_fd, e) < 0)
        return err_wrap(e, "cannot keep what is in '%s'", b->target.path);
    b->facts = old_facts(b->rootfs_fd);
    return 0;
}

static int open_root(struct build *b, size_t n, struct err *e)
{
    auto_free char *name = mem_printf("root-%zu", n);
    if (mkdirat(b->own.fd, name, 0755) < 0)
        return err_sys(e, "cannot make the root '%s' in the stage", name);
    b->roots[n] = openat(b->own.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (b->roots[n] < 0)
        return err_sys(e, "cannot open the root");
    b->rootfs_fd = b->roots[n];
    b->n_roots = n + 1;
    return 0;
}

static int make_stage(struct build *b, size_t n, struct err *e)
{
    bool last = n + 1 == b->def->n_stages;
    b->stage = &b->def->stages[n];
    b->rootfs_fd = -1;
    if (sections_perform(b, true, e) < 0 || open_root(b, n, e) < 0)
        return -1;
    bool keep = last && b->target.keep;
    if (step_run(b, keep ? "unpack" : "base", keep ? keep_old : run_agent, NULL, e) < 0 ||
        layout_make(b->rootfs_fd, e) < 0)
        return -1;
    json_object_put(b->labels);
    b->labels = NULL;
    if (labels_read(b->rootfs_fd, &b->labels, e) < 0 || sections_perform(b, false, e) < 0)
        return -1;
    return labels_write(b, e);
}

/* What the image itself tells: without what a second build would have otherwise. */
static int write_report(struct build *b, struct err *e)
{
    auto_json struct json_object *o = json_object_new_object();
    auto_str struct str text = { 0 };
    json_put_str(o, "format", "hpcc.build.v1");
    json_put_str(o, "hpcc", HPCC_VERSION);
    json_put_str(o, "arch", b->arch);
    json_put(o, "base", json_object_get(b->facts));
    if (!b->spec->deterministic)
        json_put(o, "steps", json_object_get(b->steps));
    auto_free char *json = json_text(o, 1);
    str_addf(&text, "%s\n", json);
    return fs_write_at(b->rootfs_fd, LAYOUT_HPCC_DIR "/build.json", &text, 0644, e);
}

static int pack(struct build *b, const void *arg, struct err *e)
{
    struct image_pack_report *report = *(struct image_pack_report *const *)arg;
    struct target *t = &b->target;
    const struct image_pack_spec spec = {
        .place = &t->place,
        .path = t->path,
        .rootfs_fd = b->rootfs_fd,
        .size_bytes = t->size_bytes,
        .grow = b->spec->grow,
        .replace = t->exists,
        .deterministic = b->spec->deterministic,
        .epoch = b->spec->epoch,
        .mode = t->mode,
        .owner_uid = t->owner_uid,
        .owner_gid = t->owner_gid,
    };
    return image_pack(&spec, report, e);
}

static void tell(const struct build *b, const struct image_pack_report *p, struct str *result)
{
    auto_json struct json_object *o = json_object_new_object();
    json_put_str(o, "format", "hpcc.build.v1");
    json_put_str(o, "image", b->target.path);
    json_put_int(o, "size_bytes", (int64_t)p->size_bytes);
    json_put_int(o, "disk_bytes", (int64_t)p->disk_bytes);
    json_put_int(o, "data_bytes", (int64_t)p->data_bytes);
    json_put_int(o, "files", (int64_t)p->n_files);
    json_put_int(o, "directories", (int64_t)p->n_dirs);
    json_put_int(o, "links", (int64_t)p->n_links);
    json_put_bool(o, "grew", p->grew);
    json_put_bool(o, "kept", b->target.keep);
    json_put(o, "base", json_object_get(b->facts));
    json_put(o, "steps", json_object_get(b->steps));
    auto_free char *text = json_text(o, 0);
    str_add(result, text);
}

static int work(struct build *b, struct str *result, struct err *e)
{
    for (size_t i = 0; i < b->def->n_stages; i++)
        if (make_stage(b, i, e) < 0)
            return -1;
    if (layout_keep_definition(b->rootfs_fd, b->def, e) < 0 ||
        (b->spec->deterministic && clean_times(b->rootfs_fd, b->spec->epoch, e) < 0) ||
        write_report(b, e) < 0)
        return -1;
    struct image_pack_report report = { 0 }, *at = &report;
    if (step_run(b, "pack", pack, &at, e) < 0)
        return -1;
    tell(b, &report, result);
    return 0;
}

int build_work(void *ctx, struct str *result, struct err *e)
{
    struct build *b = ctx;
    umask(022);
    b->rootfs_fd = -1;
    b->steps = json_object_new_array();
    b->roots = mem_zero(b->def->n_stages, sizeof *b->roots);
    int rc = work(b, result, e);
    for (size_t i = 0; i < b->n_roots; i++)
        close(b->roots[i]);
    free(b->roots);
    json_object_put(b->steps);
    json_object_put(b->facts);
    json_object_put(b->labels);
    return rc;
}
