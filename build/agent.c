/* SPDX-License-Identifier: BSD-3-Clause */
#include "build/parts.h"

struct agent_input build_agent_input(const struct build *b, const struct deffile_stage *stage)
{
    return (struct agent_input){
        .def = b->def,
        .stage = stage,
        .arch = b->arch,
        .cache_dir = b->spec->cache_dir,
        .verify = b->spec->verify,
        .vault = b->spec->vault,
        .log_fd = b->log_fd,
        .key_server = b->spec->key_server,
        .proxy_env = b->spec->proxy_env,
        .image_path = b->spec->image_path,
    };
}

const struct agent *build_agent(const struct build *b, size_t n)
{
    const char *name = deffile_header_value(&b->def->stages[n], "bootstrap");
    return name ? bootstrap_agent_find(name, NULL) : NULL;
}
