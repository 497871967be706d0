/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

/* hpcc.yaml(5): what a site and its users set once instead of typing it each time. The site's file
 * is read first, then the user's: lists grow, single values are replaced.
 * Unknown keys are errors. */

#include <stdbool.h>

#include "base/err.h"
#include "base/strv.h"

/* A yes/no that may not have been given. */
enum config_switch {
    CONFIG_UNSET,
    CONFIG_NO,
    CONFIG_YES,
};

struct config {
    struct strv binds;    /* "src[:dst[:ro|rw]]", as --bind takes them */
    struct strv no_mount; /* names that `mount:` turned off, as --no-mount takes them */
    struct strv env_keep; /* variables passed although they are dropped by default */
    struct strv env_drop; /* variables dropped although they are passed by default */
    struct strv env_set;  /* "NAME=value", as --env takes them */
    enum config_switch contain, cleanenv, home, pid, ipc, writable_tmpfs;
    char *cache_dir; /* NULL when not given */
    char *tmp_dir;

    /* `limit:`, in the site's file only. They guide users; they are no security boundary, since a
     * user may run another hpcc. */
    struct strv image_dirs; /* images must lie below one of these; empty: anywhere */
    enum config_switch user_bind, writable, overlay;
};

enum config_owner {
    CONFIG_SITE, /* must belong to root, writable by nobody else, no symlink, in such a directory */
    CONFIG_USER, /* must belong to the caller, writable by nobody else; no `limit:` */
};

/* Read PATH into C. A missing file changes nothing. ERR_INPUT "PATH:LINE: …" with a hint. */
MUST_CHECK int config_read(const char *path, enum config_owner owner, struct config *c,
                           struct err *e);

/* /etc/hpcc/hpcc.yaml, then $XDG_CONFIG_HOME/hpcc/hpcc.yaml or ~/.config/hpcc/hpcc.yaml. VARS is
 * the caller's environment. For root a file that is not his, lies in a directory of another's, or
 * is a link, is as if it were not there. */
MUST_CHECK int config_load(const char *const *vars, struct config *c, struct err *e);

/* Whether the image that IMAGE_FD has open (a file or a directory) lies below one of
 * limit: image-dirs; NAME is for the message. ERR_INPUT names the directories. */
MUST_CHECK int config_allows_image(const struct config *c, int image_fd, const char *name,
                                   struct err *e);

void config_fini(struct config *c);
#define auto_config cleanup_with(config_fini)

#endif
