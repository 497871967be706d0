/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_LOG_H
#define BASE_LOG_H

/* What rooms have to say besides their result. The front door sets the sink; until then nothing is
 * printed. Text: lower case, no full stop, no newline. */

#include "base/cleanup.h"

enum log_level {
    LOG_WARN = 0, /* something the user should know: shown unless --silent */
    LOG_INFO = 1, /* what is being done: shown unless --quiet */
    LOG_VERBOSE = 2,
    LOG_DEBUG = 3,
};

struct log_sink {
    void (*write)(void *ctx, enum log_level level, const char *text);
    void *ctx;
    enum log_level max; /* above it nothing is formatted */
};

void log_sink_set(const struct log_sink *sink); /* copied; NULL turns logging off */

void log_warn(const char *fmt, ...) PRINTF(1, 2);
void log_info(const char *fmt, ...) PRINTF(1, 2);
void log_verbose(const char *fmt, ...) PRINTF(1, 2);
void log_debug(const char *fmt, ...) PRINTF(1, 2);

#endif
