/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_CACHE_DIR_H
#define CLI_CACHE_DIR_H

#include "cli/cli.h"
#include "cli/config.h"

/* The user's cache: $HPCC_CACHEDIR, else cache-dir of hpcc.yaml, else below $XDG_CACHE_HOME or
 * $HOME/.cache; NULL when none of them is set. Caller frees. */
MUST_CHECK char *cli_cache_dir(const struct cli *cli, const struct config *config);

#endif
