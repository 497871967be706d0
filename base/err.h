/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* One error, told once. A function that can fail returns int (0 or -1) or a pointer (NULL), is
 * MUST_CHECK and takes `struct err *e` last; e may be NULL when the caller wants no words. Rooms
 * fill it, callers add what they know with err_wrap, and only cli/main.c prints it. */

#include "base/cleanup.h"

/* The numbers are hpcc's exit codes (README, "Exit codes"). */
enum err_code {
    ERR_NONE = 0,
    ERR_FAILED = 1, /* the work itself failed: disk full, network, permission */
    ERR_USAGE = 2,  /* the command line is wrong */
    ERR_INPUT = 3,  /* the user's definition, image or configuration is bad */
    ERR_HOST = 4,   /* this host lacks something: a program, a kernel feature, a device */
    ERR_STEP = 5,   /* a build step failed: the agent, %post, %test … */
    ERR_BUG = 70,   /* an invariant of ours does not hold */
};

struct err {
    enum err_code code;
    int sys;    /* errno behind it, 0 when there is none */
    int status; /* exit status of a failed child, 0 when there is none */
    char *msg;  /* lower case, no full stop, what could not be done first */
    char *hint; /* what to type or change next; NULL when there is none */
};

/* Set code and message, dropping what was there. Always returns -1. */
int err_set(struct err *e, enum err_code code, const char *fmt, ...) PRINTF(3, 4);

/* As err_set with ERR_FAILED and ": strerror(errno)" added; keeps errno in e->sys. EMFILE
 * comes with its cure as hint. Always returns -1. */
int err_sys(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* As err_set with ERR_INPUT and "FILE:LINE: " before the message. Always returns -1. */
int err_at(struct err *e, const char *file, unsigned line, const char *fmt, ...) PRINTF(4, 5);

/* Put "TEXT: " before the message that is there. Always returns -1. */
int err_wrap(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* Set the hint. Always returns -1, so `return err_hint(e, …)` may end a failing path. */
int err_hint(struct err *e, const char *fmt, ...) PRINTF(2, 3);

/* Change the code of an error that is set. Always returns -1. */
int err_code_set(struct err *e, enum err_code code);

/* Move FROM into TO (TO may be NULL: FROM is only cleared). Always returns -1. */
int err_move(struct err *to, struct err *from);

/* Release the strings and make E empty again. */
void err_clear(struct err *e);

static inline void cleanup_err(struct err *e)
{
    int saved = errno;
    err_clear(e);
    errno = saved;
}
#define auto_err cleanup_with(cleanup_err)

#endif
