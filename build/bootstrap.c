/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/bootstrap.h"
#include "build/parts.h"

static void tell_warnings(const struct deffile *def)
{
    for (size_t i = 0; i < def->n_diags; i++) {
        if (def->diags[i].severity != DEFFILE_WARNING)
            continue;
        auto_free char *text = deffile_diag_text(def, &def->diags[i]);
        log_warn("%s", text);
    }
}

/* Everything that can be wrong before the first byte is written. */
static int check(struct build *b, struct err *e)
{
    if (sections_filter_check(b->spec->sections, e) < 0)
        return -1;
    if (build_read(b->spec->def_path, &b->def, e) < 0)
        return -1;
    if (b->def->ok)
        sections_check(b->def, !b->spec->sections);
    auto_err struct err host = { 0 };
    for (size_t i = 0; b->def->ok && !host.code && i < b->def->n_stages; i++) {
        struct agent_input in = build_agent_input(b, &b->def->stages[i]);
        if (bootstrap_check(&in, b->def, &host) == 0)
            err_clear(&host);
    }
    if (!b->def->ok) {
        deffile_err(b->def, e);
        return e && e->hint ? -1 : err_hint(e, "hpcc deffile check tells all mistakes");
    }
    tell_warnings(b->def);
    if (target_open(b->spec, &b->target, e) < 0)
        return -1;
    bool agent_runs = !b->target.keep || b->def->n_stages > 1;
    return host.code && agent_runs ? err_move(e, &host) : 0;
}

static int plan(const struct build *b, struct json_object **report, struct err *e)
{
    auto_json struct json_object *o = json_object_new_object();
    struct json_object *stages = json_object_new_array();
    json_put_str(o, "format", "hpcc.build-plan.v1");
    json_put_str(o, "image", b->target.path);
    json_put_bool(o, "exists", b->target.exists);
    json_put_bool(o, "keeps_system", b->target.keep);
    json_put(o, "stages", stages);
    for (size_t i = 0; i < b->def->n_stages; i++) {
        const struct deffile_stage *s = &b->def->stages[i];
        const struct agent *agent = build_agent(b, i);
        bool keep = b->target.keep && i + 1 == b->def->n_stages;
        struct json_object *stage = json_object_new_object();
        struct json_object *sections = json_object_new_array();
        json_add(stages, stage);
        json_put_str(stage, "agent", keep ? NULL : agent->name);
        json_put(stage, "sections", sections);
        for (const struct section_kind *const *k = section_kinds; *k; k++) {
            size_t n = 0;
            for (size_t j = 0; j < s->n_sections; j++)
                n += str_eq(s->sections[j].name, (*k)->name);
            if (n)
                json_add(sections, json_object_new_string((*k)->name));
        }
        struct json_object *detail = NULL;
        struct agent_input in = build_agent_input(b, s);
        if (!keep && bootstrap_plan(&in, &detail, e) < 0)
            return -1;
        if (detail)
            json_put(stage, "base", detail);
    }
    *report = steal_ptr(o);
    return 0;
}

static int remove_stage(void *ctx, struct str *result, struct err *e)
{
    (void)result;
    (void)e;
    stage_dir_remove(ctx);
    return 0;
}

/* The worker's monitor has removed the stage; when it was killed itself, another worker does: it
 * has the ids that the files belong to. */
static void remove_rest(struct build *b, const struct runtime_worker_spec *worker)
{
    const struct stage *s = &b->stage_dir;
    const struct runtime_worker_spec again = {
        .main = remove_stage,
        .ctx = b,
        .need_root_map = worker->need_root_map,
    };
    auto_err struct err why = { 0 };
    if (faccessat(s->at.dir_fd, s->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
        runtime_worker_run(&again, NULL, &why) < 0)
        log_warn("the stage '%s/%s' stays: %s", s->at.path, s->name, why.msg);
}

static int perform(struct build *b, struct json_object **report, struct err *e)
{
    auto_str struct str result = { 0 };
    struct interrupts interrupts;
    if (interrupts_catch(&interrupts, e) < 0)
        return -1;
    struct runtime_worker_spec worker = {
        .main = build_work,
        .prepare = stage_dir_make,
        .cleanup = stage_dir_remove,
        .ctx = b,
        .dir = &b->own,
        .stop_fd = &interrupts.fd,
    };
    for (size_t i = 0; i < b->def->n_stages; i++)
        worker.need_root_map = worker.need_root_map || build_agent(b, i)->needs_root_map;
    int rc = runtime_worker_run(&worker, &result, e);
    remove_rest(b, &worker);
    int signal = interrupts_release(&interrupts);
    if (rc < 0 && signal) {
        err_set(e, ERR_FAILED, "interrupted (%s): '%s' is as it was", strsignal(signal),
                b->target.path);
        if (e) {
            e->sys = EINTR;
            e->status = 128 + signal;
        }
        return -1;
    }
    if (rc < 0) {
        log_file_keep(b->log_fd, &b->target.log, e);
        return -1;
    }
    log_file_forget(&b->target.log);
    *report = json_read(str_text(&result), result.len, "the worker's report", e);
    return *report ? 0 : -1;
}

int build_bootstrap(const struct build_spec *spec, struct json_object **report, struct err *e)
{
    struct utsname host;
    if (uname(&host) < 0)
        return err_sys(e, "cannot ask for the host's architecture");
    struct build b = {
        .spec = spec,
        .arch = spec->arch ? spec->arch : host.machine,
        .target = TARGET_INIT,
        .stage_dir = STAGE_INIT,
        .own = { .fd = -1 },
        .log_fd = -1,
        .rootfs_fd = -1,
    };
    int rc = check(&b, e);
    if (rc == 0 && spec->dry_run) {
        rc = plan(&b, report, e);
    } else if (rc == 0) {
        b.log_fd = log_file_open(e);
        rc = b.log_fd < 0 || stage_dir_plan(&b, e) < 0 ? -1 : perform(&b, report, e);
    }
    cleanup_fd(&b.log_fd);
    stage_fini(&b.stage_dir);
    target_close(&b.target);
    deffile_free(b.def);
    return rc;
}
