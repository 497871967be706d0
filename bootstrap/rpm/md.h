/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_RPM_MD_H
#define BOOTSTRAP_RPM_MD_H

/* The metadata of repositories in libsolv: primary.xml or our cache of it, and those paths of
 * filelists.xml that the request can reach. Private to the room. */

#include <solv/pool.h>
#include <solv/queue.h>

#include "bootstrap/rpm/repo.h"

struct yum_pool {
    Pool *pool;
    struct yum_repo *repos;
    size_t n_repos;
    const struct fetch *fetch;
    int cache_fd;   /* directory of our .solv files; -1: none are kept */
    Queue file_ids; /* paths that some package requires */
};

/* Load primary of every repository. */
MUST_CHECK int yum_pool_load(struct yum_pool *p, struct err *e);

/* Look the paths WANTED up in every repository's filelists.xml and add
 * what is found to the packages' provides. */
MUST_CHECK int yum_pool_add_paths(struct yum_pool *p, Queue *wanted, struct err *e);

/* The key under which a repository (SOLVID_META) lists the paths looked up so far. */
Id yum_pool_paths_key(const struct yum_pool *p);

/* "base (https://…), updates (…)". Caller frees. */
MUST_CHECK char *yum_repos_text(const struct yum_pool *p);

/* What a repository may hold, in hpcc-bootstrap(1) too. The largest that are known have 0.1 million
 * packages in some 300 MB of primary.xml. The numbers bound the memory that a hostile one can
 * take. */
enum {
    YUM_MAX_PACKAGES = 400000,
    YUM_MAX_HITS = 200000,       /* files of filelists.xml that somebody requires */
    YUM_MAX_PACKAGE_HITS = 1000, /* of one package; libsolv copies its list each time */
};
#define YUM_PRIMARY_MAX_BYTES   (512ull << 20) /* unpacked, as all of these */
#define YUM_FILELISTS_MAX_BYTES (2ull << 30)   /* read through, not kept */
#define YUM_MODULES_MAX_BYTES   (128ull << 20)
#define YUM_COMPS_MAX_BYTES     (64ull << 20)

/* A file of metadata, and how it is read. */
struct yum_stream {
    const char *type;     /* "primary", "filelists", "modules", "group" … */
    uint64_t limit_bytes; /* unpacked; the announced size is a limit too */
    size_t max_packages;  /* 0: any number. Else it must be plain XML: no DOCTYPE, no UTF-16 */
    bool brief;           /* leave the texts of <description> out: half of primary.xml, of no use */
    const char *fault;    /* static; found while reading: the stream ended early */
};

/* Fetch, verify and unpack a file of R's metadata. *FILE becomes the stream of its bytes, NULL when
 * R has no such file. S must outlive it. */
MUST_CHECK int yum_md_open(const struct yum_pool *p, const struct yum_repo *r, struct yum_stream *s,
                           FILE **file, struct err *e);

/* ERR_INPUT when the stream had a fault. */
MUST_CHECK int yum_md_whole(const struct yum_repo *r, const struct yum_stream *s, struct err *e);

/* How often TAG ("<x", no second '<') is in the text that comes in pieces; *T begins as {0}. */
struct yum_tags {
    size_t n_matched; /* bytes of a tag that the last piece ended with */
};
size_t yum_tags_count(struct yum_tags *t, const char *tag, const char *buf, size_t len);

/* Find PATHS of STREAM (a filelists.xml): calls FOUND with the package's checksum
 * in hexadecimal. */
struct yum_paths {
    const char *const *paths; /* sorted by strcmp */
    size_t n;
    void (*found)(void *ctx, const char *pkgid, size_t path);
    void *ctx;
};
MUST_CHECK int yum_filelists_scan(FILE *stream, const struct yum_paths *p, struct err *e);

/* Read R's cache into its Repo; false: there is none that holds. */
bool yum_cache_read(struct yum_pool *p, struct yum_repo *r);
/* Write it; failure only costs time and is told in the debug log. */
void yum_cache_write(struct yum_pool *p, struct yum_repo *r);

#endif
