/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_FETCH_DOWNLOAD_H
#define BOOTSTRAP_FETCH_DOWNLOAD_H

/* One small file from one address: http, https (certificates checked), ftp or file. For the many
 * files of a repository see fetch. Private to the room. */

#include <curl/curl.h>

#include "bootstrap/bootstrap.h"

struct download_spec {
    const char *url;
    const char *const *proxy_env; /* "http_proxy=…" …, or NULL */
    uint64_t max_bytes;           /* a longer body is refused */
    bool https_only;              /* a redirect away from https is refused too */
};

/* Write the body to OUT_FD. ERR_FAILED: unreachable, 404 (e->status holds the HTTP status), cut
 * off, too long, too slow. The words name the address without its password. */
MUST_CHECK int download(const struct download_spec *spec, int out_fd, struct err *e);

/* Give C the proxy that ENV names for URL, or none: libcurl's own look into the environment is
 * overridden, since rooms do not read it. */
void download_proxy_set(CURL *c, const char *const *env, const char *url);

#endif
