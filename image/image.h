/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

/* Images: a root directory ⇄ one sparse file holding a plain ext3 file system at offset 0, with a
 * #! line in its boot block. Writing goes through libext2fs, in process, as any user. Reading goes
 * through our own small reader, which treats every byte as hostile. Every change is prepared beside
 * the image and published by rename: the named file is always the old image or the new one. Nothing
 * here needs root but image_loop. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/place.h"
#include "base/str.h"

/* ── what a file is ──────────────────────────────────────────────────────────────────────────── */

enum image_kind {
    IMAGE_EXT,      /* ext2/3/4 at fs_offset: 0, behind 2.x's launcher line, or a SIF's partition */
    IMAGE_SQUASHFS, /* plain squashfs, or behind a launcher line */
    IMAGE_SIF,      /* Singularity Image Format: fs_offset, fs_bytes are its primary squashfs */
    IMAGE_DIR,      /* a sandbox directory */
};

struct image_info {
    enum image_kind kind;
    uint64_t fs_offset;  /* where the file system starts in the file */
    uint64_t fs_bytes;   /* its size by its own account; 0 for IMAGE_DIR */
    uint64_t file_bytes; /* apparent size of the file */
    uint64_t disk_bytes; /* really allocated */
    bool executable;     /* starts with a #! line */
};

/* Look at FD (regular file or directory), reading only its head. ERR_INPUT says what it is instead
 * (empty, gzip, ELF, tar, text, truncated …) with the cure as hint. PATH is for messages. */
MUST_CHECK int image_probe(int fd, const char *path, struct image_info *out, struct err *e);

/* Open PATH read-only, check with fstat that it is a regular file or directory (never hangs on a
 * FIFO, never opens a device) and probe it. The descriptor is the identity from here on. */
MUST_CHECK int image_open(const char *path, struct image_info *out, struct err *e);

/* The same for what was found at P. */
MUST_CHECK int image_open_place(const struct place *p, struct image_info *out, struct err *e);

/* ── create, pack ────────────────────────────────────────────────────────────────────────────── */

#define IMAGE_MIN_BYTES (4ull << 20)
#define IMAGE_MAX_BYTES ((1ull << 44) - 4096) /* ext3, 4 KiB blocks, 32-bit block numbers */

struct image_create_spec {
    struct place *place; /* where it is published; NULL: at PATH, which is looked up now */
    const char *path;    /* for messages when there is a place */
    uint64_t size_bytes; /* rounded up to 4096; IMAGE_MIN_BYTES … IMAGE_MAX_BYTES */
    bool replace;        /* an existing file is replaced (atomically), else ERR_FAILED */
    bool deterministic; /* UUID and hash seed by the size, times from epoch: same bytes each time */
    int64_t epoch;      /* seconds; used when deterministic */
};

/* Create an empty image: features {has_journal, ext_attr, resize_inode, dir_index, filetype,
 * sparse_super, large_file}, 4 KiB blocks, no reserved blocks, small journal left as a hole (none
 * below 8 MiB, where the smallest one has no room), one inode for 8 KiB, mode 0755. */
MUST_CHECK int image_create(const struct image_create_spec *spec, struct err *e);

struct image_pack_spec {
    struct place *place; /* published here by rename when all is written, checked and synced; NULL:
                            at PATH, which is looked up now (a cache that is ours alone) */
    const char *path;    /* for messages when there is a place */
    int rootfs_fd; /* the tree to write; mount points inside it are taken as empty directories */
    uint64_t size_bytes; /* of the image; 0: from the content, with headroom */
    bool grow; /* a size too small grows with a notice (log_info); else ERR_FAILED names the need */
    bool replace;       /* as in image_create_spec */
    bool deterministic; /* times clamped to epoch, UUIDs and hash seed derived from the content */
    int64_t epoch;      /* SOURCE_DATE_EPOCH, seconds; used when deterministic */
    mode_t mode;        /* of the file, e.g. 0755 */
    int owner_uid;      /* chown the new file to this user and group: those of the file that gives
                           way at PLACE, nobody else's; -1: leave */
    int owner_gid;
};

