/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_PROGRAM_H
#define RUNTIME_PROGRAM_H

/* What is executed inside: the user's program itself where nothing has to come before it, else the
 * image's own /bin/sh with a script of ours that reads the image's environment and then becomes the
 * program. Arguments travel as arguments, never as text of a script. */

#include "runtime/plan.h"

struct program {
    struct strv argv; /* argv[0] absolute, or a name to look up in PATH */
};

/* ROOT_FD: the container's root, to see what it has. */
void program_make(const struct runtime_plan *p, int root_fd, struct program *out);
void program_free(struct program *g);

/* Become it, with ENV. Returns only on failure: e->status 126 or 127. */
MUST_CHECK int program_exec(const struct program *g, const struct strv *env, struct err *e);

#endif
