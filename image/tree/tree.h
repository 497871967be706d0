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
#include "image/image.h"

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
    struct source_node *parent;
    struct source_node *link;      /* not NULL: one more name of that node, which is no link itself;
                                      all metadata is there */
    struct source_node **children; /* in canonical order after source_sort */
    uint32_t n_children;
    uint32_t index;                /* among the parent's children */
    struct source_node *next_name; /* ring of all names of one file; NULL: this is the only one */
    struct source_node *next_hash;
    uint32_t n_names; /* of a file: 1 and its hard links. Directories: 0 */
    uint32_t mode;    /* type and permissions as st_mode */
    uint32_t uid, gid;
    uint32_t rdev_major, rdev_minor;
    uint64_t size;        /* of regular files and symlinks */
    int64_t atime, mtime; /* seconds, since 1970 or before */
    uint32_t atime_nsec, mtime_nsec;
    uint32_t n_xattrs;
    struct source_xattr *xattrs; /* in order of their names */
    char *target;                /* of a symlink */
    uint64_t data;               /* the filler's: where the content lies */
    uint64_t mark;               /* the writer's: e.g. the inode number; 0 at first */
    char name[];                 /* "" for the root */
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
    uint64_t max_nodes; /* that the filler allows itself; 0: any number up to SOURCE_NODES_MAX */
    uint64_t max_data;  /* bytes that all contents can have at most, holes aside; 0: not known. An
                          image whose files share blocks claims more, without end */
    struct source_node **table; /* chains by parent and name; NULL: nobody asked yet */
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

/* The same for a filler that looks out for names that are there twice itself, by source_sort_dir. */
MUST_CHECK struct source_node *source_append(struct source *s, struct source_node *parent,
                                             const char *name, size_t len, uint32_t mode,
                                             struct err *e);

/* Make the empty node N, just added, one more name of TO (not a directory). ERR_INPUT: TO is one,
 * or has too many names. */
MUST_CHECK int source_link(struct source_node *n, struct source_node *to, struct err *e);

/* Child of PARENT, or NULL. */
struct source_node *source_find(struct source *s, const struct source_node *parent,
                                const char *name, size_t len);

/* Take N (not the root) and all below out of the tree. A file with other names lives on under the
 * next of them. */
void source_remove(struct source *s, struct source_node *n);

/* Give TO the times of FROM. */
void source_times_copy(const struct source_node *from, struct source_node *to);

/* Add or replace one xattr; the value is copied. ERR_INPUT: more than SOURCE_XATTR_MAX. */
MUST_CHECK int source_xattr_set(struct source_node *n, const char *name, const void *value,
                                size_t len, struct err *e);

/* Put every directory's children in canonical order: by bytes of the name. */
void source_sort(struct source *s);

/* One directory's. ERR_INPUT: a name is there twice. */
MUST_CHECK int source_sort_dir(struct source_node *dir, struct err *e);

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

/* ── from a directory ── */

/* A directory of this host as a tree. */

/* Read the tree below ROOT_FD (lent, must outlive the source), by descriptors, following no link,
 * with a few of them however deep it is. Mount points inside it are taken as empty directories
 * (files: as empty files). xattrs of security modules of this host, and of an overlay that the tree
 * lies on, are left out. Contents are read when asked for: a file that another process has replaced
 * or resized since is ERR_FAILED; one that was gone before it was looked at never was there.
 *
 * only  take just this entry of ROOT_FD, and what is below it; NULL for all */
MUST_CHECK struct source *source_from_dir(int root_fd, const char *only, struct err *e);

/* ── from an image ── */

/* An image as a tree. */

/* Read the tree of R (lent, must outlive the source). An inode with two names is a hard link, a
 * directory with two names is damage; what costs memory is bounded by the inodes that are there. An
 * empty lost+found in the root, which belongs to the file system, is left out.
 *
 * ino   where to begin
 * name  NULL: INO is a directory and becomes the root; else INO becomes this entry of the root
 *
 * ERR_INPUT: damaged. */
