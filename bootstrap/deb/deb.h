/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_DEB_DEB_H
#define BOOTSTRAP_DEB_DEB_H

/* Debian and Ubuntu: what the agent debootstrap is made of. */

#include <stddef.h>

#include "base/err.h"
#include "base/strv.h"
#include "bootstrap/bootstrap.h"

/* ── the plan ── */

/* What debootstrap will be asked to do, settled on paper from the headers and the host. Private to
 * the room. */

/* Where debootstrap keeps its suite scripts and the host its keyrings and apt configuration. Tests
 * give others. */
struct deb_host {
    const char *scripts; /* /usr/share/debootstrap/scripts */
    const char *keyrings;
    const char *apt;
};
extern const struct deb_host deb_host_here;

struct deb_plan {
    const char *family; /* "debian", "ubuntu"; "" for others that debootstrap knows by itself */
    char *suite;
    char *arch;        /* Debian's name: "amd64" */
    char *variant;     /* "minbase", "buildd"; "" for debootstrap's standard system */
    char *mirror;      /* no final slash */
    char *asked;       /* the address that the archive replaced; NULL: none was */
    char *script;      /* suite script to use; NULL: debootstrap has one of the suite's name */
    char *keyring;     /* NULL when the signature is not checked */
    char *old_keyring; /* keys that were retired, for suites that are gone; NULL: not needed */
    struct strv include, exclude, components;
    bool gone; /* an archived suite: signed long ago, with keys that have expired since */
    bool verify;
};

/* Check the headers on paper; findings go to DEF. False when there are any errors. */
bool deb_plan_check(const struct agent_input *in, const struct deb_host *host, struct deffile *def);

/* Settle the plan from headers that deb_plan_check found good. ERR_HOST: a keyring or debootstrap
 * itself is missing, or this host cannot run the architecture. ERR_INPUT: no mirror is known. */
MUST_CHECK int deb_plan_make(const struct agent_input *in, const struct deb_host *host,
                             struct deb_plan *out, struct err *e);
void deb_plan_fini(struct deb_plan *p);
#define auto_deb_plan cleanup_with(deb_plan_fini)

/* The argument list for debootstrap: TARGET is the root, KEYRING what to check against (NULL: by
 * the plan). No password is in it. */
void deb_plan_argv(const struct deb_plan *p, const char *target, const char *keyring,
                   struct strv *argv);

/* ── the signed Release ── */

/* A suite's signed Release file, fetched and judged before debootstrap starts. debootstrap checks
 * the signature too, but looks neither at its age nor at the strength of its hash, takes expired
 * keys, and hides why a download failed. Private to the room. */

struct deb_release {
    struct str raw;       /* InRelease, or Release, as it came */
    struct str signature; /* Release.gpg; empty where InRelease carries its own */
    bool detached;        /* RAW is Release */
    struct str text;      /* the signed text alone */
    char *codename;       /* "bookworm"; NULL when it says none */
    char *suite;          /* "stable" */
    char *key;            /* fingerprint of the key that signed; NULL when not verified */
    int64_t date;         /* seconds; 0: it says none */
    int64_t valid_until;  /* 0: for ever */
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

/* ── packages fetched before ── */

/* Everything that debootstrap would download one by one with wget, fetched before it starts: many
 * at a time, out of the user's cache where possible, and put where debootstrap looks first. It
 * checks each file's checksum as it does its own downloads, and fetches what it misses. Private to
 * the room. */

/* Fill ROOTFS_FD for the suite of R. *READY false: this archive or mirror is not of the usual kind,
 * and debootstrap has to do it all. ERR_INPUT: a package of Include does not exist. ERR_FAILED: the
 * network. */
MUST_CHECK int deb_prefetch(const struct agent_input *in, const struct deb_plan *p,
                            const struct deb_release *r, int rootfs_fd, bool *ready, struct err *e);

/* Directory of ours for debootstrap inside the root, which it removes itself. */
#define DEB_OWN_DIR "/debootstrap/hpcc"

/* ── what it says ── */

/* debootstrap's report for the installer (--debian-installer, descriptor 3), mixed with its
 * ordinary output: progress for the user, and what to tell when it fails. Private to the room. */

struct deb_talk {
    int log_fd; /* everything goes there as readable text; -1: nowhere */

    char kind;         /* of the message being told: 'P', 'I', 'W', 'E'; 0: none */
    struct str name;   /* its code, "DOWNDEBS" */
    struct strv args;  /* for the %s of its format */
    uint64_t now, end; /* 'P' only */

    char *stage; /* code of the stage in progress */
    uint64_t stage_now, stage_end;

    char *error; /* code of the first error: "LEFTOVERDEBS"; NULL: none */
    char *error_text;
    char *warning;  /* last warning's text */
    char *culprit;  /* package that dpkg could not process */
    char *download; /* package that could not be fetched */
    bool disk_full;
};

/* Take one line of output. */
void deb_talk_line(struct deb_talk *t, const char *line);

/* The stage is over: the last event of it is reported. */
void deb_talk_end(struct deb_talk *t);

/* Why debootstrap exited with STATUS, in our words. Returns -1. */
int deb_talk_explain(const struct deb_talk *t, const struct deb_plan *p, int status, struct err *e);

/* The error for a disk without room. Returns -1. */
int deb_talk_disk_full(const struct deb_plan *p, struct err *e);

void deb_talk_fini(struct deb_talk *t);
#define auto_deb_talk cleanup_with(deb_talk_fini)

/* ── where debootstrap runs ── */

/* In a cell of the host's programs: the root lies at CELL_TARGET, whatever its name outside, with a
 * /dev, /proc and /sys that are ready; nothing else of the host is there for a link to lead to. No
 * package's code ever sees a password: where the mirror or a proxy has one, debootstrap gets no
 * address that carries it, and has to find all it needs fetched before. Private to the room. */

struct deb_jail {
    const struct deb_plan *plan;
    const char *const *proxy_env;
    bool ready; /* deb_prefetch has filled the root */
};

/* Run debootstrap on ROOTFS_FD; what it says goes to TALK. ERR_INPUT: there is a password, and
 * nothing was fetched before. */
MUST_CHECK int deb_jail_run(const struct deb_jail *j, int rootfs_fd, struct deb_talk *talk,
                            int *status, struct err *e);

/* Whether the mirror's address or a proxy's carries a password. */
bool deb_jail_secret(const struct deb_plan *p, const char *const *proxy_env);

/* debootstrap's environment (tests call it). */
void deb_jail_env(const struct deb_plan *p, const char *const *proxy_env, bool ready,
                  struct strv *env);

#define DEB_KEYRING "/debootstrap/keyring.gpg"

/* ── what it leaves ── */

/* A root that debootstrap has filled: what to take out again and what to tell about it. Private to
 * the room. */

/* Remove what belongs to this host or this minute (name servers, host name, logs, caches, package
 * lists, downloaded packages) and write /etc/apt/sources.list for the plan's mirror, so that
 * apt-get works in %post: a file:// mirror becomes the family's default one, a password is left
 * out. */
MUST_CHECK int deb_root_tidy(const struct deb_plan *p, int rootfs_fd, struct err *e);

/* [{"name", "version", "arch"}…] of the installed packages, by /var/lib/dpkg/status. */
MUST_CHECK struct json_object *deb_root_packages(int rootfs_fd, struct err *e);

#endif
