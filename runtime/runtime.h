/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

/* Live inside a root. `run` turns a spec into a pure, printable plan, then a child performs it;
 * errors come home over a pipe. The same machinery gives the build its worker. Nothing here parses
 * definition files. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/json.h"
#include "base/strv.h"
#include "image/image.h"

enum runtime_action {
    RUNTIME_RUN,   /* the image's runscript with our arguments */
    RUNTIME_EXEC,  /* argv[0] is a program inside */
    RUNTIME_SHELL, /* an interactive shell */
    RUNTIME_TEST,  /* the image's test script */
};

struct runtime_bind {
    char *src; /* absolute host path */
    char *dst; /* absolute path inside */
    bool read_only;
};

/* Everything the command line, environment and configuration said; all lent for the call. */
struct runtime_spec {
    enum runtime_action action;
    const char *image_path;
    const char *const *argv; /* after the image; NULL-terminated */
    const char *const *envp; /* the caller's environment */
    const struct runtime_bind *binds;
    size_t n_binds;
    const char *pwd;      /* --pwd; NULL: the caller's cwd */
    const char *shell;    /* --shell; NULL: what the image has */
    const char *home_src; /* --home SRC[:DST]; NULL: the user's own */
    const char *home_dst;
    const char *app;             /* --app */
    const char *workdir;         /* --workdir */
    const char *const *overlays; /* --overlay DIR|IMAGE[:ro|:rw], NULL-terminated or NULL: a later
                                    one lies over the earlier */
    const char *tmp_dir;         /* where changes wait to be merged; NULL: beside the image */
    const char *hostname;        /* --hostname */
    const char *const *scratch;  /* --scratch, NULL-terminated or NULL */
    const char *const *env_set;  /* --env and *ENV_ variables, "K=V" */
    const char *const *no_mount; /* names: proc sys dev home tmp cwd … */
    const char *const *keep_fds; /* decimal numbers */
    unsigned flags;              /* enum runtime_flag */

    /* Finds the program that serves squashfs (see runtime_serve): its absolute path, which the
     * caller owns, or NULL: not built. Asked when it is needed. */
    char *(*squashfs_server)(void);
};

enum runtime_flag {
    RUNTIME_CONTAIN = 1u << 0,
    RUNTIME_CLEANENV = 1u << 1,
    RUNTIME_WRITABLE = 1u << 2,
    RUNTIME_WRITABLE_TMPFS = 1u << 3,
    RUNTIME_NO_HOME = 1u << 4,
    RUNTIME_PID_NS = 1u << 5,
    RUNTIME_IPC_NS = 1u << 6,
    RUNTIME_NET_NS = 1u << 7,
    RUNTIME_UTS_NS = 1u << 8,
    RUNTIME_USERNS = 1u << 9, /* the user-namespace path even as root */
    RUNTIME_FAKEROOT = 1u << 10,
    RUNTIME_NO_INIT = 1u << 11,
    RUNTIME_NO_SHARE = 1u << 12,
};

struct runtime_plan; /* opaque; pure data */

/* Decide everything that can be decided on paper. The host is only looked at (stat, read). */
MUST_CHECK int runtime_plan_make(const struct runtime_spec *spec, struct runtime_plan **out,
                                 struct err *e);
void runtime_plan_free(struct runtime_plan *p);
CLEANUP_DEFINE(struct runtime_plan *, cleanup_runtime_plan, runtime_plan_free)
#define auto_runtime_plan cleanup_with(cleanup_runtime_plan)

/* The plan for people and for scripts (`--dry-run`, golden tests). */
MUST_CHECK char *runtime_plan_text(const struct runtime_plan *p);
MUST_CHECK struct json_object *runtime_plan_json(const struct runtime_plan *p);

/* Perform it. Does not return when no process of ours has to stay (the program takes our place);
 * else *STATUS is the program's exit status (128+n for a signal). ERR_HOST, ERR_INPUT …: nothing
 * was started. e->status 126 / 127: the program is not executable / not found. */
MUST_CHECK int runtime_perform(const struct runtime_plan *p, int *status, struct err *e);

/* The rest of an image server's life, in the process that was started for it: become the owner,
 * open the tree with OPEN, tell SOCK_FD how that went, take the FUSE device from there, confine
 * this process and serve until the mount is gone. ext images are served by a child of the caller
 * itself; squashfs by a program of its own, which reads SPEC from its words. */
struct runtime_serve_spec {
    int image_fd, sock_fd;
    int listen_fd;          /* where other runs ask to share the mount; -1: nowhere */
    const char *image_path; /* for messages */
    uint64_t fs_offset;
    uid_t owner_uid; /* 0: stay who we are */
    gid_t owner_gid;
    bool all_root; /* as in image_serve_spec */
    int (*open)(int fd, uint64_t offset, struct image_tree **out, struct err *e);
};
NORETURN void runtime_serve(const struct runtime_serve_spec *spec);

