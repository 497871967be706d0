/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CLI_OPERAND_H
#define CLI_OPERAND_H

/* Where an image is, and "IMAGE:/PATH", as scp writes it. */

#include <stdbool.h>

#include "base/err.h"
#include "base/place.h"

struct operand {
    char *image;
    char *path; /* absolute, inside the image; NULL: none was given */
};

/* Split ARG at its first ":/". A file or directory that is really called so is an image without
 * path. */
void operand_parse(const char *arg, struct operand *out);

/* ARG, or ARG with the path given as a second word REST (NULL: none). ERR_USAGE: two paths. */
MUST_CHECK int operand_parse_words(const char *arg, const char *rest, struct operand *out,
                                   struct err *e);
void operand_free(struct operand *p);
#define auto_operand cleanup_with(operand_free)

/* Whether a new file may be made at P: nothing is there, or a file that is to be REPLACEd.
 * Publishing refuses too; this says it before the work. */
MUST_CHECK int operand_check_new(const struct place *p, bool replace, struct err *e);

#endif
