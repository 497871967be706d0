/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

/* Progress of long work. Rooms report, the front door draws (a bar on a terminal, plain lines
 * elsewhere); without a sink every call is free of effect. Not thread-safe:
 * report from one thread. */

#include <stdint.h>

enum progress_unit {
    PROGRESS_ITEMS,
    PROGRESS_BYTES,
    PROGRESS_PERMILLE,
};

struct progress_event {
    const char *stage;  /* "fetch", "unpack" … */
    const char *detail; /* the item in hand; NULL when there is none */
    enum progress_unit unit;
    uint64_t done;
    uint64_t total; /* 0 when unknown */
    int finished;   /* 1 on the last event of a stage */
};

struct progress_sink {
    void (*event)(void *ctx, const struct progress_event *ev);
    void *ctx;
};

void progress_sink_set(const struct progress_sink *sink); /* copied; NULL for none */
void progress_report(const struct progress_event *ev);

#endif
