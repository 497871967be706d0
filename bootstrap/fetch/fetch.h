/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_FETCH_FETCH_H
#define BOOTSTRAP_FETCH_FETCH_H

/* Bytes from elsewhere: addresses, downloads, the store that keeps them, checksums and keys. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rpm/rpmcrypto.h>
#include <rpm/rpmkeyring.h>

#include "base/err.h"
#include "base/str.h"
#include "base/strv.h"
#include "bootstrap/bootstrap.h"

/* ── addresses ── */

/* Addresses and proxies as text. Private to the room; results are the caller's to free. */

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

/* ── checksums ── */

/* SHA-256 in lower-case hexadecimal. Private to the room. Callers free the results. */

MUST_CHECK char *digest_text(const struct str *data);

/* Of everything in FD from its start; its position is left alone. */
MUST_CHECK char *digest_fd(int fd, struct err *e);

/* Of the host file PATH. */
MUST_CHECK char *digest_file(const char *path, struct err *e);

/* ── files ── */

/* The one client: files over http, https and ftp, several at a time, each from the first mirror
 * that gives it, continued where it broke off, its checksum computed as it comes and kept in the
 * user's cache under that checksum. file:// is used in place. A redirect leads from http to http or
 * https, from https to https alone, never to a file. Private to the room. */

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

/* One small text from exactly one address, at most MAX bytes, appended to OUT. FOUND NULL: it must
 * be there; else *FOUND tells whether it is. */
MUST_CHECK int fetch_text(const struct fetch *f, const char *url, size_t max, struct str *out,
                          bool *found, struct err *e);

void fetch_files_close(struct fetch_file *files, size_t n);

/* ── the store ── */

/* Files by their checksum: one store per user, shared by all builds, verified each time a file is
 * taken out. Private to the room. */

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

/* ── keys ── */

/* The OpenPGP keys that a repository's metadata and packages are checked against. Parsed and used
 * through librpm, so both checks follow one set of rules. Private to the room. */

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

/* Whether TEXT is a whole fingerprint in hexadecimal. */
bool key_is_fingerprint(const char *text);

/* Add the certificates in TEXT (armored blocks with anything around them, or bare packets) to K;
 * PINS that is not empty: only those with these fingerprints. Returns how many came new. */
size_t keys_add(struct keys *k, const struct str *text, const struct strv *pins,
                const char *source);
bool keys_have(const struct keys *k, const char *fingerprint);

/* Where a key is looked for whose fingerprint is known; all lent. Whatever carries it, http as
 * well, the fingerprint says whether it is the one. */
struct key_hunt {
    const struct fetch *fetch;
    const struct strv *urls; /* repositories, which often hold their key; may be NULL */
    const char *server;      /* "https://host": a key server that speaks HKP; NULL: none */
    const char *cache_dir;   /* the user's cache, whose "keys" keeps what is found; NULL: none */
};

/* Find those of WANTED that K lacks: in the cache, beside the repositories, where their
 * distribution keeps them, on the key server. One that is not found is told in *TRIED (addresses,
 * added; may be NULL) and no error. */
void keys_hunt(struct keys *k, const struct key_hunt *hunt, const struct strv *wanted,
               struct strv *tried);

/* What the definition says about keys; all lent. */
struct keys_spec {
    const struct strv
        *sources;            /* paths, https:// and file:// addresses, fingerprints, and addresses
                                of any kind with fingerprints behind them, parted by blanks */
    const struct strv *pins; /* fingerprints: only these keys, when not empty */
    const char *base_dir;    /* relative paths begin here; NULL: where we are */
    const char *release;     /* of the distribution, "9"; NULL: not said */
    struct key_hunt hunt;    /* its addresses also choose among the keys of host and keys.list */
};

/* Gather the keys. Without sources: those this host trusts (/etc/pki/rpm-gpg, and the directory of
 * /usr/share/distribution-gpg-keys that a repository's address names), and those of keys.list for
 * the distribution that an address names, hunted for. A fingerprint alone is looked up on the host,
 * then hunted for. ERR_INPUT: none found, an address is not https, a pinned key is missing. */
MUST_CHECK int keys_load(const struct keys_spec *spec, struct keys *out, struct err *e);
void keys_free(struct keys *k);
#define auto_keys cleanup_with(keys_free)

/* Check that SIGNATURE (armored, detached) over DATA was made by one of K with SHA-256 or better.
 * NAME is what is signed, for the words; *SIGNER (may be NULL) gets the key's number; caller frees.
 * ERR_FAILED. */
MUST_CHECK int keys_verify(const struct keys *k, const struct str *data,
                           const struct str *signature, const char *name, char **signer,
                           struct err *e);

/* A line of keys.list. */
struct known_key {
    const char *distribution;  /* "centos" */
    unsigned long first, last; /* major releases that it signs; 0: any */
    const char *fingerprint;   /* upper case */
    const char *address;       /* where the distribution keeps it; "" */
};
struct known_keys {
    const struct known_key **v;
    size_t n;
};

/* The keys of the DISTRIBUTION, or of those that the addresses URLS name, for RELEASE ("7.9",
 * "9-stream"; NULL: any), added to OUT. */
void known_keys_of(const char *distribution, const char *release, struct known_keys *out);
void known_keys_for(const struct strv *urls, const char *release, struct known_keys *out);
void known_keys_fini(struct known_keys *k);
#define auto_known_keys cleanup_with(known_keys_fini)

/* The line with that FINGERPRINT (any case), or NULL. */
const struct known_key *known_key_find(const char *fingerprint);

/* The keys as "USER (FINGERPRINT)" lines for a message. Caller frees. */
MUST_CHECK char *keys_text(const struct keys *k);

#endif