struct image_pack_report {
    uint64_t size_bytes, disk_bytes, data_bytes;
    uint64_t n_files, n_dirs, n_links, n_others;
    bool grew;
};

/* Write the tree into a new image in canonical order. Same tree, same spec → same bytes when
 * deterministic. REPORT may be NULL. */
MUST_CHECK int image_pack(const struct image_pack_spec *spec, struct image_pack_report *report,
                          struct err *e);

/* Write the image's tree into the empty directory ROOTFS_FD (localimage, bootstrap onto an existing
 * image,
 * --writable of a user). Owners are set when we may (uid 0 in our namespace), setuid bits and
 * xattrs kept. */
MUST_CHECK int image_unpack(int image_fd, const struct image_info *info, int rootfs_fd,
                            struct err *e);

/* Bytes an image needs for the tree, headroom included (metadata, journal, 10 % or 16 MiB). */
MUST_CHECK int image_estimate(int rootfs_fd, uint64_t *size_bytes, struct err *e);

/* ── trees: export, import, copy ─────────────────────────────────────────────────────────────── */

/* Write the image's tree to OUT_FD as a POSIX pax archive, without mounting and without root:
 * canonical order, numeric owners, xattrs (SCHILY.xattr), 64 KiB and more of zeros as holes
 * (GNU.sparse 1.0), hard links. Same
 * tree, same bytes. An empty lost+found and sockets are left out. ERR_INPUT: a damaged image, or a
 * kind that is not read here (squashfs). */
MUST_CHECK int image_export(int image_fd, const struct image_info *info, int out_fd, struct err *e);

/* Make an image of what IN_FD gives: a tar archive (v7, ustar, pax, GNU; plain or gzip, bzip2, xz,
 * zstd, lz4), read to its end, or a directory. SPEC as for image_pack, without rootfs_fd. No file
 * is unpacked on the host: devices, owners and setuid bits go straight into the image, whoever runs
 * this. Names that lead out of the archive's root are ERR_INPUT, links are followed inside it only.
 *
 * max_bytes  of the archive once decompressed; 0: what the target's disk has free. Beyond it
 *            ERR_INPUT, and the old image stays. */
MUST_CHECK int image_import(int in_fd, uint64_t max_bytes, const struct image_pack_spec *spec,
                            struct image_pack_report *report, struct err *e);

/* Copy between the host and an image, without mounting and without root; directories with all they
 * hold, links as links. */
struct image_copy_spec {
    struct place *image;
    const char *const *sources; /* NULL-terminated: paths on the host (in), in the image (out). One
                                   that ends in "/." means what the directory holds */
    const char *dest;           /* an existing directory: into it, under the last components of the
                                   sources; else the new name, whose directory must exist */
    struct place *to;           /* out: the place of dest */
    bool replace;               /* existing files give way, else ERR_FAILED with EEXIST */
    bool owners; /* in: keep owners, setuid bits and capabilities, else root's and none. Out: keep
                    setuid bits, devices and capabilities, else they are left out with a notice */
};

/* Into the image: a new one is written with the changed tree (growing when it must, with a notice),
 * and published by rename. Readers of the old one are not disturbed;
 * other writers are ERR_FAILED. */
MUST_CHECK int image_copy_in(const struct image_copy_spec *spec, struct err *e);

/* Out of it. Owners are set when we are root. What could make its user more than he is (setuid and
 * setgid bits, device nodes, attributes of the kernel's own) leaves an image only when asked for
 * (owners) by root. A copy is made in a hidden directory of ours beside its name, where nobody can
 * meddle with it, and gets the name when it is whole; a file that it replaces is never another than
 * the one that was there when it was looked at, and never a directory. */
MUST_CHECK int image_copy_out(const struct image_copy_spec *spec, struct err *e);

/* Put what was written over an image into it: the upper directory of an overlay mount whose lower
 * directory was the image. In two steps, with the run that writes between them. */
