/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"

#include "base/mem.h"

static struct log_sink sink; /* the one mutable global of the house */

void log_sink_set(const struct log_sink *s)
{
    sink = s ? *s : (struct log_sink){ 0 };
}

PRINTF(2, 0) static void say(enum log_level level, const char *fmt, va_list ap)
{
    if (!sink.write || level > sink.max)
        return;
    int saved = errno;
    auto_free char *text = mem_vprintf(fmt, ap);
    sink.write(sink.ctx, level, text);
    errno = saved;
}

void log_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(LOG_WARN, fmt, ap);
    va_end(ap);
}

void log_info(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(LOG_INFO, fmt, ap);
    va_end(ap);
}

void log_verbose(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(LOG_VERBOSE, fmt, ap);
    va_end(ap);
}

void log_debug(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(LOG_DEBUG, fmt, ap);
    va_end(ap);
}