/* The image that the plan has open, for the caller's own judgement of where it lies. Lent. */
int runtime_plan_image(const struct runtime_plan *p);

/* Fill OUT, but for its `open`, from the words that such a program was started with; ARGV[0] is its
 * name. OUT's path points into ARGV. -1: these are not hpcc's words. */
MUST_CHECK int runtime_serve_read(int argc, char *const *argv, struct runtime_serve_spec *out);

/* Whether the plan writes into an image that only a merge at the end can change: it needs
 * runtime_perform_merging, which links what writes images. */
bool runtime_plan_merges(const struct runtime_plan *p);

/* As runtime_perform, for such a plan: runs the program, then merges. The image is ours alone to
 * change meanwhile, but others go on reading it. ERR_FAILED when the merge fails: the image is as
 * it was, and the message tells where the changes are. */
MUST_CHECK int runtime_perform_merging(struct runtime_plan *p, int *status, struct err *e);

/* Each variable of the caller ENVP and of the plan: where it comes from, and why it is dropped
 * (NULL: it is passed). What the image's own scripts set is only known inside. */
struct runtime_env_item {
    char *name, *value;
    const char *origin;
    const char *dropped;
};
void runtime_env_explain(const struct runtime_plan *p, const char *const *envp,
                         struct runtime_env_item **out, size_t *n);
void runtime_env_items_free(struct runtime_env_item *v, size_t n);

/* A directory that a worker sees at a place of its own, so that nobody outside who renames what
 * leads to it changes what the worker's programs find by that name. */
struct runtime_own_dir {
    int fd;           /* opened by the caller or by prepare; in main: the same directory, in a mount
                         of main's own, so that it and what is opened below it can be bound */
    const char *path; /* in main: where it is seen; static */
};

/* ── worker: a confined child for the build ──────────────────────────────────────────────────── */

struct runtime_worker_spec {
    /* Runs in the child: uid and gid 0 in its view, own mount, pid, ipc and uts namespaces, no
     * terminal, killed with all its descendants when the caller dies. Returns 0, or -1 with E set;
     * E and RESULT come home. Descriptors opened by the caller do not belong to the worker's mount
     * namespace: open the root that runtime_script_run shall enter below DIR. */
    int (*main)(void *ctx, struct str *result, struct err *e);

    /* Runs before main, with main's ids but in the caller's mount namespace; what it puts into CTX
     * is there for main and for cleanup. When it fails, main does not run, but cleanup does. NULL:
     * nothing. */
    int (*prepare)(void *ctx, struct err *e);

    struct runtime_own_dir *dir; /* NULL: none */

    /* Runs when main and all its descendants are gone, however they ended, also when the caller was
     * killed: same ids as main, so that it can remove what main made (the stage). It sees CTX as
     * prepare left it. NULL: nothing. */
    void (*cleanup)(void *ctx);
    void *ctx;

    /* Ids 0…65535 must exist (packages): root, or a subuid range by newuidmap. Else the user's own
     * id, seen as 0, is the only one. */
    bool need_root_map;

    /* The worker is ended, as if the caller had died, when this descriptor becomes readable; NULL:
     * none. How a caller that catches signals stops it. */
    const int *stop_fd;
};

/* ERR_HOST: this host cannot give such a worker to this user; the hint names the cure. RESULT
 * (bytes the child left, at most 64 MiB) may be NULL. */
MUST_CHECK int runtime_worker_run(const struct runtime_worker_spec *spec, struct str *result,
                                  struct err *e);

/* Run a script file of a root (%post, %test) in it, inside the worker: own pid and ipc namespace,
 * private /dev, fresh /proc, no host /tmp, network as the host, stdin from /dev/null. */
struct runtime_script_spec {
    int rootfs_fd;
    const char *const *argv; /* paths inside the root */
    const char *const *envp;
    void (*on_line)(void *ctx, const char *line); /* stdout and stderr */
    void *ctx;
};
MUST_CHECK int runtime_script_run(const struct runtime_script_spec *spec, int *status,
                                  struct err *e);

/* Name and kind of each difference this host makes; `hpcc doctor`. */
struct runtime_finding {
    const char *name; /* static: "userns", "fuse" … */
    bool ok;
    bool fatal; /* `run` cannot work without it */
    char *text; /* what was found */
    char *cure; /* NULL when ok */
};
/* SQUASHFS_SERVER: as in struct runtime_spec. */
MUST_CHECK int runtime_doctor(char *(*squashfs_server)(void), struct runtime_finding **out,
                              size_t *n, struct err *e);
void runtime_findings_free(struct runtime_finding *f, size_t n);

#endif
