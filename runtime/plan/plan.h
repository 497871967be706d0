/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_PLAN_PLAN_H
#define RUNTIME_PLAN_PLAN_H

/* A run as data: what will be mounted, set and executed, in order. plan.c makes it from a spec and
 * a description of the host and touches nothing; perform.c and enter.c act on it. */

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

enum plan_root {
    PLAN_ROOT_DIR,  /* a sandbox directory, bound */
    PLAN_ROOT_LOOP, /* the kernel's own driver over a loop device */
    PLAN_ROOT_FUSE, /* our reader behind FUSE */
};

/* A layer of --overlay. */
enum plan_layer_kind {
    PLAN_LAYER_DIR,  /* PATH/upper, and for the writable one PATH/work */
    PLAN_LAYER_LOOP, /* the same inside an image, by the kernel's own driver */
    PLAN_LAYER_FUSE, /* inside an image, by our reader: read-only, see plan_merge */
};

struct plan_layer {
    char *path;
    enum plan_layer_kind kind;
    bool writable;
    int fd; /* of an image; -1 */
    struct image_info image;
    bool drop_to_owner;
    uid_t owner_uid;
    gid_t owner_gid;
};

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
    char *image_path;
    int image_fd;
    struct stat image_stat; /* of image_fd, when the plan was made */
    struct image_info image;
    enum plan_root root;
    bool drop_to_owner; /* the FUSE server of root runs as the image's owner */
    uid_t owner_uid;
    gid_t owner_gid;
    char *squashfs_server; /* the program that serves squashfs; NULL: not built */

    uid_t uid;
    gid_t gid;
    char *user, *home, *shell, *gecos, *group; /* home: inside */
    bool userns;
    bool two_userns; /* see plan_identity */
    bool all_root;   /* likewise */

    struct plan_op *ops;
    size_t n_ops;
    struct plan_layer *layers; /* lowest first; the writable one last */
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

/* Open and judge the layers that SPEC names; p->flags, p->userns and p->merge are set. */
MUST_CHECK int plan_layers(struct runtime_plan *p, const struct runtime_spec *spec, struct err *e);
void plan_layers_free(struct runtime_plan *p);

/* Whether the kernel may interpret the bytes of FD (ST), open for reading only, for root: nobody but
 * root can write them, nor has them open for writing from an earlier time. */
bool plan_only_root_writes(int fd, const struct stat *st);

/* Who shall read an image of *UID that others than root can write, when root runs it: its owner, and
 * nobody in root's stead. */
void plan_read_as_nobody(uid_t *uid, gid_t *gid);

/* Open the file that *FD has open for writing as well, by its PATH. */
MUST_CHECK int plan_reopen_writable(const char *path, int *fd, struct err *e);

/* The pure part of runtime_plan_make; the image's fields are already there. */
MUST_CHECK int plan_build(struct runtime_plan *p, const struct runtime_spec *spec,
                          const struct plan_host *host, struct err *e);

/* plan_build for the calling process on this host. */
MUST_CHECK int plan_for_host(struct runtime_plan *p, const struct runtime_spec *spec,
                             struct err *e);

/* Fill p->env and p->env_after; p's home, user and image_path are set. */
void plan_environment(struct runtime_plan *p, const struct runtime_spec *spec);

/* What the plan does about one variable of the caller, for `hpcc env --explain`. */
struct plan_env_rule {
    const char *pattern; /* a name, or a prefix with '*' at its end */
    const char *reason;
};

/* The rule that drops NAME, or NULL when it is passed. */
const struct plan_env_rule *plan_env_dropped(const char *name, unsigned flags);

#endif
