/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_ACTION_H
#define CLI_ACTION_H

/* What run, exec, shell and test share: their options and the way from a command line to a run. */

#include "cli/cli.h"
#include "runtime/runtime.h"

extern const struct opt action_opts[];

/* Make the plan that ARGS ask for and show it (--dry-run) or perform it. */
int action_run(struct cli *cli, const struct args *args, enum runtime_action action, struct err *e);

/* One --bind value, "SRC[:DST[:OPT]]"; relative SRC is against CWD. The strings of OUT are the
 * caller's to free. ERR_USAGE. */
MUST_CHECK int action_parse_bind(const char *text, const char *cwd, struct runtime_bind *out,
                                 struct err *e);

/* One --mount value, "type=bind,src=S,dst=D[,ro]". */
MUST_CHECK int action_parse_mount(const char *text, const char *cwd, struct runtime_bind *out,
                                  struct err *e);

#endif
