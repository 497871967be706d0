/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_OUT_H
#define CLI_OUT_H

/* All that hpcc writes to its streams: results on stdout; log lines, the progress bar and the one
 * error at the end on stderr. Text of others (images, definitions, archives, servers) never reaches
 * a terminal as it is: everything goes through str_printable here, and nothing else in cli/ prints.
 */

#include <stdint.h>

#include "base/err.h"
#include "base/progress.h"
#include "cli/cli.h"

struct out {
    const struct cli *cli;
    bool bar;          /* draw a bar: stderr is a terminal */
    bool *bar_shown;   /* a bar stands on the current line; shared with forked workers */
    char *stage;       /* of the last event */
    uint64_t start_ms; /* when that stage began */
    uint64_t drawn_ms; /* when the bar was last drawn */
};

/* Set the log and progress sinks by CLI's flags; OUT must live until out_fini. */
void out_init(struct out *out, const struct cli *cli);
void out_fini(struct out *out);

/* Take the bar away, before results are written to the same terminal. */
void out_wipe(struct out *out);

/* A result, or a part of one, to stdout. Made printable as a whole; a name in it that must not hold
 * a line of its own goes through str_printable_line first. */
void out_say(const char *fmt, ...) PRINTF(1, 2);

/* The content of a file that the user asked for, byte by byte as it is. */
void out_bytes(const void *data, size_t len);

/* A line to stderr without hpcc's name before it: findings that name a place in a file. */
void out_finding(struct out *out, const char *fmt, ...) PRINTF(2, 3);

/* Print E: "hpcc: error: MSG" and "  hint: …". */
void out_error(struct out *out, const struct err *e);

/* The exit status for E; PASSES_STATUS as in struct command. */
int out_exit_code(const struct err *e, bool passes_status);

/* One progress line for WIDTH columns (tests call it with ELAPSED_MS of their own).
 * Caller frees. */
MUST_CHECK char *out_bar_text(const struct progress_event *ev, uint64_t elapsed_ms, unsigned width);

#endif
