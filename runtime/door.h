/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_DOOR_H
#define RUNTIME_DOOR_H

/* The image server's door: where other runs of the same plan get the namespaces that show the
 * mount. It keeps them open as long as one of the runs that came through it lives, and no longer:
 * then the kernel ends the mount, and with it the server. */

struct door {
    int leader_fd; /* the run that started the server brings the namespaces over this socket */
    int listen_fd; /* where the others ask */
    unsigned uid;  /* the only user who is let in */
};

enum {
    DOOR_NAMESPACES = 'n', /* leader to door: user namespace, mount namespace, its own pidfd */
    DOOR_JOIN = 'j',       /* another run to door: its pidfd */
    DOOR_WELCOME = 'w',    /* the answer: user namespace, mount namespace */
    DOOR_MAX_FDS = 4096,
};

/* Look after the door in a thread of its own, which needs only what image_serve_confine leaves.
 * Both descriptors become the door's; it lasts as long as the process. Without a thread nobody is
 * let in, which harms nobody. */
void door_open(const struct door *d);

#endif
