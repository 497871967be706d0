/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_CONF_H
#define BASE_CONF_H

/* YAML files (configuration, profiles, CDI) as a small tree with line numbers, through libyaml. One
 * document; no anchors, aliases or tags; at most 1 MiB, 32 levels, 100,000 nodes; keys of a mapping
 * are scalars and unique. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum conf_kind {
    CONF_SCALAR,
    CONF_LIST,
    CONF_MAP,
};

struct conf {
    enum conf_kind kind;
    unsigned line;      /* 1-based */
    char *key;          /* in a map; else NULL */
    char *text;         /* scalar only */
    bool quoted;        /* scalar only: it stood in quotes, so it is a string */
    struct conf *items; /* list and map: n_items children in file order */
    size_t n_items;
};

/* Parse TEXT; NAME is for messages. ERR_INPUT as "NAME:LINE: …". Release with conf_free. */
MUST_CHECK struct conf *conf_parse(const char *text, size_t len, const char *name, struct err *e);
MUST_CHECK struct conf *conf_read(const char *path, struct err *e);
void conf_free(struct conf *c);
CLEANUP_DEFINE(struct conf *, cleanup_conf, conf_free)
#define auto_conf cleanup_with(cleanup_conf)

/* The child KEY of a map; NULL when absent or when C is NULL or no map. */
const struct conf *conf_get(const struct conf *c, const char *key);

/* yes/no, true/false, on/off (any case, unquoted). NAME is the file, for the message. */
MUST_CHECK int conf_bool(const struct conf *c, const char *name, bool *out, struct err *e);

#endif
