/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_PLAN_PLAN_H
#define RUNTIME_PLAN_PLAN_H

/* A run as data: what will be mounted, set and executed, in order. plan.c makes it from a spec and
 * a description of the host and touches nothing; runtime_perform acts on it. */

#include <sys/stat.h>

#include "jail/jail.h"
#include "runtime/runtime.h"

/* What planning has to know of the host and the caller. */
struct plan_host {
    uid_t uid;
    gid_t gid;
    const char *user;  /* login name; never NULL */
    const char *home;  /* NULL: none */
    const char *shell; /* NULL: none */
    const char *gecos; /* NULL: none */
    const char *group; /* name of gid; NULL: none */
    const char *cwd;   /* NULL: unreachable (deleted, no permission) */

    /* What lies at the host path: 'd' directory, 'f' anything else, 0 nothing we can see. */
    int (*look)(void *ctx, const char *path);
    void *ctx;
};

enum plan_kind {
    PLAN_BIND,     /* host SRC onto DST */
    PLAN_TMPFS,    /* an empty tmpfs on DST; SRC is its options */
    PLAN_DEV,      /* a private /dev */
    PLAN_PROC,     /* a fresh /proc of the new pid namespace */
    PLAN_ACCOUNTS, /* /etc/passwd and /etc/group with the caller's line */
    PLAN_KINDS
};

enum plan_trait {
    PLAN_MAKE = 1u << 0,     /* DST is made in the underlay when the image lacks it */
    PLAN_OPTIONAL = 1u << 1, /* a DST that is missing or of another kind is passed over */
    PLAN_FILE = 1u << 2,     /* SRC is not a directory */
    PLAN_USER = 1u << 3,     /* the user asked for it: a failure is an error, never a warning */
};

struct plan_op {
    enum plan_kind kind;
    char *src, *dst;
    unsigned attrs;  /* enum mount_flag */
    unsigned traits; /* enum plan_trait */
};

/* Who shows the files of an image. */
enum plan_by {
    PLAN_BY_BIND, /* it is a directory: a sandbox, or a layer that holds upper and work */
    PLAN_BY_LOOP, /* the kernel's own driver over a loop device */
    PLAN_BY_FUSE, /* a reader of ours behind FUSE, which never writes: see plan_merge */
};

/* What the root is made of, or a layer of --overlay over it. */
struct plan_image {
    char *path;
    int fd;           /* -1: a layer that is a directory, which is opened where it is mounted */
    struct stat stat; /* when it was judged */
    struct image_info info;
    enum plan_by by;
    bool writable;      /* the run may change it; by FUSE that takes a merge */
    bool drop_to_owner; /* the FUSE server runs as this owner, not as root */
    uid_t owner_uid;    /* nobody, where root's own image is one that others write */
    gid_t owner_gid;
    char *squashfs_server; /* the program that serves it; NULL: ours, or the kernel's */
};
#define PLAN_IMAGE_INIT                                                                            \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

enum { PLAN_MAX_LAYERS = 10 }; /* their paths share one mount option of 255 bytes */

/* Where no kernel driver may write into an image, it is read through FUSE, an overlay's upper
 * directory in a private stage takes the writes, and when the program has ended they are merged. */
enum plan_merge {
    PLAN_MERGE_NONE,
    PLAN_MERGE_IMAGE, /* --writable: into the image itself */
    PLAN_MERGE_LAYER, /* into the uppermost layer's image */
};

struct runtime_plan {
    enum runtime_action action;
    unsigned flags; /* enum runtime_flag */
    struct plan_image image;

    uid_t uid;
    gid_t gid;
    char *user, *home, *shell, *gecos, *group; /* home: inside */
    bool userns;
    bool two_userns; /* see plan_identity */
    bool all_root;   /* likewise */

