/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cache_dir.h"

#include "base/mem.h"
#include "base/path.h"

char *cli_cache_dir(const struct cli *cli, const struct config *config)
{
    const char *own = strv_env_value(cli->environ, "HPCC_CACHEDIR");
    if (own && *own)
        return mem_strdup(own);
    if (config->cache_dir)
        return mem_strdup(config->cache_dir);
    const char *shared = env_option(cli->environ, "CACHEDIR");
    if (shared && *shared)
        return path_join(shared, "hpcc"); /* beside what the other tool keeps there */
    const char *xdg = strv_env_value(cli->environ, "XDG_CACHE_HOME");
    if (xdg && *xdg == '/')
        return path_join(xdg, "hpcc");
    const char *home = strv_env_value(cli->environ, "HOME");
    return home && *home == '/' ? path_join(home, ".cache/hpcc") : NULL;
}
