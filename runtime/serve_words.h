/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_SERVE_WORDS_H
#define RUNTIME_SERVE_WORDS_H

/* What hpcc-squashfs is told on its command line: one table, from which hpcc writes the words and
 * hpcc-squashfs (by runtime_serve_read) reads them. */

#include "base/strv.h"
#include "runtime/runtime.h"

/* The words for SPEC, those of PROGRAM's argv. */
void serve_words_write(const char *program, const struct runtime_serve_spec *spec,
                       struct strv *argv);

#endif
