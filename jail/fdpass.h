/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef JAIL_FDPASS_H
#define JAIL_FDPASS_H

/* Descriptors over a stream socket (SCM_RIGHTS, unix(7)), each message one byte that says what they
 * are. */

#include <stddef.h>

#include "base/cleanup.h"

enum { FDPASS_MAX = 4 };

/* Returns -1 with errno when the other end is gone. No SIGPIPE. */
MUST_CHECK int fdpass_send(int sock, char what, const int *fds, size_t n);

/* Wait for a message WHAT with exactly N descriptors, close-on-exec. Anything else is closed and
 * -1; then FDS are -1. */
MUST_CHECK int fdpass_receive(int sock, char what, int *fds, size_t n);

#endif
