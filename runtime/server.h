/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_SERVER_H
#define RUNTIME_SERVER_H

/* The process that answers for a FUSE mount of an image. It stays in the caller's user namespace,
 * so that the container cannot reach into it; has a session of its own, so that Ctrl-C does not;
 * and tells nobody of its end, so that the program never meets it in wait(). It ends with the
 * mount. The mount may be shared by several runs, see share.h. */

#include "runtime/plan/plan.h"
#include "runtime/share.h"

enum { SERVER_FUSE = 'f' }; /* caller to server, over the socket: the mounted FUSE device */

struct server {
    int sock_fd;        /* to the server; -1: none was started */
    pid_t pid;          /* 0: none was started */
    struct share share; /* server_start takes the listening socket */
};

#define SERVER_INIT                                                                                \
    {                                                                                              \
        .sock_fd = -1, .share.listen_fd = -1                                                       \
    }

/* Start it for IMAGE. ALL_ROOT: it shows all files as 0's. Returns as soon as it is forked. */
MUST_CHECK int server_start(const struct plan_image *image, bool all_root, struct server *s,
                            struct err *e);

/* Wait until it has read and accepted the image's head; its error otherwise. */
MUST_CHECK int server_ready(struct server *s, struct err *e);

/* Hand it FUSE_FD, opened and mounted in the container's namespaces. */
MUST_CHECK int server_give(struct server *s, int fuse_fd, struct err *e);

/* The root is complete: other runs may have it too, if so agreed. Closes S. */
void server_share(struct server *s, int proc_fd);

void server_close(struct server *s);

#endif