    struct plan_op *ops;
    size_t n_ops;
    struct plan_image *layers; /* lowest first; the writable one last */
    size_t n_layers;
    enum plan_merge merge;
    char *stage_parent; /* for a merge: the directory in which the stage is made */
    int stage_parent_fd;
    int stage_fd; /* the stage, once runtime_perform_merging has made it; lent by the keeper */
    char *hostname;
    char *cwd;        /* where to start; falls back to home, then "/" */
    bool cwd_is_user; /* --pwd: failing is an error */

    struct strv env;       /* the whole environment as the program's first shell gets it */
    struct strv env_after; /* "K=V" set after the image's own scripts: these win */
    struct strv argv;      /* the user's words */
    char *shell_inside;    /* --shell */
    char *app;             /* --app */
    struct strv keep_fds;
    struct plan_seen { /* what lies on the host where planning looked */
        char *path;
        struct stat st; /* st_mode 0: nothing that we can see */
    } * seen;
    size_t n_seen;
    char *runtime_dir; /* the user's, XDG_RUNTIME_DIR; NULL: not told */
    char *job;         /* the scheduler's names of the job step; "" outside of one */
};

/* What planning saw at the host path PATH; NULL: nothing, or it did not look. */
const struct stat *plan_seen(const struct runtime_plan *p, const char *path);

/* Whether writes to the root go to an overlay's upper directory. */
static inline bool plan_has_upper(const struct runtime_plan *p)
{
    return p->merge || (p->flags & RUNTIME_WRITABLE_TMPFS) ||
           (p->n_layers && p->layers[p->n_layers - 1].writable);
}

/* Open what lies at PATH as an image, whatever kind it has. I's path is not set. */
MUST_CHECK int plan_image_open(struct plan_image *i, const char *path, struct err *e);

/* Decide who shows the files of I, which is open: the kernel's driver where the caller UID is root
 * without a user namespace (USERNS) and nobody else can change what the driver reads, else our own
 * reader, as whom. The one policy for the root and for all layers. */
MUST_CHECK int plan_image_judge(struct plan_image *i, uid_t uid, bool userns, struct err *e);

/* Open it for writing instead, by its path; ERR_FAILED when another file lies there now. */
MUST_CHECK int plan_image_reopen_writable(struct plan_image *i, struct err *e);

void plan_image_fini(struct plan_image *i);

/* What a merge at the end changes; p->merge is set. */
const struct plan_image *plan_merge_target(const struct runtime_plan *p);

/* Open and judge the layers that SPEC names; p->uid, p->userns and p->merge are set. */
MUST_CHECK int plan_layers(struct runtime_plan *p, const struct runtime_spec *spec, struct err *e);
void plan_layers_fini(struct runtime_plan *p);

/* The pure part of runtime_plan_make; p->image and the layers are already there. */
MUST_CHECK int plan_build(struct runtime_plan *p, const struct runtime_spec *spec,
                          const struct plan_host *host, struct err *e);

/* plan_build for the calling process on this host. */
MUST_CHECK int plan_for_host(struct runtime_plan *p, const struct runtime_spec *spec,
                             struct err *e);

/* Fill p->env and p->env_after; p's home, user and image are set. */
void plan_environment(struct runtime_plan *p, const struct runtime_spec *spec);

/* ── passwd and group files, as text ── */

enum { PLAN_ACCOUNTS_MAX = 16 << 20 }; /* bytes of such a file that are read */

/* TEXT has a line for NAME (NULL: nobody), or for ID in its third field. */
bool plan_accounts_have(const char *text, const char *name, unsigned id);

/* The first line of TEXT whose third field is ID, or NULL. Caller frees. */
MUST_CHECK char *plan_accounts_line(const char *text, unsigned id);

/* What the plan does about one variable of the caller, for `hpcc env --explain`. */
struct plan_env_rule {
    const char *pattern; /* a name, or a prefix with '*' at its end */
    const char *reason;
};

/* The rule that drops NAME, or NULL when it is passed. */
const struct plan_env_rule *plan_env_dropped(const char *name, unsigned flags);

#endif
