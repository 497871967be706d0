/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "build/parts.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int step_run(struct build *b, const char *what,
             int (*run)(struct build *b, const void *arg, struct err *e), const void *arg,
             struct err *e)
{
    double start = now();
    log_verbose("step: %s", what);
    auto_free char *heading = mem_printf("== %s", what);
    log_file_line(b->log_fd, heading);
    if (run(b, arg, e) < 0)
        return -1;
    struct json_object *step = json_object_new_object();
    json_put_str(step, "name", what);
    auto_free char *text = mem_printf("%.3f", now() - start);
    json_put(step, "seconds", json_object_new_double_s(now() - start, text));
    json_add(b->steps, step);
    return 0;
}
