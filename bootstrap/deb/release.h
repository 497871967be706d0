/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_DEB_RELEASE_H
#define BOOTSTRAP_DEB_RELEASE_H

/* A suite's signed Release file, fetched and judged before debootstrap starts. debootstrap checks
 * the signature too, but looks neither at its age nor at the strength of its hash, takes expired
 * keys, and hides why a download failed. Private to the room. */

#include "bootstrap/deb/plan.h"

struct deb_release {
    struct str raw;      /* InRelease, or Release, as it came */
    struct str text;     /* the signed text alone */
    char *codename;      /* "bookworm"; NULL when it says none */
    char *suite;         /* "stable" */
    char *key;           /* fingerprint of the key that signed; NULL when not verified */
    int64_t date;        /* seconds; 0: it says none */
    int64_t valid_until; /* 0: for ever */
};

/* Fetch MIRROR/dists/SUITE/InRelease (Release and Release.gpg where there is none), verify it by
 * the plan's keyring and check its dates against NOW. ERR_FAILED: unreachable. ERR_INPUT: the
 * mirror has no such suite. ERR_STEP: bad signature, unknown key, expired. Each with its cure. */
MUST_CHECK int deb_release_get(const struct deb_plan *p, const char *const *proxy_env, int64_t now,
                               struct deb_release *out, struct err *e);
void deb_release_fini(struct deb_release *r);
#define auto_deb_release cleanup_with(deb_release_fini)

/* What the Release says of the file PATH ("main/binary-amd64/Packages.xz"): its SHA-256 in lower
 * case and size. False: it does not name it. */
struct deb_entry {
    char sha256[65];
    uint64_t size_bytes;
};
bool deb_release_entry(const struct deb_release *r, const char *path, struct deb_entry *out);

/* Whether debootstrap, which has just run in ROOTFS_FD, used this very file: a mirror may show two
 * faces. ERR_STEP: it did not. */
MUST_CHECK int deb_release_same(const struct deb_release *r, const char *suite, int rootfs_fd,
                                struct err *e);

/* "Sat, 11 Jan 2025 10:01:02 UTC" as seconds since 1970; -1 when it is no date. */
int64_t deb_release_date(const char *text);

/* What gpgv's status lines add up to. Of several signatures one good one is enough, as for apt. */
struct deb_verdict {
    char *good;   /* fingerprint behind a valid signature: key of the ring, in force, strong hash */
    char *stale;  /* fingerprint behind a valid one that lacks one of these: */
    bool expired; /* its key has expired */
    bool revoked; /* its key was revoked */
    bool weak;    /* over MD5, SHA-1 or RIPEMD-160 */
    char *unknown; /* a signing key that is not in the ring */
    char *bad;     /* key whose signature does not fit the text */

    bool key_expired, key_revoked; /* of the signature that is being told */
};
void deb_verdict_line(struct deb_verdict *v, const char *status_line);
void deb_verdict_fini(struct deb_verdict *v);

#endif
