/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/err.h"

#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

static int put(struct err *e, enum err_code code, int sys, char *msg)
{
    if (!e) {
        free(msg);
        return -1;
    }
    err_clear(e);
    e->code = code;
    e->sys = sys;
    e->msg = msg;
    return -1;
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *msg = mem_vprintf(fmt, ap);
    va_end(ap);
    return put(e, code, 0, msg);
}

int err_sys(struct err *e, const char *fmt, ...)
{
    int sys = errno;
    va_list ap;
    va_start(ap, fmt);
    auto_free char *what = mem_vprintf(fmt, ap);
    va_end(ap);
    put(e, ERR_FAILED, sys, mem_printf("%s: %s", what, strerror(sys)));
    if (sys == EMFILE)
        err_hint(e, "a hundred descriptors are enough for nearly everything: 'ulimit -n 256'");
    errno = sys;
    return -1;
}

int err_at(struct err *e, const char *file, unsigned line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *what = mem_vprintf(fmt, ap);
    va_end(ap);
    return put(e, ERR_INPUT, 0, mem_printf("%s:%u: %s", file, line, what));
}

int err_wrap(struct err *e, const char *fmt, ...)
{
    if (!e)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    auto_free char *what = mem_vprintf(fmt, ap);
    va_end(ap);
    auto_free char *old = steal_ptr(e->msg);
    e->msg = old ? mem_printf("%s: %s", what, old) : mem_strdup(what);
    if (e->code == ERR_NONE)
        e->code = ERR_FAILED;
    return -1;
}

int err_hint(struct err *e, const char *fmt, ...)
{
    if (!e)
        return -1;
    va_list ap;
    va_start(ap, fmt);
    char *hint = mem_vprintf(fmt, ap);
    va_end(ap);
    free(e->hint);
    e->hint = hint;
    return -1;
}

int err_code_set(struct err *e, enum err_code code)
{
    if (e)
        e->code = code;
    return -1;
}

int err_move(struct err *to, struct err *from)
{
    if (to == from)
        return -1;
    if (!to) {
        err_clear(from);
        return -1;
    }
    err_clear(to);
    *to = *from;
    *from = (struct err){ 0 };
    return -1;
}

void err_clear(struct err *e)
{
    free(e->msg);
    free(e->hint);
    *e = (struct err){ 0 };
}
