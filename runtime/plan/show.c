/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/plan/plan.h"

/* One list of steps, told twice: as lines and as JSON. */

static const char *const kinds[PLAN_KINDS] = {
    [PLAN_BIND] = "bind",     [PLAN_TMPFS] = "tmpfs",       [PLAN_DEV] = "devices",
    [PLAN_PROC] = "new-proc", [PLAN_ACCOUNTS] = "accounts",
};

static const char *const by[] = {
    [PLAN_BY_BIND] = "directory",
    [PLAN_BY_LOOP] = "loop",
    [PLAN_BY_FUSE] = "fuse",
};

static const char *const actions[] = {
    [RUNTIME_RUN] = "run",
    [RUNTIME_EXEC] = "exec",
    [RUNTIME_SHELL] = "shell",
    [RUNTIME_TEST] = "test",
};

static const struct {
    unsigned flag;
    const char *name;
} namespaces[] = {
    { RUNTIME_PID_NS, "pid" },
    { RUNTIME_IPC_NS, "ipc" },
    { RUNTIME_NET_NS, "net" },
    { RUNTIME_UTS_NS, "uts" },
};

static const struct {
    unsigned attr;
    const char *name;
} attributes[] = {
    { MOUNT_RO, "ro" },         { MOUNT_NOSUID, "nosuid" }, { MOUNT_NODEV, "nodev" },
    { MOUNT_NOEXEC, "noexec" }, { MOUNT_FLAT, "flat" },     { MOUNT_LINK, "link" },
};

static const struct {
    unsigned trait;
    const char *name;
} traits[] = {
    { PLAN_MAKE, "make" },
    { PLAN_OPTIONAL, "optional" },
};

static void namespace_names(const struct runtime_plan *p, struct strv *out)
{
    if (p->userns)
        strv_add(out, "user");
    strv_add(out, "mount");
    for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
        if (p->flags & namespaces[i].flag)
            strv_add(out, namespaces[i].name);
}

static void op_words(const struct plan_op *op, struct strv *out)
{
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++)
        if (op->attrs & attributes[i].attr)
            strv_add(out, attributes[i].name);
    for (size_t i = 0; i < ARRAY_LEN(traits); i++)
        if (op->traits & traits[i].trait)
            strv_add(out, traits[i].name);
}

static const char *root_access(const struct runtime_plan *p)
{
    if (p->merge == PLAN_MERGE_IMAGE)
        return "merged-at-end";
    if (p->flags & RUNTIME_WRITABLE)
        return "read-write";
    if (p->flags & RUNTIME_WRITABLE_TMPFS)
        return "tmpfs-overlay";
    return p->n_layers ? "overlay" : "read-only";
}

static const char *layer_access(const struct runtime_plan *p, const struct plan_image *l)
{
    if (!l->writable)
        return "read-only";
    return p->merge == PLAN_MERGE_LAYER ? "merged-at-end" : "read-write";
}

static void say_layers(struct str *s, const struct runtime_plan *p)
{
    for (size_t i = 0; i < p->n_layers; i++) {
        const struct plan_image *l = &p->layers[i];
        auto_free char *path = str_printable(l->path);
        str_addf(s, "%-10s %s by %s, %s\n", "layer", path, by[l->by], layer_access(p, l));
    }
    if (!p->merge)
        return;
    auto_free char *where = str_printable(p->stage_parent);
    str_addf(s, "%-10s changes wait in '%s' until the program has ended\n", "stage", where);
}

static struct json_object *json_layers(const struct runtime_plan *p)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < p->n_layers; i++) {
        const struct plan_image *l = &p->layers[i];
        struct json_object *o = json_object_new_object();
        json_put_str(o, "source", l->path);
        json_put_str(o, "by", by[l->by]);
        json_put_str(o, "access", layer_access(p, l));
        json_add(list, o);
    }
    return list;
}

