/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_SHARE_H
#define RUNTIME_SHARE_H

/* Runs that are alike share one user namespace, one mount namespace and one image server on a node:
 * so the ranks of a job step can read each other's memory (process_vm_readv asks for the same user
 * namespace), and what one of them has read from the image the others find in memory.
 *
 * Alike: the same plan for the same unchanged image, by the same user, from the same namespaces,
 * in the same cgroup and job step. They find each other by an abstract unix socket whose name is a
 * hash of all that; it vanishes with the processes, so nothing is ever left behind or stale. Nobody
 * on its other end is believed: what it hands out must be, by the kernel's own account, a user
 * namespace made by this user right below ours, a mount namespace that belongs to it, and in it a
 * root that is this image, which only hpcc itself can have mounted there. */

#include "runtime/plan/plan.h"

enum { SHARE_SOURCE_BYTES = 128 };

/* Of the mount: names the image file as it is now. */
struct share_source {
    char text[SHARE_SOURCE_BYTES];
};
void share_source(const struct runtime_plan *p, struct share_source *out);

/* The process P's program becomes may share its namespaces with others. */
bool share_possible(const struct runtime_plan *p);

enum share_found {
    SHARE_ALONE,  /* nobody is to be found, by us or later */
    SHARE_LEADS,  /* *LISTEN_FD is for our server: others will find us there */
    SHARE_JOINED, /* this process is in the namespaces of another run now */
};

/* Find a run to join, or become the one that others join. Never fails: what does not work out is
 * SHARE_ALONE. PROC_FD: an open /proc. */
enum share_found share_find(const struct runtime_plan *p, int proc_fd, int *listen_fd);

/* After SHARE_JOINED: whether the root is P's image. */
MUST_CHECK int share_check(const struct runtime_plan *p, int proc_fd, struct err *e);

/* In the leader, its namespaces complete: let others in. SOCK_FD leads to its server. What does not
 * work out only means that nobody can join. */
void share_invite(int sock_fd, int proc_fd);

#endif
