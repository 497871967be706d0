/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_RPM_RPM_H
#define BOOTSTRAP_RPM_RPM_H

/* One request for an rpm distribution from headers to transaction: what the agents of this family
 * share. Private to the room. */

#include "bootstrap/rpm/solve.h"

struct yum_session {
    const struct agent_input *in;
    struct yum_spec *spec;
    struct fetch fetch;
    struct keys keys;
    struct yum_pool pool;
    struct yum_transaction trans;
};

/* Read the headers, open the repositories, solve. */
MUST_CHECK int yum_session_open(const struct agent_input *in, struct yum_session *out,
                                struct err *e);
void yum_session_close(struct yum_session *s);

/* {"agent", "release", "arch", "verified", "repositories", "keys", "packages"}. */
MUST_CHECK struct json_object *yum_session_json(const struct yum_session *s);

/* What the agents' tables point at; their family is a struct yum_family. */
int yum_check(const struct agent_input *in, struct deffile *def, struct err *e);
int yum_fill(const struct agent_input *in, int rootfs_fd, struct agent_result *out, struct err *e);
int yum_plan(const struct agent_input *in, struct json_object **out, struct err *e);
int yum_identity(const struct agent_input *in, struct str *key, struct err *e);

/* The header keys of the family. */
extern const struct agent_key yum_keys[];

#endif
