/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/door.h"

#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/proc.h"
#include "jail/jail.h"

enum {
    STACK_BYTES = 64 * 1024,
    ASK_SECONDS = 1, /* a run that has connected asks at once */
    SPARE_FDS = 16,  /* of DOOR_MAX_FDS: the server's own, and those under way */
};

struct keeper {
    struct door door;
    char key[SHA256_HEX_BYTES];
    struct pollfd *at; /* [0] is the listening socket, the others are pidfds of runs */
    pid_t *pid;        /* theirs */
    nfds_t n;
    int mounts_fd; /* the leader's mount namespace */
};

/* ── a run ── */

struct visitor {
    char key[SHA256_HEX_BYTES];
    pid_t pid;
    int pid_fd;
    int mounts_fd; /* -1: not the leader */
};

static int tell(int fd, const char *key, char what, const int *fds, size_t n)
{
    ssize_t len = send(fd, key, SHA256_HEX_BYTES, MSG_NOSIGNAL);
    return len == SHA256_HEX_BYTES ? fdpass_send(fd, what, fds, n) : -1;
}

int door_ask(int fd, const char *key, int self_fd)
{
    return tell(fd, key, DOOR_JOIN, &self_fd, 1);
}

int door_lead(int fd, const char *key, int self_fd, int mounts_fd)
{
    return tell(fd, key, DOOR_LEAD, (const int[]){ self_fd, mounts_fd }, 2);
}

static bool asks_soon(int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    const struct timespec patience = { .tv_sec = ASK_SECONDS };
    return ppoll(&one, 1, &patience, NULL) == 1;
}

/* Nobody but our user can come here at all; who he is says the kernel, not he. */
static bool is_ours(const struct keeper *k, int fd, pid_t *pid)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    bool ours = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
                peer.uid == k->door.uid && peer.pid > 0;
    *pid = ours ? peer.pid : 0;
    return ours;
}

static int hear(const struct keeper *k, int fd, char what, struct visitor *v)
{
    int fds[2] = { -1, -1 };
    v->pid_fd = v->mounts_fd = -1;
    if (!is_ours(k, fd, &v->pid) || read(fd, v->key, sizeof v->key) != (ssize_t)sizeof v->key ||
        (what == DOOR_JOIN && !asks_soon(fd)))
        return -1;
    if (fdpass_receive(fd, what, fds, what == DOOR_LEAD ? 2 : 1) < 0)
        return -1;
    v->pid_fd = fds[0];
    v->mounts_fd = fds[1];
    return 0;
}

/* ── the door ── */

static void watch(struct keeper *k, int fd, pid_t pid)
{
    k->at = mem_grow(k->at, k->n, sizeof *k->at);
    k->pid = mem_grow(k->pid, k->n, sizeof *k->pid);
    k->pid[k->n] = pid;
    k->at[k->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
}

/* The run that started us comes when its namespaces are complete, or dies. It made the socket. */
static int meet_leader(struct keeper *k)
{
    struct visitor v;
    int rc = hear(k, k->door.leader_fd, DOOR_LEAD, &v);
    close(k->door.leader_fd);
    if (rc < 0)
        return -1;
    memcpy(k->key, v.key, sizeof k->key);
    k->mounts_fd = v.mounts_fd;
    watch(k, k->door.listen_fd, 0);
    watch(k, v.pid_fd, v.pid);
    return 0;
}

static bool welcome(const struct keeper *k, int fd)
{
    struct door_welcome w = { .pid = k->pid[1] };
    memcpy(w.key, k->key, sizeof w.key);
    return write(fd, &w, sizeof w) == (ssize_t)sizeof w; /* SIGPIPE is blocked in a server */
}

static void answer(struct keeper *k)
{
    struct visitor v;
    auto_close int fd = accept4(k->door.listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 || !asks_soon(fd) || hear(k, fd, DOOR_JOIN, &v) < 0)
        return;
    if (memcmp(v.key, k->key, sizeof v.key) == 0 && k->n + SPARE_FDS < DOOR_MAX_FDS &&
        welcome(k, fd))
        watch(k, v.pid_fd, v.pid);
    else
        close(v.pid_fd);
}

/* A pidfd is readable when its process has ended. */
static void forget_ended(struct keeper *k)
{
    for (nfds_t i = k->n - 1; i > 0; i--)
        if (k->at[i].revents) {
            close(k->at[i].fd);
            k->at[i] = k->at[--k->n];
            k->pid[i] = k->pid[k->n];
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
    }
    cleanup_fd(&k->mounts_fd);
    close(k->door.listen_fd); /* who waits there is told so, and starts anew */
    free(k->at);
    free(k->pid);
    free(k);
    return NULL;
}

void door_open(const struct door *d)
{
    struct keeper *k = mem_zero(1, sizeof *k);
    k->door = *d;
    k->mounts_fd = -1;
    if (proc_thread(STACK_BYTES, keep_door, k) == 0)
        return;
    close(d->leader_fd);
    close(d->listen_fd);
    free(k);
}
