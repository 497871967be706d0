/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BOOTSTRAP_RPM_SPEC_H
#define BOOTSTRAP_RPM_SPEC_H

/* What a definition for an rpm distribution asks for, out of its headers. Private to the room. */

#include "base/strv.h"
#include "bootstrap/bootstrap.h"

enum yum_source_kind {
    YUM_SOURCE_URL,        /* the repository itself */
    YUM_SOURCE_MIRRORLIST, /* a text of addresses */
    YUM_SOURCE_METALINK,   /* addresses and the checksum of repomd.xml */
};

struct yum_source {
    char *id;  /* "base", "updates", "other0" … */
    char *url; /* variables put in */
    enum yum_source_kind kind;
    int priority; /* as yum has it: 1 best, 99 the default */
    unsigned line;
};

struct yum_spec {
    const char *agent; /* static */
    struct yum_source *sources;
    size_t n_sources;
    struct strv install; /* names, globs, NEVRAs, /paths, provides, @groups */
    struct strv exclude;
    struct strv modules; /* "name:stream" */
    struct strv keys, pins;
    char *base_dir; /* of relative key paths; NULL: where we are */
    char *arch;     /* "x86_64" */
    char *basearch;
    char *releasever; /* or NULL */
    bool verify;      /* signatures are checked */
    bool repo_signed; /* repomd.xml must be signed (or come by https) */
    bool recommends;  /* weak dependencies too */
    bool no_docs;
};

/* How an agent differs from the others of its family. */
struct yum_family {
    const char *base_id;       /* of MirrorURL */
    const char *const *always; /* installed first, NULL-terminated */
};

/* ERR_INPUT as "x.def:LINE: …". Release with yum_spec_free. */
MUST_CHECK int yum_spec_make(const struct agent_input *in, struct yum_spec **out, struct err *e);
void yum_spec_free(struct yum_spec *s);
CLEANUP_DEFINE(struct yum_spec *, cleanup_yum_spec, yum_spec_free)
#define auto_yum_spec cleanup_with(cleanup_yum_spec)

/* TEXT with %OSVERSION, %{OSVERSION}, $releasever, $basearch, $arch, $infra (also as ${…}) put in.
 * NULL with *MISSING set when it needs the version and there is none. Caller frees. */
MUST_CHECK char *yum_spec_expand(const struct yum_spec *s, const char *text, const char **missing);

#endif
