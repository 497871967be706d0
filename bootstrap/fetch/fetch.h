/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_FETCH_FETCH_H
#define BOOTSTRAP_FETCH_FETCH_H

/* The files of a repository: several at a time over http and https, each from the first mirror that
 * gives it, continued where it broke off, its checksum computed as it comes and kept in the user's
 * cache under that checksum. file:// is used in place. Private to the room. */

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "base/strv.h"

/* Where the files go and how the network is reached; lent for the call. */
struct fetch {
    int store_fd;                 /* directory of store_dir_open; -1: nothing is kept */
    const char *const *proxy_env; /* "http_proxy=…" …, NULL-terminated, or NULL */
    const char *stage;            /* for progress; NULL: none is shown */
    unsigned connect_timeout_s;   /* 0: 20 */
    unsigned stall_timeout_s;     /* below 1 kB/s for so long is a failure; 0: 60 */
};

struct fetch_file {
    const struct strv *mirrors; /* addresses of the directory, the best first */
    const char *path;    /* below it; checked by url_path_safe. NULL: the mirror is the file */
    int algo;            /* of HEX, see store_algo */
    const char *hex;     /* NULL: content unknown, never kept */
    uint64_t size_bytes; /* exact size; 0: unknown */
    uint64_t max_bytes;  /* a longer one is refused; used where the size is unknown */
    bool optional;       /* not there (404) is no error: fd stays -1 */

    int fd;     /* out: read-only use, verified; -1 before. Caller closes */
    char *from; /* out: address it came from, without password; NULL: the cache. Caller frees */
};

/* Get all N files. On failure those already there keep their descriptors. ERR_FAILED names the
 * address and the cause; e->status holds an http status. */
MUST_CHECK int fetch_files(const struct fetch *f, struct fetch_file *files, size_t n,
                           struct err *e);

/* One small text from exactly one address, at most MAX bytes, appended to OUT. */
MUST_CHECK int fetch_text(const struct fetch *f, const char *url, size_t max, struct str *out,
                          struct err *e);

void fetch_files_close(struct fetch_file *files, size_t n);

#endif
