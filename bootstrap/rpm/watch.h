/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_RPM_WATCH_H
#define BOOTSTRAP_RPM_WATCH_H

/* The parent's view of librpm's child: its words (install.h) become progress, warnings and the text of
 * a failure. A scriptlet can write there too, so nothing that comes grows for ever. */

#include <time.h>

#include "bootstrap/rpm/install.h"

struct yum_watch {
    const struct yum_install_spec *in;
    int words_fd, output_fd;
    struct str words;  /* an unfinished line */
    struct str output; /* of the scriptlet in hand, its end */
    struct str log;    /* what librpm said since the last scriptlet */
    struct str script; /* "bash %post"; empty: none runs */
    time_t script_began;
    struct str failure, hint;
    bool timed_out;
};

/* Follow the child until it closes its ends; false: a scriptlet took too long. */
bool yum_watch_follow(struct yum_watch *w);

/* What came of it; STATUS is the child's exit status. ERR_FAILED. */
MUST_CHECK int yum_watch_verdict(struct yum_watch *w, int status, struct err *e);
void yum_watch_fini(struct yum_watch *w);

#endif