struct image_merge;

struct image_merge_spec {
    int upper_fd; /* lent; nobody writes to it any more */
    bool layer;   /* the image is an overlay: UPPER lies over its /upper, and what deletes something
                     in lower layers is kept. Else deleted files go, the rest takes its place */
    bool owners;  /* as they are in UPPER. Else a file that was there keeps its owner, and new ones
                     get uid and gid */
    uid_t uid;
    gid_t gid;
};

/* Take the right to replace PATH, which IMAGE_FD has open, until image_merge_free; readers are not
 * disturbed. ERR_FAILED: another writer is at it, or PATH may not be replaced by us. */
MUST_CHECK int image_merge_begin(const char *path, int image_fd, struct image_merge **out,
                                 struct err *e);

/* Write a new image with the changes, growing with a notice when it must, and publish it by rename.
 * *CHANGED: there was something to write. May be called in a child, also one that is root of a
 * user namespace (which can read all of UPPER). Once. */
MUST_CHECK int image_merge_end(struct image_merge *m, const struct image_merge_spec *spec,
                               bool *changed, struct err *e);

/* For the process that began, after an end in a user namespace: give the new image the old one's
 * group, which there may have had no name. */
void image_merge_regroup(struct image_merge *m);
void image_merge_free(struct image_merge *m);
CLEANUP_DEFINE(struct image_merge *, cleanup_image_merge, image_merge_free)
#define auto_image_merge cleanup_with(cleanup_image_merge)

/* ── change ──────────────────────────────────────────────────────────────────────────────────── */

/* expand and shrink read the image with our reader and write what it holds into a new one, which
 * takes its name: old or new, never half, and the hostile bytes meet no other code. UUID, label and
 * boot block are kept, modification times too; the result is always one of ours (ext3, offset 0).
 * ERR_FAILED: somebody uses the image (told by process and host), or may not be replaced by us. */

/* Grow the image at P to SIZE_BYTES. A size not above the present one is ERR_INPUT. */
MUST_CHECK int image_expand(struct place *p, uint64_t size_bytes, struct err *e);

/* The least size that holds its content with 10 % or 16 MiB to spare, for expand --auto; never less
 * than the present size. */
MUST_CHECK int image_expand_auto(const struct place *p, uint64_t *size_bytes, struct err *e);

/* Shrink the image at P to SIZE_BYTES; 0: to the least that holds its content. A size not below the present
 * one is ERR_INPUT; one that is too small is ERR_FAILED, naming the need. */
MUST_CHECK int image_shrink(struct place *p, uint64_t size_bytes, struct err *e);

/* Give the blocks of the image at P that hold nothing back to the disk: free ones and those of zeros become
 * holes. In place, under the write lock; what the image holds does not change at any point, so a
 * kill does no harm. *FREED_BYTES of disk came free. */
MUST_CHECK int image_compact(const struct place *p, uint64_t *freed_bytes, struct err *e);

/* Verify: superblock, tree and every file's blocks by our reader's rules, then `e2fsck -fn` where
 * it is installed, as the image's owner when we are root. ERR_INPUT: damaged, with the cure. */
MUST_CHECK int image_check(const struct place *p, struct err *e);

/* `e2fsck -fy` on a private copy, which takes the image's name when it is sound. *CHANGED says
 * whether there was something to repair. ERR_HOST: no e2fsck here. */
MUST_CHECK int image_repair(struct place *p, bool *changed, struct err *e);

/* ── lock: OFD locks on the image inode; readers shared, in-place writers exclusive ──────────── */

enum image_lock {
    IMAGE_LOCK_READ,    /* for the life of a mount; with no lock support a warning, not an error */
    IMAGE_LOCK_WRITE,   /* exclusive of readers and of all writers, for in-place change */
    IMAGE_LOCK_REPLACE, /* serialises writers that replace by rename; readers are not disturbed */
};

