/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_RPM_REPO_H
#define BOOTSTRAP_RPM_REPO_H

/* An rpm-md repository up to its table of contents: mirrors, repomd.xml, its signature. What comes
 * out of here is authentic; the parsers of libsolv see nothing else. Private to the room. */

#include <solv/repo.h>

#include "bootstrap/fetch/fetch.h"
#include "bootstrap/rpm/spec.h"

/* One file of the repository's metadata. */
struct yum_md {
    char *type; /* "primary", "filelists", "modules", "group" … */
    char *path; /* below the repository */
    int algo;
    char *hex;
    uint64_t size_bytes;      /* 0: not announced */
    uint64_t open_size_bytes; /* 0: not announced */
};

struct yum_repo {
    const struct yum_source *source;
    struct strv mirrors; /* the one that answered first */
    struct strv sums;    /* those that a metalink allows, "sha256:HEX" */
    char *sum;           /* SHA-256 of repomd.xml */
    char *revision;      /* or NULL */
    char *signer;        /* key number; NULL: not signed */
    bool by_metalink;    /* its checksum came by https */
    struct yum_md *md;
    size_t n_md;
    Repo *repo;         /* libsolv's, once loaded */
    bool has_filelists; /* wanted paths of filelists.xml are in */
};

/* What opening a repository works with; all lent. */
struct yum_opening {
    const struct yum_spec *spec;
    const struct fetch *fetch;
    const struct keys *keys; /* NULL: no check (the user said so) */
};

/* Find SOURCE's mirrors, fetch repomd.xml from the first that gives a good one, check it and read
 * it. */
MUST_CHECK int yum_repo_open(const struct yum_opening *o, const struct yum_source *source,
                             struct yum_repo *out, struct err *e);
void yum_repo_close(struct yum_repo *r);

/* The metadata of TYPE, or NULL. */
const struct yum_md *yum_repo_md(const struct yum_repo *r, const char *type);

/* Read the table of contents; NAME for messages. Refuses what lacks a checksum or points out of the
 * repository. */
MUST_CHECK int yum_repomd_parse(const struct str *text, const char *name, struct yum_repo *out,
                                struct err *e);

/* Addresses of a metalink and the checksums ("sha256:HEX") its repomd.xml may have; of a mirror
 * list. The addresses are of the repository, not of repomd.xml. */
MUST_CHECK int yum_metalink_parse(const struct str *text, struct strv *mirrors, struct strv *sums,
                                  struct err *e);
void yum_mirrorlist_parse(const struct str *text, struct strv *mirrors);

/* Whether a list of mirrors that lies at LIST_URL may send us to MIRROR. */
bool yum_mirror_allowed(const char *list_url, const char *mirror);

#endif
