/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_FETCH_URL_H
#define BOOTSTRAP_FETCH_URL_H

/* Addresses and proxies as text. Private to the room; results are the caller's to free. */

#include <stdbool.h>

#include "base/err.h"

/* Whether PATH may follow a mirror's address: relative, no "..", no scheme, no control bytes. */
bool url_path_safe(const char *path);

/* BASE and PATH with exactly one slash between; blanks, '#' and '?' of PATH escaped. */
MUST_CHECK char *url_join(const char *base, const char *path);

/* The host path of a file:// address, percent-decoded; NULL for any other address, or for a file:
 * address of another host. */
MUST_CHECK char *url_file_path(const char *url);

/* The proxy for URL out of ENV ("http_proxy=…", any case; all_proxy as the last resort). User and
 * password are cut out and decoded, whatever characters they hold: the last '@' ends them. */
struct url_proxy {
    char *address;      /* "http://host:port"; "" when none is set: never NULL */
    char *user;         /* or NULL */
    char *password;     /* or NULL */
    const char *except; /* no_proxy, lent from ENV; "" when unset */
};
void url_proxy_find(const char *const *env, const char *url, struct url_proxy *out);
void url_proxy_free(struct url_proxy *p);
#define auto_url_proxy cleanup_with(url_proxy_free)

#endif
