/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_PROGRAM_H
#define RUNTIME_PROGRAM_H

/* What is executed inside: the user's program (or the image's runscript or test) itself where the
 * image's environment scripts are plain enough for envscript.h, else the image's own /bin/sh with a
 * script of ours that reads them and then becomes the program. Arguments travel as arguments, never
 * as text of a script. */

#include "runtime/plan/plan.h"

struct program {
    struct strv argv; /* argv[0] absolute, or a name to look up in PATH */
    struct strv env;
};

/* In the container, all rights given up: what is read here is the image's. */
void program_make(const struct runtime_plan *p, struct program *out);
void program_fini(struct program *g);

/* Become it. Returns only on failure: e->status 126 or 127. */
MUST_CHECK int program_exec(const struct program *g, struct err *e);

#endif
