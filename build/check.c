/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/utsname.h>

#include "base/log.h"
#include "base/mem.h"
#include "bootstrap/bootstrap.h"
#include "build/parts.h"

/* What the language knows, and what any agent adds to it. */
static void collect_keys(struct strv *keys)
{
    strv_add_all(keys, deffile_schema_all.header_keys);
    for (const struct agent *const *a = bootstrap_agents; *a; a++) {
        for (const struct agent_key *k = (*a)->keys; k && k->name; k++) {
            auto_free char *key = mem_strdup(k->name);
            str_lower(key);
            if (!strv_has(keys, key))
                strv_take(keys, steal_ptr(key));
        }
    }
}

int build_read(const char *def_path, struct deffile **out, struct err *e)
{
    auto_strv struct strv keys = { 0 };
    collect_keys(&keys);
    const struct deffile_schema schema = {
        .header_keys = (const char *const *)keys.v,
        .sections = deffile_schema_all.sections,
    };
    return deffile_read(def_path, &schema, out, e);
}

int build_check(const char *def_path, struct deffile **out, struct err *e)
{
    auto_deffile struct deffile *def = NULL;
    if (build_read(def_path, &def, e) < 0)
        return -1;
    struct utsname host;
    if (uname(&host) < 0)
        return err_sys(e, "cannot ask for the host's architecture");
    if (def->ok)
        sections_check(def, false);
    for (size_t i = 0; def->ok && i < def->n_stages; i++) {
        struct agent_input in = { .def = def, .stage = &def->stages[i], .arch = host.machine };
        in.verify = true;
        in.log_fd = -1;
        auto_err struct err found = { 0 };
        if (bootstrap_check(&in, def, &found) < 0 && def->ok)
            log_warn("this host cannot build it: %s", found.msg); /* another one may */
    }
    *out = steal_ptr(def);
    return 0;
}
