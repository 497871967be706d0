/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_FETCH_DIGEST_H
#define BOOTSTRAP_FETCH_DIGEST_H

/* SHA-256 in lower-case hexadecimal. Private to the room. Callers free the results. */

#include "base/err.h"
#include "base/str.h"

MUST_CHECK char *digest_text(const struct str *data);

/* Of everything in FD from its start; its position is left alone. */
MUST_CHECK char *digest_fd(int fd, struct err *e);

/* Of the host file PATH. */
MUST_CHECK char *digest_file(const char *path, struct err *e);

#endif
