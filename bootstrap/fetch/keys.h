/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_FETCH_KEYS_H
#define BOOTSTRAP_FETCH_KEYS_H

/* The OpenPGP keys that a repository's metadata and packages are checked against. Parsed and used
 * through librpm, so both checks follow one set of rules. Private to the room. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rpm/rpmkeyring.h>

#include "base/err.h"
#include "base/str.h"
#include "base/strv.h"
#include "bootstrap/fetch/fetch.h"

struct key {
    uint8_t *packets; /* one certificate */
    size_t len;
    char *fingerprint; /* hexadecimal, lower case */
    char *user;        /* "Name <mail>", made printable */
    char *source;      /* where it came from */
};

struct keys {
    rpmKeyring ring;
    struct key *v;
    size_t n;
};

/* What the definition says about keys; all lent. */
struct keys_spec {
    const struct strv *sources; /* paths, https:// and file:// addresses, fingerprints */
    const struct strv *pins;    /* fingerprints: only these keys, when not empty */
    const char *base_dir;       /* relative paths begin here; NULL: where we are */
    const struct strv *urls;    /* the repositories: choose among the host's keys */
};

/* Gather the keys. Without sources: those this host trusts (/etc/pki/rpm-gpg, and the directory of
 * /usr/share/distribution-gpg-keys that a repository's address names). A fingerprint alone is
 * looked up there. ERR_INPUT: none found, an address is not https, a pinned key is missing. */
MUST_CHECK int keys_load(const struct keys_spec *spec, const struct fetch *f, struct keys *out,
                         struct err *e);
void keys_free(struct keys *k);
#define auto_keys cleanup_with(keys_free)

/* Check that SIGNATURE (armored, detached) over DATA was made by one of K with SHA-256 or better.
 * NAME is what is signed, for the words; *SIGNER (may be NULL) gets the key's number; caller frees.
 * ERR_FAILED. */
MUST_CHECK int keys_verify(const struct keys *k, const struct str *data,
                           const struct str *signature, const char *name, char **signer,
                           struct err *e);

/* The keys as "USER (FINGERPRINT)" lines for a message. Caller frees. */
MUST_CHECK char *keys_text(const struct keys *k);

#endif
