/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_SHARE_H
#define RUNTIME_SHARE_H

/* Runs that are alike share one user namespace, one mount namespace and one image server on a node:
 * so the ranks of a job step can read each other's memory (process_vm_readv asks for the same user
 * namespace), and what one of them has read from the image the others find in memory.
 *
 * Alike: the same plan for the same unchanged image, by the same user, from the same namespaces,
 * in the same cgroup and job step; the key is the SHA-256 of all that. They find each other by a
 * socket of that name in a directory of the user (meeting.h), and either side tells the other its
 * key.
 *
 * Nobody on its other end is believed. He names a process, and the kernel says who that is: its
 * user namespace must be made by this user right below ours, its mount namespace must belong to
 * that, and in it an image must be mounted under the very key. Whoever has no rights over that
 * namespace cannot mount there, and a program in a container has none, so it cannot pass its own
 * for another's. All this is seen before the namespaces are entered: there is no way back. */

#include "base/sha256.h"
#include "runtime/plan/plan.h"

/* What a run shares under. */
struct share {
    char key[SHA256_HEX_BYTES]; /* "": not at all */
    int listen_fd;              /* where others will ask; -1: nowhere */
};

/* The process P's program becomes may share its namespaces with others. */
bool share_possible(const struct runtime_plan *p);

enum share_found {
    SHARE_ALONE,  /* nobody is to be found, by us or later */
    SHARE_LEADS,  /* S->listen_fd is for our server: others will find us there */
    SHARE_JOINED, /* this process is in the namespaces of another run now, its mounts audited */
    SHARE_BROKEN, /* it is in their user namespace alone, and of no use any more; errno tells why */
};

/* Find a run to join, or become the one that others join. What does not work out is SHARE_ALONE,
 * within seconds, with a word when another run was found. PROC_FD: an open /proc. */
enum share_found share_find(const struct runtime_plan *p, int proc_fd, struct share *s);

/* What the mount is called that is shared under KEY. Caller frees. */
MUST_CHECK char *share_source(const char *key);

/* In the leader, its namespaces complete: let others in. SOCK_FD leads to its server. What does not
 * work out only means that nobody can join. */
void share_invite(int sock_fd, const char *key, int proc_fd);

#endif
