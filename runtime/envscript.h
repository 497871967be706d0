/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_ENVSCRIPT_H
#define RUNTIME_ENVSCRIPT_H

/* What an image's environment scripts set, without starting a shell for them. Nearly all of these
 * scripts only assign and export; starting the image's /bin/sh for that costs as much as the rest
 * of a start. Understood, with exactly the shell's meaning (POSIX XCU 2):
 *
 *     # comment            NAME=word           export NAME[=word] …          unset NAME …
 *     if [ -n "${NAME:-}" ]; then … fi         where NAME is empty: skipped
 *
 * with words of plain characters, '…', "…", $NAME, ${NAME}, ${NAME:-word}, ${NAME:+word}. For
 * whatever else, and wherever shells differ, the answer is "ask a shell". */

#include <stdbool.h>

#include "base/strv.h"

struct envscript {
    struct strv env;    /* exported: "NAME=value" */
    struct strv locals; /* set, not exported */
};

/* Run TEXT of LEN bytes (no NUL among them, or the answer is no) on S. False: a shell is needed;
 * then S is of no use any more. */
bool envscript_run(struct envscript *s, const char *text, size_t len);

void envscript_fini(struct envscript *s);

#endif