static void say_op(struct str *s, const struct plan_op *op)
{
    auto_strv struct strv words = { 0 };
    op_words(op, &words);
    auto_free char *list = strv_join(&words, ",");
    auto_free char *src = op->src ? str_printable(op->src) : NULL;
    auto_free char *dst = str_printable(op->dst);
    if (op->kind == PLAN_BIND && !str_eq(src, dst))
        str_addf(s, "%-10s %s on %s (%s)\n", kinds[op->kind], src, dst, list);
    else
        str_addf(s, "%-10s %s (%s)\n", kinds[op->kind], dst, list);
}

char *runtime_plan_text(const struct runtime_plan *p)
{
    auto_str struct str s = { 0 };
    auto_strv struct strv ns = { 0 };
    namespace_names(p, &ns);
    auto_free char *ns_list = strv_join(&ns, " ");
    auto_free char *image = str_printable(p->image.path);
    str_addf(&s, "%-10s %s\n", "namespaces", ns_list);
    str_addf(&s, "%-10s %s by %s, %s\n", "root", image, by[p->image.by], root_access(p));
    say_layers(&s, p);
    for (size_t i = 0; i < p->n_ops; i++)
        say_op(&s, &p->ops[i]);
    str_addf(&s, "%-10s every mount nosuid, all but /dev nodev\n", "audit");
    str_addf(&s, "%-10s %s\n", "start in", p->cwd);
    bool all = p->uid != 0 && !(p->flags & RUNTIME_FAKEROOT);
    str_addf(&s, "%-10s %s, no new privileges, system call filter\n", "drop",
             all ? "all capabilities" : "capabilities over the host");
    for (size_t i = 0; i < p->env.n; i++) {
        auto_free char *text = str_printable(p->env.v[i]);
        str_addf(&s, "%-10s %s\n", "env", text);
    }
    for (size_t i = 0; i < p->env_after.n; i++) {
        auto_free char *text = str_printable(p->env_after.v[i]);
        str_addf(&s, "%-10s %s (after the image's own)\n", "env", text);
    }
    str_addf(&s, "%-*s", p->argv.n ? 10 : 0, actions[p->action]);
    for (size_t i = 0; i < p->argv.n; i++) {
        auto_free char *quoted = str_shell_quote(p->argv.v[i]);
        auto_free char *text = str_printable(quoted);
        str_addf(&s, " %s", text);
    }
    str_add(&s, "\n");
    return str_steal(&s);
}

static struct json_object *json_list(const struct strv *v)
{
    struct json_object *list = json_object_new_array();
    for (size_t i = 0; i < v->n; i++)
        json_add(list, json_object_new_string(v->v[i]));
    return list;
}

static struct json_object *json_op(const struct plan_op *op)
{
    struct json_object *o = json_object_new_object();
    auto_strv struct strv words = { 0 };
    op_words(op, &words);
    json_put_str(o, "kind", kinds[op->kind]);
    json_put_str(o, "source", op->src);
    json_put_str(o, "target", op->dst);
    json_put(o, "options", json_list(&words));
    return o;
}

struct json_object *runtime_plan_json(const struct runtime_plan *p)
{
    struct json_object *o = json_object_new_object();
    auto_strv struct strv ns = { 0 };
    namespace_names(p, &ns);
    struct json_object *ops = json_object_new_array();
    for (size_t i = 0; i < p->n_ops; i++)
        json_add(ops, json_op(&p->ops[i]));
    json_put_str(o, "schema", "hpcc.plan.v1");
    json_put_str(o, "action", actions[p->action]);
    json_put_str(o, "image", p->image.path);
    json_put_str(o, "root", by[p->image.by]);
    json_put_str(o, "access", root_access(p));
    json_put(o, "layers", json_layers(p));
    json_put_str(o, "stage", p->stage_parent);
    json_put(o, "namespaces", json_list(&ns));
    json_put(o, "mounts", ops);
    json_put_str(o, "cwd", p->cwd);
    json_put_str(o, "home", p->home);
    json_put(o, "environment", json_list(&p->env));
    json_put(o, "environment_after", json_list(&p->env_after));
    json_put(o, "argv", json_list(&p->argv));
    return o;
}
