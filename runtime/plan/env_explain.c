/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mem.h"
#include "base/str.h"
#include "runtime/plan/plan.h"

struct list {
    struct runtime_env_item *v;
    size_t n;
};

static void add(struct list *l, const char *text, const char *origin, const char *dropped)
{
    const char *eq = strchrnul(text, '=');
    l->v = mem_grow(l->v, l->n, sizeof *l->v);
    l->v[l->n++] = (struct runtime_env_item){
        .name = mem_strndup(text, (size_t)(eq - text)),
        .value = mem_strdup(*eq ? eq + 1 : ""),
        .origin = origin,
        .dropped = dropped,
    };
}

static bool same_in(const struct strv *env, const char *text)
{
    for (size_t i = 0; i < env->n; i++)
        if (str_eq(env->v[i], text))
            return true;
    return false;
}

static bool host_has(const char *const *envp, const char *text)
{
    for (; envp && *envp; envp++)
        if (str_eq(*envp, text))
            return true;
    return false;
}

void runtime_env_explain(const struct runtime_plan *p, const char *const *envp,
                         struct runtime_env_item **out, size_t *n)
{
    struct list l = { 0 };
    for (const char *const *v = envp; v && *v; v++) {
        const char *eq = strchr(*v, '=');
        if (!eq || eq == *v)
            continue;
        auto_free char *name = mem_strndup(*v, (size_t)(eq - *v));
        const struct plan_env_rule *rule = plan_env_dropped(name, p->flags);
        if (rule)
            add(&l, *v, "the caller", rule->reason);
        else if (same_in(&p->env, *v))
            add(&l, *v, "the caller", NULL);
        else
            add(&l, *v, "the caller", "hpcc sets it anew");
    }
    for (size_t i = 0; i < p->env.n; i++)
        if (!host_has(envp, p->env.v[i]))
            add(&l, p->env.v[i], "hpcc", NULL);
    for (size_t i = 0; i < p->env_after.n; i++)
        add(&l, p->env_after.v[i], "--env or a variable with a prefix", NULL);
    *out = l.v;
    *n = l.n;
}

void runtime_env_items_free(struct runtime_env_item *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(v[i].name);
        free(v[i].value);
    }
    free(v);
}
