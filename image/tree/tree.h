/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_TREE_TREE_H
#define IMAGE_TREE_TREE_H

/* What an image is written from: a tree of names and metadata in memory, whose file contents are
 * read on call. Who fills it (a directory, a tar archive, another image, another image with
 * changes) and who writes it (ext3, tar) know nothing of each other. All of it may come from
 * hostile bytes; what source_add lets in is a well-formed tree: unique names without '/', not "."
 * or "..", every directory with one parent, hard links only to files. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum {
    SOURCE_NAME_MAX = 255,
    SOURCE_DEPTH_MAX = 2048,
    SOURCE_LINK_MAX = 4095,       /* bytes of a symlink's target */
    SOURCE_XATTR_MAX = 65536,     /* bytes of all xattrs of one node, names included */
    SOURCE_HARD_LINKS_MAX = 65000 /* names of one file: ext3's limit */
};
#define SOURCE_NODES_MAX (16u << 20)

struct source_xattr {
    char *name; /* "user.x", "security.capability" */
    void *value;
    size_t len;
};

struct source_node {
    char *name; /* "" for the root */
    struct source_node *parent;
    struct source_node *link;      /* not NULL: one more name of that node, which is no link itself;
                                      all metadata is there */
    struct source_node **children; /* in canonical order after source_sort */
    size_t n_children, cap_children;
    size_t index;                  /* among the parent's children */
    struct source_node *next_name; /* ring of all names of one file; NULL: this is the only one */
    struct source_node *next_hash;
    uint32_t n_names; /* of a file: 1 and its hard links. Directories: 0 */
    uint32_t mode;    /* type and permissions as st_mode */
    uint32_t uid, gid;
    uint32_t rdev_major, rdev_minor;
    uint64_t size;               /* of regular files and symlinks */
    int64_t atime, mtime, ctime; /* seconds, since 1970 or before */
    uint32_t atime_nsec, mtime_nsec, ctime_nsec;
    char *target;                /* of a symlink */
    struct source_xattr *xattrs; /* in order of their names */
    size_t n_xattrs;
    uint64_t data; /* the filler's: where the content lies */
    uint64_t mark; /* the writer's: e.g. the inode number; 0 at first */
};

struct source_ops {
    /* LEN bytes (fewer at the end) of a regular file at OFFSET; ERR_FAILED or ERR_INPUT. */
    ssize_t (*read)(void *ctx, const struct source_node *n, void *buf, size_t len, uint64_t offset,
                    struct err *e);

    /* The next data (or hole) at or after OFFSET, as lseek(2) with SEEK_DATA (SEEK_HOLE); N->size
     * when there is none. NULL: the filler knows of no holes. */
    int64_t (*seek)(void *ctx, const struct source_node *n, uint64_t offset, bool hole,
                    struct err *e);
    void (*close)(void *ctx); /* NULL: nothing to do */
};

struct source {
    struct source_node *root; /* a directory, 0755 root:root until told otherwise */
    const struct source_ops *ops;
    void *ctx;
    uint64_t n_nodes;
    uint64_t max_data; /* bytes that all contents can have at most, holes aside; 0: not known. An
                          image whose files share blocks claims more, without end */
    struct source_node **table; /* chains by parent and name */
    size_t table_size;          /* a power of two */
    uint64_t seed;
};

/* An empty tree: the root alone. OPS may be NULL while no file has content. */
MUST_CHECK struct source *source_new(const struct source_ops *ops, void *ctx);
void source_free(struct source *s);
CLEANUP_DEFINE(struct source *, cleanup_source, source_free)
#define auto_source cleanup_with(cleanup_source)

/* Add NAME (LEN bytes, no NUL needed) below PARENT, all metadata 0 but the type in MODE. ERR_INPUT:
 * a name that cannot be, one that is taken, too deep, too many. */
MUST_CHECK struct source_node *source_add(struct source *s, struct source_node *parent,
                                          const char *name, size_t len, uint32_t mode,
                                          struct err *e);

/* Make the empty node N, just added, one more name of TO (not a directory). ERR_INPUT: TO is one,
 * or has too many names. */
MUST_CHECK int source_link(struct source_node *n, struct source_node *to, struct err *e);

/* Child of PARENT, or NULL. */
struct source_node *source_find(const struct source *s, const struct source_node *parent,
                                const char *name, size_t len);

/* Take N (not the root) and all below out of the tree. A file with other names lives on under the
 * next of them. */
void source_remove(struct source *s, struct source_node *n);

/* Give TO the three times of FROM. */
void source_times_copy(const struct source_node *from, struct source_node *to);

/* Add or replace one xattr; the value is copied. ERR_INPUT: more than SOURCE_XATTR_MAX. */
MUST_CHECK int source_xattr_set(struct source_node *n, const char *name, const void *value,
                                size_t len, struct err *e);

/* Put every directory's children in canonical order: by bytes of the name. */
void source_sort(struct source *s);

/* ERR_INPUT when DATA bytes of content are more than S can have. */
MUST_CHECK int source_data_check(const struct source *s, uint64_t data, struct err *e);

/* "/usr/bin/x", for messages. Caller frees. */
MUST_CHECK char *source_path(const struct source_node *n);

/* The node that carries N's metadata: N itself, or what it is one more name of. */
static inline struct source_node *source_file(struct source_node *n)
{
    return n->link ? n->link : n;
}

/* The next node after N in canonical preorder, NULL after the last: a walk without recursion, so
 * depth costs no stack. SKIP: do not descend into N. Start with s->root. Needs source_sort. */
struct source_node *source_next(const struct source_node *n, bool skip);

#endif