MUST_CHECK struct source *source_from_reader(const struct image_reader *r, uint32_t ino,
                                             const char *name, struct err *e);

/* ── with changes ── */

/* Files of one tree put into another. */

struct source_graft;

/* Make BASE take files of other trees: its nodes go on as they were. Everything is released with
 * BASE. */
MUST_CHECK struct source_graft *source_graft_new(struct source *base);

struct source_graft_spec {
    struct source_node *dir; /* a directory of the base */
    const char *name;        /* what the only child of the tree's root is called there; NULL: as in
                                the tree, and there may be more than one */
    bool replace;            /* an existing file gives way, else ERR_FAILED with EEXIST */
    bool owners;             /* keep owners and setuid bits; else root's, without */
};

/* Put what is below the root of *TAKE into SPEC's directory. Directories that are there are filled
 * and keep their metadata; a directory and a file of one name are ERR_FAILED. */
MUST_CHECK int source_graft_add(struct source_graft *g, struct source **take,
                                const struct source_graft_spec *spec, struct err *e);

/* For those who put nodes in themselves: *TAKE lives as long as BASE from here on; it is returned
 * sorted, its marks 0. */
struct source *source_graft_adopt(struct source_graft *g, struct source **take);

/* N, a regular file of the base, gets its content from F, a file of the adopted FROM. */
void source_graft_content(struct source_graft *g, const struct source *from,
                          const struct source_node *f, struct source_node *n);

/* ── with an overlay's upper directory ── */

/* The upper directory of an overlay put over the tree that it was mounted over. */

struct source_merge_spec {
    struct source *base;
    struct source_node *dir; /* of the base: what the upper directory lies over */
    const struct image_merge_spec *how;
};

/* Deleted files ("whiteouts": character devices 0:0) vanish from the base, or stay as such marks
 * when the base is a layer itself; directories marked as opaque replace what is there. A hard link
 * that was changed under one of its names is a file of its own afterwards,
 * as the overlay made it. */
MUST_CHECK int source_merge(struct source_graft *g, struct source **take_upper,
                            const struct source_merge_spec *spec, struct err *e);

/* ── from any kind of image ── */

/* An image of any kind that we read, as a tree. */

struct source_image {
    struct image_reader *reader; /* NULL for a directory */
    struct source *source;       /* of it; goes first */
};

/* PATH inside the image (NULL or "/": all of it) becomes the entry NAME of the root (NULL: the root
 * itself). Symlinks on the way are followed inside the image, the last component is not.
 * ERR_INPUT: damaged, a kind that is not read here, or no such PATH. */
struct source_image_spec {
    int fd; /* lent, must outlive the source */
    const struct image_info *info;
    const char *path;
    const char *name;
};
MUST_CHECK int source_image_open(const struct source_image_spec *spec, struct source_image *out,
                                 struct err *e);
void source_image_close(struct source_image *si);
#define auto_source_image cleanup_with(source_image_close)

/* ── into a directory ── */

/* A tree as files of this host. */

/* Write what is below the root of S into the directory DIR_FD. Every name is made new (an existing
 * one is ERR_FAILED with EEXIST, not followed, not replaced), each by the descriptor of its
 * directory, so nothing lands outside.
 *
 * As uid 0 (of our user namespace) owners are set; else they are the caller's, and setuid and
 * setgid bits are dropped. What this user or file system cannot have is left out and counted in one
 * message: devices where mknod is not allowed (log_verbose), xattrs (log_verbose), owners
 * that the user namespace does not map (log_warn). Directories get mode and times at the end.
 *
 * Sorts S. */
enum source_to {
    SOURCE_TO_ROOT = 1,     /* give DIR_FD the root's metadata as well */
    SOURCE_TO_HARMLESS = 2, /* leave out what could make a user of DIR_FD more than he is, whoever
                               we are: setuid and setgid bits, device nodes, attributes of the
                               kernel's own (security.*, trusted.*); counted in one log_warn */
};
MUST_CHECK int source_to_dir(struct source *s, int dir_fd, unsigned flags, struct err *e);

#endif
