/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_VALUE_H
#define BOOTSTRAP_VALUE_H

/* Header values checked on paper: shared by the agents, private to the room. A value is data from a
 * stranger; before it becomes an argument of a host program or a part of a path it must be made of
 * known characters and must not look like an option. Each check adds one finding at the header's
 * line and returns false when the value will not do. */

#include <stdbool.h>

#include "base/strv.h"
#include "bootstrap/bootstrap.h"

/* A word: begins with a letter or digit, then letters, digits and the characters of EXTRA. WHAT
 * names it ("suite name") in the message. */
bool value_check_word(struct deffile *def, const struct deffile_header *h, const char *what,
                      const char *extra);

/* Names separated by blanks or commas, each a word as above; added to OUT (NULL: only checked). */
bool value_check_words(struct deffile *def, const struct deffile_header *h, const char *what,
                       const char *extra, struct strv *out);

/* An address "scheme://host/path" (file: may have an empty host) with a scheme of SCHEMES
 * (NULL-terminated) and no character that means something to a shell but those of EXTRA. */
bool value_check_url(struct deffile *def, const struct deffile_header *h,
                     const char *const schemes[], const char *extra);

/* Put "FILE:LINE" of header KEY before the error that its value caused, when the header is there.
 * Returns -1. */
int value_blame(const struct agent_input *in, const char *key, struct err *e);

/* "value of 'OSVersion'" as the user may be shown it: control bytes made visible, at most 80 bytes.
 * Caller frees. */
MUST_CHECK char *value_shown(const char *value);

/* URL without "user:password@", for messages, labels and facts. Caller frees. */
MUST_CHECK char *value_url_public(const char *url);

#endif