/* Does not wait, but for readers half a second: those of a run that has just ended leave with its
 * mount. ERR_FAILED with EAGAIN names the holder's pid where the kernel tells it. The lock
 * lives as long as the open file description of FD (children included). WRITE and REPLACE need FD
 * open for writing. Where the file system has no locks, WRITE and REPLACE are ERR_FAILED. After
 * taking REPLACE, compare dev and inode with the name again:
 * the image may just have been replaced. */
MUST_CHECK int image_lock(int fd, const char *path, enum image_lock kind, struct err *e);

/* ── loop (root) ─────────────────────────────────────────────────────────────────────────────── */

/* Attach FD to a free loop device by LOOP_CONFIGURE (SET_FD and SET_STATUS64 on kernels before 5.8)
 * with autoclear; returns the device's descriptor, which keeps it alive, and its name
 * ("/dev/loop3").
 *
 * block_bytes  of the file system, 512 … the page's: a device with blocks of this size is not read
 *              twice when it is mounted. Only a hint, and 0 where there is none. */
struct image_loop_spec {
    int fd;
    uint64_t offset;
    uint64_t file_bytes; /* 0: unknown */
    uint32_t block_bytes;
    bool read_only;
};
MUST_CHECK int image_loop_attach(const struct image_loop_spec *spec, char name[32], struct err *e);

/* ── read: our own hardened reader ───────────────────────────────────────────────────────────── */

struct image_reader; /* thread-safe after open: reads by pread, keeps no cursor */

/* Validate superblock and group descriptors of the ext file system at OFFSET of FD (lent, must
 * outlive the reader). ERR_INPUT for anything not on the whitelist. */
MUST_CHECK int image_reader_open(int fd, uint64_t offset, struct image_reader **out, struct err *e);
void image_reader_close(struct image_reader *r);
CLEANUP_DEFINE(struct image_reader *, cleanup_image_reader, image_reader_close)
#define auto_image_reader cleanup_with(cleanup_image_reader)

enum { IMAGE_ROOT_INO = 2 };

struct image_stat {
    uint32_t ino;
    uint32_t mode; /* type and permissions as st_mode */
    uint32_t uid, gid, nlink;
    uint64_t size;
    uint64_t blocks; /* of 512 bytes */
    uint32_t rdev_major, rdev_minor;
    int64_t atime, mtime, ctime;
    uint32_t atime_nsec, mtime_nsec, ctime_nsec; /* 0 where the image keeps whole seconds */
    uint32_t generation;
};

struct image_fs_stat {
    uint64_t blocks, free_blocks, inodes, free_inodes; /* by the superblock's account */
    uint32_t block_bytes;
};

/* These return 0 (or a length), or a negative errno: they serve FUSE requests, where words are of
 * no use. Damage is -EUCLEAN or -EIO, never a crash, a loop or an allocation by a number from the
 * image. */
MUST_CHECK int image_read_stat(const struct image_reader *r, uint32_t ino, struct image_stat *out);
MUST_CHECK int image_read_lookup(const struct image_reader *r, uint32_t dir, const char *name,
                                 size_t len, uint32_t *ino);
MUST_CHECK ssize_t image_read_data(const struct image_reader *r, uint32_t ino, void *buf,
                                   size_t len, uint64_t offset);
MUST_CHECK ssize_t image_read_link(const struct image_reader *r, uint32_t ino, char *buf,
                                   size_t len);

/* Entries of DIR from COOKIE (0: the first). ENTRY returns non-zero to stop before the entry it was
 * given is counted; cookies are stable and name the position after that entry. */
struct image_dirent {
    const char *name; /* not NUL-terminated */
    size_t name_len;
    uint32_t ino;
    uint8_t type; /* DT_* of <dirent.h>, DT_UNKNOWN where the image does not say */
    uint64_t next_cookie;
};
MUST_CHECK int image_read_dir(const struct image_reader *r, uint32_t dir, uint64_t cookie,
                              int (*entry)(void *ctx, const struct image_dirent *d), void *ctx);

