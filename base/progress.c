/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/progress.h"

#include <stddef.h>

static struct progress_sink sink; /* twin of the log sink: set once by the front door */

void progress_sink_set(const struct progress_sink *s)
{
    sink = s ? *s : (struct progress_sink){ 0 };
}

void progress_report(const struct progress_event *ev)
{
    if (sink.event)
        sink.event(sink.ctx, ev);
}
