/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/door.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/proc.h"
#include "jail/jail.h"

enum {
    STACK_BYTES = 64 * 1024,
    ASK_SECONDS = 2, /* a run that has connected asks at once */
    SPARE_FDS = 16,  /* of DOOR_MAX_FDS: the server's own, and those under way */
};

struct keeper {
    struct door door;
    int namespaces[2]; /* user, mount */
    struct pollfd *at; /* [0] is the listening socket, the others are pidfds of runs */
    nfds_t n;
};

static void watch(struct keeper *k, int fd)
{
    k->at = mem_grow(k->at, k->n, sizeof *k->at);
    k->at[k->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

/* The run that started us sends its namespaces when they are complete, or dies. */
static int meet_leader(struct keeper *k)
{
    int got[3];
    int rc = fdpass_receive(k->door.leader_fd, DOOR_NAMESPACES, got, ARRAY_LEN(got));
    close(k->door.leader_fd);
    if (rc < 0)
        return -1;
    k->namespaces[0] = got[0];
    k->namespaces[1] = got[1];
    watch(k, k->door.listen_fd);
    watch(k, got[2]);
    return 0;
}

/* Anybody on this host can connect; only processes of our user may come in. */
static bool is_ours(const struct keeper *k, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == k->door.uid;
}

static bool asks_soon(int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    const struct timespec patience = { .tv_sec = ASK_SECONDS };
    return ppoll(&one, 1, &patience, NULL) == 1;
}

static void answer(struct keeper *k)
{
    int pid_fd;
    auto_close int fd = accept4(k->door.listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || !is_ours(k, fd) || !asks_soon(fd) ||
        fdpass_receive(fd, DOOR_JOIN, &pid_fd, 1) < 0)
        return;
    if (k->n + SPARE_FDS >= DOOR_MAX_FDS ||
        fdpass_send(fd, DOOR_WELCOME, k->namespaces, ARRAY_LEN(k->namespaces)) < 0)
        close(pid_fd);
    else
        watch(k, pid_fd);
}

/* A pidfd is readable when its process has ended. */
static void forget_ended(struct keeper *k)
{
    for (nfds_t i = k->n - 1; i > 0; i--)
        if (k->at[i].revents) {
            close(k->at[i].fd);
            k->at[i] = k->at[--k->n];
        }
}

static void *keep_door(void *arg)
{
    struct keeper *k = arg;
    if (meet_leader(k) == 0) {
        while (k->n > 1) {
            if (ppoll(k->at, k->n, NULL, NULL) < 0)
                continue;
            bool asked = k->at[0].revents;
            forget_ended(k);
            if (asked && k->n > 1)
                answer(k);
        }
        close(k->namespaces[0]);
        close(k->namespaces[1]);
    }
    close(k->door.listen_fd); /* who waits there is told so, and starts anew */
    free(k->at);
    free(k);
    return NULL;
}

void door_open(const struct door *d)
{
    struct keeper *k = mem_zero(1, sizeof *k);
    k->door = *d;
    if (proc_thread(STACK_BYTES, keep_door, k) == 0)
        return;
    close(d->leader_fd);
    close(d->listen_fd);
    free(k);
}
