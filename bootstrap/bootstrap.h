/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_BOOTSTRAP_H
#define BOOTSTRAP_BOOTSTRAP_H

/* Agents: ways to fill an empty root with a distribution. An agent is a const table (agents.list
 * names them all); its keys are the header vocabulary it understands, checked before the first byte
 * is written. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "deffile/deffile.h"

enum agent_key_kind {
    AGENT_KEY_OPTIONAL,
    AGENT_KEY_REQUIRED,
};

struct agent_key {
    const char *name; /* as users write it, e.g. "OSVersion"; matched in any case. "OtherURL<N>"
                         stands for the name with any digits for <N>. */
    enum agent_key_kind kind;
    const char *help; /* one line: what, with an example */
};

/* Everything an agent gets. Strings are lent for the call. */
struct agent_input {
    const struct agent *agent;         /* the one that is called: set by bootstrap_… below */
    const struct deffile *def;         /* for messages "x.def:LINE:" */
    const struct deffile_stage *stage; /* the headers */
    const char *arch;                  /* target: "x86_64", "aarch64" … (uname -m names) */
    const char *cache_dir;             /* user's cache, 0700, or NULL: none */
    bool verify;                       /* false only when the user typed --no-verify */
    bool vault;                        /* dead mirrors may be mapped to their archives */
    int log_fd;                        /* full output of helpers goes here; -1: nowhere */
    const char *key_server; /* where keys are looked for by their fingerprint, "https://host"; NULL:
                               nowhere */
    const char *const *proxy_env; /* "http_proxy=…" …: for fetchers and %post; NULL-terminated */
    const char *image_path; /* what is being built, so that no agent reads it; NULL: unknown */
};

/* What the agent learned, for labels and the lock file. */
struct agent_result {
    struct json_object *facts; /* {"agent", "suite", "mirror", "verified", "packages": [...] …} */
};

struct agent {
    const char *name;    /* lower case, as in "Bootstrap: NAME" */
    const char *aliases; /* further names, blank-separated, or NULL */
    const char *help;    /* one line */
    const struct agent_key *keys;
    const void *family; /* where agents share their calls: what is this one's; NULL: nothing */

    /* Check header values on paper: syntax, known suites, host programs. Adds findings to DEF by
     * line. ERR_HOST: this host cannot run the agent. Optional (NULL: the keys table says all). */
    int (*check)(const struct agent_input *in, struct deffile *def, struct err *e);

    /* Fill the empty root. Runs inside the worker: uid 0 in its namespace, own mount and pid
     * namespace. */
    int (*fill)(const struct agent_input *in, int rootfs_fd, struct agent_result *out,
                struct err *e);

    /* Print what fill would do, writing nothing but the cache (`bootstrap --dry-run`). NULL:
     * nothing to show. */
    int (*plan)(const struct agent_input *in, struct json_object **out, struct err *e);

    /* Say in KEY all that the filled root depends on, so that a finished root may be kept and used
     * again: same text, same root. NULL: never kept. Leaving KEY empty: not this time. */
    int (*identity)(const struct agent_input *in, struct str *key, struct err *e);

    const char *const *must_have; /* paths without which a filled root is a failure, although the
                                     helper said otherwise; NULL-terminated; NULL: none */
    bool needs_root_map; /* owners other than one's own appear (packages); false: any single user
                            will do */
};

/* All agents in the order of agents.list, NULL-terminated. */
extern const struct agent *const bootstrap_agents[];

/* The agent NAME (any case) or NULL; *nearest (may be NULL) gets a likely correction. */
const struct agent *bootstrap_agent_find(const char *name, const char **nearest);

/* Whether KEY (any case) is one of the agent's keys. */
bool agent_key_known(const struct agent *a, const char *key);

/* Check the stage's headers against its agent's keys and its own check; findings are added to DEF.
 * ERR_INPUT when there are errors, ERR_HOST when this host cannot run the agent. */
MUST_CHECK int bootstrap_check(const struct agent_input *in, struct deffile *def, struct err *e);

/* What filling the root would do, as the agent's plan tells it; *OUT stays as it is when the agent
 * tells nothing. */
MUST_CHECK int bootstrap_plan(const struct agent_input *in, struct json_object **out,
                              struct err *e);

/* Fill the root: what the agent's fill does, from the cache when a root of the same identity is
 * kept there, then the check of must_have. out->facts is always an object with "agent". The failure
 * is worded as "x.def:LINE: …" and is ERR_STEP where the agent said no better. */
MUST_CHECK int bootstrap_run(const struct agent_input *in, int rootfs_fd, struct agent_result *out,
                             struct err *e);

/* What the cache CACHE_DIR holds: {"dir", "bytes", "kinds": [{"name", "what", "files", "bytes"}…],
 * "base_roots": [{"made", "agent", "suite", "bytes"}…]}. A missing directory is an empty cache. */
MUST_CHECK int bootstrap_cache_list(const char *cache_dir, struct json_object **out, struct err *e);

/* Remove everything of KIND (a name as listed; NULL: of all kinds), adding to *FREED_BYTES. Nothing
 * else in CACHE_DIR is touched. ERR_USAGE: there is no such kind. ERR_FAILED: not ours, or it
 * cannot be removed. */
MUST_CHECK int bootstrap_cache_clean(const char *cache_dir, const char *kind, uint64_t *freed_bytes,
                                     struct err *e);

#endif