/* Blocks that directories hold. In a sound file system a block belongs to one directory, and once:
 * whoever walks over many directories claims their blocks before he reads them, or one block under
 * a million names keeps him busy for ever. Costs about 24 bytes for each block. {0} is empty. */
struct image_claims {
    uint64_t *slots;
    size_t size, used;
    uint64_t odd;
};
void image_claims_fini(struct image_claims *c);
#define auto_image_claims cleanup_with(image_claims_fini)

/* Claim the blocks of DIR; -EUCLEAN when one of them was claimed before. */
MUST_CHECK int image_read_claim(const struct image_reader *r, uint32_t dir, struct image_claims *c);

/* Value of xattr NAME ("user.x", "security.capability"): its length, copied when it fits LEN
 * (-ERANGE when not and LEN is not 0). List: NUL-separated names. */
MUST_CHECK ssize_t image_read_xattr(const struct image_reader *r, uint32_t ino, const char *name,
                                    void *buf, size_t len);
MUST_CHECK ssize_t image_read_xattr_list(const struct image_reader *r, uint32_t ino, char *buf,
                                         size_t len);
void image_read_fs_stat(const struct image_reader *r, struct image_fs_stat *out);

/* Next data (or hole) at or after OFFSET, as lseek(2) SEEK_DATA / SEEK_HOLE;
 * -ENXIO past the end. */
MUST_CHECK int64_t image_read_seek(const struct image_reader *r, uint32_t ino, uint64_t offset,
                                   bool hole);

/* Walk PATH ("a/b", symlinks followed inside the image, at most 40) from the root. */
MUST_CHECK int image_read_path(const struct image_reader *r, const char *path, bool follow,
                               uint32_t *ino);

/* A regular file's content by path, at most MAX bytes. ERR_INPUT: damaged or too large; e->sys
 * ENOENT: there is none. */
MUST_CHECK int image_read_file(const struct image_reader *r, const char *path, size_t max,
                               struct str *out, struct err *e);

/* ── serve: a FUSE server ────────────────────────────────────────────────────────────────────── */

struct image_tree; /* what can be served; thread-safe after open */

/* The file system at OFFSET of FD (lent, must outlive the tree). ERR_INPUT: damaged, or a kind
 * that is not read. squashfs goes through libsquashfuse and is a library of its own (hpcc-squash),
 * there only when libsquashfuse was there at build time: who runs ext images does not load it. */
MUST_CHECK int image_tree_open_ext(int fd, uint64_t offset, struct image_tree **out, struct err *e);
MUST_CHECK int image_tree_open_squashfs(int fd, uint64_t offset, struct image_tree **out,
                                        struct err *e);
void image_tree_close(struct image_tree *t);
CLEANUP_DEFINE(struct image_tree *, cleanup_image_tree, image_tree_close)
#define auto_image_tree cleanup_with(cleanup_image_tree)

struct image_serve_spec {
    const struct image_tree *tree;
    int fuse_fd;        /* /dev/fuse, already mounted */
    unsigned n_threads; /* 0: by the number of CPUs */
    bool all_root;      /* every file is shown as root's: whom an overlay in a user namespace of one
                           id lets write */
};

/* Answer requests until the mount is gone (ENODEV), then return 0. */
MUST_CHECK int image_serve(const struct image_serve_spec *spec, struct err *e);

enum { IMAGE_CONFINE_FDS = 4 };

struct image_confine_spec {
    const int *keep_fds; /* all above 2, or -1 for none; every other descriptor is closed */
    size_t n_keep;       /* at most IMAGE_CONFINE_FDS */
    unsigned max_fds;    /* descriptors that may be open, those that sockets bring included */
};

/* Lock this process up for good: own session, streams to /dev/null, no core, not dumpable, no file
 * to be opened, and only the system calls that serving, and talking over the sockets that are kept,
 * need. Threads can still be made. */
MUST_CHECK int image_serve_confine(const struct image_confine_spec *spec, struct err *e);

#endif
