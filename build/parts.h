/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BUILD_PARTS_H
#define BUILD_PARTS_H

/* What the files of this room share; nobody else includes it. */

#include "build/build.h"

/* Read DEF_PATH with the keywords of every agent. Findings are no error: look at ok. */
MUST_CHECK int build_read(const char *def_path, struct deffile **out, struct err *e);

#endif
