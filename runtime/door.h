/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_DOOR_H
#define RUNTIME_DOOR_H

/* The image server's door: where other runs of the same plan learn of one that lives, in whose
 * namespaces the mount is. It knows the runs that came through it by their pidfds, and closes when
 * the last of them has ended; the mount, and with it the server, lasts as long as any process is in
 * it. */

#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"

struct door {
    int leader_fd; /* the run that started the server comes over this socket */
    int listen_fd; /* where the others ask */
    unsigned uid;  /* the only user who is let in */
};

enum {
    DOOR_JOIN = 'j', /* a run to the door, behind its key: its pidfd */
    DOOR_LEAD = 'l', /* the run that started the server: its pidfd, its mount namespace */
    DOOR_MAX_FDS = 4096,
};

/* The answer, to whoever has the same key. */
struct door_welcome {
    char key[SHA256_HEX_BYTES];
    int32_t pid; /* of a run that lives */
};

/* Tell the door KEY and SELF_FD, a pidfd of the calling process. -1 with errno. The leader also hands
 * over its mount namespace, which nobody else is given: it is held until the last run has ended, so that
 * no program's end waits for its mounts to be taken apart. */
MUST_CHECK int door_ask(int fd, const char *key, int self_fd);
MUST_CHECK int door_lead(int fd, const char *key, int self_fd, int mounts_fd);

/* Look after the door in a thread of its own, which needs only what image_serve_confine leaves.
 * Both descriptors become the door's; it lasts as long as the process. Without a thread nobody is
 * let in, which harms nobody. */
void door_open(const struct door *d);

#endif
