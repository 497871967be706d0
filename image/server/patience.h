/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_SERVER_PATIENCE_H
#define IMAGE_SERVER_PATIENCE_H

/* How long the only thread of a server looks for the next request before it sleeps. Waking it on an
 * idle processor takes several times as long as the answer, and who walks a tree or starts a large
 * program asks again within microseconds, thousands of times. So when many requests in a row have
 * come soon, it polls between them. A short start never gets so far, and where polling does not
 * help (one processor for all, others that want this one) it is given up for longer and longer. */

#include <stdbool.h>
#include <stdint.h>

struct patience {
    uint64_t replied;  /* ns of CLOCK_MONOTONIC: the last request was done with */
    unsigned soon;     /* how many have come soon of late */
    unsigned failed;   /* how many polls have not helped of late */
    unsigned pause;    /* requests until polling is tried again */
    unsigned setbacks; /* times that it was given up */
    bool polls;
    bool
        never; /* set by the caller where there is one processor: polling keeps the asker from it */
};

/* The last request is done with: return when another one waits on FD, or it is time to sleep. */
void patience_wait(struct patience *p, int fd);

/* A request has been read. */
void patience_learn(struct patience *p);

#endif
