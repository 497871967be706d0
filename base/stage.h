/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_STAGE_H
#define BASE_STAGE_H

/* A stage: a directory of our own in which something is prepared, beside the place where it is to
 * go or elsewhere. Whoever can write the directory around it may take its name away or put another
 * one there; he may stop us so, but never lead us: the stage is used by its descriptor alone.
 *
 * Its name is a hidden one of base/place.h, drawn at random. Who works in it holds its lock,
 * through every process that has the descriptor; what nobody locks was left by a killed process and
 * is taken away by place_sweep. */

#include "base/err.h"
#include "base/place.h"

struct stage {
    struct place at; /* what is prepared; dir_fd is the directory that holds the stage */
    char *name;      /* of the stage in there */
    int fd;          /* -1 until it is made */
};
#define STAGE_INIT                                                                                 \
    {                                                                                              \
        .at = PLACE_INIT, .fd = -1                                                                 \
    }

struct stage_spec {
    int dir_fd;       /* where it is made; lent */
    const char *dir;  /* its path, for messages */
    const char *name; /* of what is prepared in it */
    const char *word; /* "stage", "changes" */
};

/* Choose the name. */
MUST_CHECK int stage_plan(const struct stage_spec *spec, struct stage *out, struct err *e);

/* Make it: empty, mode 0700, ours by what its descriptor says, locked. A name that exists is never
 * accepted, ERR_FAILED. */
MUST_CHECK int stage_make(struct stage *s, struct err *e);

/* Remove it with all it holds; one that another process made and does not live to remove is found
 * by its name, when it is ours. None: nothing to do. ERR_FAILED: something stays. */
MUST_CHECK int stage_remove(struct stage *s, struct err *e);

void stage_fini(struct stage *s);

#endif
