/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/server/patience.h"

#include <poll.h>
#include <time.h>

enum {
    SOON_NS = 200000,  /* a request that comes later costs its asker little by a sleep of ours */
    POLL_NS = 60000,   /* at most, for one request */
    STOLEN_NS = 20000, /* between two looks at the clock: somebody else had the processor */
    BEGIN = 64, /* requests that came soon, less LATE for each that did not; a start has less */
    END = 32,   /* of these: no more polling */
    LATE = 8,
    MAX_FAILED = 16, /* polls that ended in sleep, a stolen one for STOLEN, less the successes */
    STOLEN = 4,
    PAUSE = 256,       /* requests, after the first setback; then twice as many each time */
    MAX_SETBACKS = 12, /* more make no longer pause */
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void failed(struct patience *p, unsigned how_much)
{
    p->failed += how_much;
    if (p->failed <= MAX_FAILED)
        return;
    p->pause = PAUSE << p->setbacks;
    if (p->setbacks < MAX_SETBACKS)
        p->setbacks++;
    p->soon = p->failed = 0;
    p->polls = false;
}

static void poll_for_a_while(struct patience *p, int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    const struct timespec at_once = { 0 };
    for (uint64_t before = p->replied, now = before; now - p->replied < POLL_NS; before = now) {
        if (ppoll(&one, 1, &at_once, NULL) != 0) {
            p->failed -= p->failed > 0;
            return;
        }
        now = now_ns();
        if (now - before > STOLEN_NS) {
            failed(p, STOLEN);
            return;
        }
    }
    failed(p, 1);
}

void patience_wait(struct patience *p, int fd)
{
    p->replied = now_ns();
    if (p->polls && !p->never)
        poll_for_a_while(p, fd);
}

void patience_learn(struct patience *p)
{
    if (p->pause) {
        p->pause--;
        return;
    }
    if (now_ns() - p->replied < SOON_NS)
        p->soon += p->soon < BEGIN;
    else
        p->soon -= p->soon < LATE ? p->soon : LATE;
    p->polls = p->soon >= (p->polls ? END : BEGIN);
}
