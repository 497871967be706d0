/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_FETCH_STORE_H
#define BOOTSTRAP_FETCH_STORE_H

/* Files by their checksum: one store per user, shared by all builds, verified each time a file is
 * taken out. Private to the room. */

#include <stddef.h>

#include <rpm/rpmcrypto.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* OpenPGP hash number of a checksum type as rpm-md names it ("sha256", "sha" …); -1: unknown or too
 * weak to be trusted (md5). */
int store_algo(const char *type);

/* Whether HEX is a checksum of ALGO: the right length, hexadecimal digits only. */
bool store_hex_ok(int algo, const char *hex);

/* A running checksum. */
struct store_sum {
    DIGEST_CTX ctx;
};
MUST_CHECK int store_sum_start(struct store_sum *s, int algo, struct err *e);
void store_sum_add(struct store_sum *s, const void *data, size_t len);
/* Whether the sum is HEX (any case). The sum is used up. */
bool store_sum_is(struct store_sum *s, const char *hex);
void store_sum_drop(struct store_sum *s);

/* Feed the first LEN bytes of FD (UINT64_MAX: all) to S. Returns 0, or -1 with errno. */
MUST_CHECK int store_sum_fd(struct store_sum *s, int fd, uint64_t len);

/* The directory "CACHE_DIR/KIND", made 0700 when missing. ERR_FAILED: it belongs to someone else,
 * or others may write to it. Returns its descriptor. */
MUST_CHECK int store_dir_open(const char *cache_dir, const char *kind, struct err *e);

/* The file of that checksum out of the store DIR_FD, its bytes verified; -1 when it is not there or
 * is not what it says (it is then removed). */
int store_take(int dir_fd, int algo, const char *hex);

/* A file to fill with what the network gives, continued where an earlier run stopped. DIR_FD -1, or
 * someone else filling the same file: a file without a name. */
struct store_part {
    int fd;         /* read-write */
    int dir_fd;     /* lent; -1: nameless */
    char *name;     /* final name; the file itself is "NAME.part" */
    uint64_t bytes; /* already there */
};
MUST_CHECK int store_part_open(int dir_fd, int algo, const char *hex, struct store_part *out,
                               struct err *e);

/* Give it its name in the store; the descriptor is the caller's from here. */
int store_part_publish(struct store_part *p);

/* Close it; what was received stays for the next run when KEEP. */
void store_part_close(struct store_part *p, bool keep);

#endif
