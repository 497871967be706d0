/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BOOTSTRAP_DEF_CASE_H
#define TESTS_BOOTSTRAP_DEF_CASE_H

/* A definition in memory with the agents' vocabulary, as an agent is given it. */

#include "tests/base/test.h"

#include "base/mem.h"
#include "bootstrap/bootstrap.h"

struct def_case {
    struct deffile *def;
    struct agent_input in;
};

static inline void def_case_fini(struct def_case *c)
{
    deffile_free(c->def);
}
#define auto_def_case cleanup_with(def_case_fini)

static inline struct def_case def_case(const char *text)
{
    static const char *const header_keys[] = { "bootstrap", "from",    "osversion",  "mirrorurl",
                                               "include",   "exclude", "components", "variant",
                                               "arch",      "keyring", NULL };
    struct deffile_schema schema = deffile_schema_all;
    schema.header_keys = header_keys;
    struct def_case c = { .def = deffile_parse(text, strlen(text), "x.def", &schema) };
    assert_true(c.def->ok);
    c.in = (struct agent_input){ .def = c.def,
                                 .stage = &c.def->stages[0],
                                 .arch = "x86_64",
                                 .verify = true,
                                 .vault = true,
                                 .log_fd = -1 };
    return c;
}

#endif
