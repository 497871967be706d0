/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_WIRE_H
#define JAIL_WIRE_H

/* What a forked child has to say, over a pipe: its error (or none) and bytes of its own. Both ends
 * are this program, but the child handles hostile input: lengths are checked all the same. */

#include "base/err.h"
#include "base/str.h"

#define WIRE_MAX_TEXT  (1u << 20)  /* message and hint, each */
#define WIRE_MAX_BYTES (64u << 20) /* the result */

/* Write E (code ERR_NONE for success) and RESULT (NULL: no bytes) to FD. Returns -1 with errno when
 * the other end is gone. */
int wire_send(int fd, const struct err *e, const struct str *result);

/* Read one message. Returns 1 when a whole one came: FROM_CHILD and RESULT (either may
 * be NULL) hold it; 0 when the child closed the pipe without a word; -1 on a broken message. */
MUST_CHECK int wire_receive(int fd, struct err *from_child, struct str *result);

#endif
