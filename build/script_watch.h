/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BUILD_SCRIPT_WATCH_H
#define BUILD_SCRIPT_WATCH_H

/* Follow a script by what its shell writes to stderr, to know which line failed. PS4 makes each
 * line of the trace tell its number: "+@12@ make". Debian's dash is built without LINENO; there the
 * shell also echoes every line of the script as it reads it (set -v), and since we know the script,
 * those echoes tell where it is. Trace goes to the log and to --verbose, output to --info. */

#include <stdbool.h>

#define SCRIPT_TRACE_ON                                                                            \
    "PS4='+@${LINENO:-}@ '; [ -n \"${LINENO:-}\" ] || { echo '+@v@' >&2; set -v; }; set -x"

struct script_watch {
    const char *name; /* of the definition, for messages */
    const char *path; /* of the script, as its interpreter knows it */
    const char *text; /* of the script */
    int log_fd;
    unsigned first, last; /* lines of the definition that may be named */

    unsigned traced;  /* line of the last command; 0: not known */
    unsigned told;    /* line in a message of the shell's after that, or 0 */
    unsigned orphans; /* ends of trace lines that are still to come */

    /* without LINENO */
    const char *cursor; /* the line of the script that is echoed next; NULL: no echoes */
    const char *batch;  /* first line of those echoed since the last command ran */
    unsigned cursor_line, batch_line;
    bool batch_open; /* nothing but echoes since */
};

/* Take one line of the script's output (proc_spec.on_line with the watch as CTX). */
void script_watch_line(void *ctx, const char *text);

/* The line to blame for a failure; FALLBACK when none is known. */
unsigned script_watch_failed(const struct script_watch *w, unsigned fallback);

#endif
