/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/server/serve.h"

#include <string.h>
#include <sys/sysmacros.h>

#include "base/mem.h"

/* The tree never changes, so what the kernel has once learnt is good for as long as it lives. */
static const uint64_t forever = UINT64_C(1) << 32;

static void fill_attr(const struct serve_state *s, const struct image_stat *st,
                      struct fuse_attr *out)
{
    *out = (struct fuse_attr){
        .ino = st->ino,
        .size = st->size,
        .blocks = st->blocks,
        .atime = (uint64_t)st->atime,
        .mtime = (uint64_t)st->mtime,
        .ctime = (uint64_t)st->ctime,
        .atimensec = st->atime_nsec,
        .mtimensec = st->mtime_nsec,
        .ctimensec = st->ctime_nsec,
        .mode = st->mode,
        .nlink = st->nlink,
        .uid = s->all_root ? 0 : st->uid,
        .gid = s->all_root ? 0 : st->gid,
        /* as the kernel's new_encode_dev */
        .rdev = (st->rdev_minor & 0xff) | st->rdev_major << 8 | (st->rdev_minor & ~0xffu) << 12,
        .blksize = s->fs.block_bytes,
    };
}

static void fill_entry(const struct serve_state *s, uint64_t node, const struct image_stat *st,
                       struct fuse_entry_out *out)
{
    *out = (struct fuse_entry_out){
        .nodeid = node,
        .generation = st->generation,
        .entry_valid = forever,
        .attr_valid = forever,
    };
    fill_attr(s, st, &out->attr);
}

static void put(struct serve_reply *out, const void *data, size_t len)
{
    memcpy(out->data, data, len);
    out->len = len;
}

/* The NUL-terminated name that the argument holds from AT on, or NULL. */
static const char *name_at(const struct serve_request *q, size_t at)
{
    if (at >= q->arg_len)
        return NULL;
    const char *name = (const char *)q->arg + at;
    const char *end = memchr(name, '\0', q->arg_len - at);
    return end && end != name ? name : NULL;
}

static int do_lookup(const struct serve_state *s, const struct serve_request *q,
                     struct serve_reply *out)
{
    struct fuse_entry_out entry = { .entry_valid = forever };
    struct image_stat st;
    uint64_t node = 0;
    const char *name = name_at(q, 0);
    if (!name)
        return -EINVAL;
    int rc = s->tree->ops->lookup(s->tree, q->head.nodeid, name, &node, &st);
    if (rc == -ENOENT) { /* node 0: the kernel remembers that there is none */
        put(out, &entry, sizeof entry);
        return 0;
    }
    if (rc < 0)
        return rc;
    fill_entry(s, node, &st, &entry);
    put(out, &entry, sizeof entry);
    return 0;
}

static int do_getattr(const struct serve_state *s, const struct serve_request *q,
                      struct serve_reply *out)
{
    struct fuse_attr_out attr = { .attr_valid = forever };
    struct image_stat st;
    int rc = s->tree->ops->stat(s->tree, q->head.nodeid, &st);
    if (rc < 0)
        return rc;
    fill_attr(s, &st, &attr.attr);
    put(out, &attr, sizeof attr);
    return 0;
}

static int do_readlink(const struct serve_state *s, const struct serve_request *q,
                       struct serve_reply *out)
{
    ssize_t n = s->tree->ops->link(s->tree, q->head.nodeid, (char *)out->data, out->cap);
    if (n < 0)
        return (int)n;
    out->len = (size_t)n;
    return 0;
}

static int do_read(const struct serve_state *s, const struct serve_request *q,
                   struct serve_reply *out)
{
    struct fuse_read_in in;
    memcpy(&in, q->arg, sizeof in);
    size_t size = in.size < SERVE_MAX_READ ? in.size : SERVE_MAX_READ;
    ssize_t n = s->tree->ops->read(s->tree, q->head.nodeid, out->data, size, in.offset);
    if (n < 0)
        return (int)n;
    out->len = (size_t)n;
    return 0;
}

/* A reply that is being filled with directory entries. */
struct listing {
    struct tree_walk walk;
    const struct serve_state *s;
    struct serve_reply *out;
    size_t size;
};

static int add_entry(struct tree_walk *w, const struct image_dirent *d, uint64_t node,
                     const struct image_stat *st)
{
    struct listing *l = (struct listing *)w;
    struct fuse_dirent head = {
        .ino = d->ino,
        .off = d->next_cookie,
        .namelen = (uint32_t)d->name_len,
        .type = d->type,
    };
    size_t before = w->plus ? sizeof(struct fuse_entry_out) : 0;
    size_t total = FUSE_DIRENT_ALIGN(before + FUSE_NAME_OFFSET + d->name_len);
    if (total > l->size - l->out->len)
        return 1;

    uint8_t *to = l->out->data + l->out->len;
    memset(to, 0, total);
    if (st) { /* else node 0: only the name is told */
        struct fuse_entry_out entry;
        fill_entry(l->s, node, st, &entry);
        memcpy(to, &entry, sizeof entry);
    }
    memcpy(to + before, &head, FUSE_NAME_OFFSET);
    memcpy(to + before + FUSE_NAME_OFFSET, d->name, d->name_len);
    l->out->len += total;
    return 0;
}

static int list(const struct serve_state *s, const struct serve_request *q, struct serve_reply *out,
                bool plus)
{
    struct fuse_read_in in;
    memcpy(&in, q->arg, sizeof in);
    struct listing l = {
        .walk = { .plus = plus, .entry = add_entry }, .s = s, .out = out, .size = in.size
    };
    if (l.size > SERVE_MAX_READ)
        l.size = SERVE_MAX_READ;
    int rc = s->tree->ops->list(s->tree, q->head.nodeid, in.offset, &l.walk);
    return rc < 0 && out->len == 0 ? rc
                                   : 0; /* what was read first, the damage with the next call */
}

static int do_readdir(const struct serve_state *s, const struct serve_request *q,
                      struct serve_reply *out)
{
    return list(s, q, out, false);
}

static int do_readdirplus(const struct serve_state *s, const struct serve_request *q,
                          struct serve_reply *out)
{
    return list(s, q, out, true);
}

/* Kernels before 5.1 have no way to be told that directories need no open. */
static int do_opendir(const struct serve_state *s, const struct serve_request *q,
                      struct serve_reply *out)
{
    (void)s;
    (void)q;
    (void)out;
    return -ENOSYS;
}

static int do_statfs(const struct serve_state *s, const struct serve_request *q,
                     struct serve_reply *out)
{
    (void)q;
    struct fuse_statfs_out fs = {
        .st = {
            .blocks = s->fs.blocks,
            .bfree = s->fs.free_blocks,
            .bavail = s->fs.free_blocks,
            .files = s->fs.inodes,
            .ffree = s->fs.free_inodes,
            .bsize = s->fs.block_bytes,
            .frsize = s->fs.block_bytes,
            .namelen = 255,
        },
    };
    put(out, &fs, sizeof fs);
    return 0;
}

/* A size of 0 asks for the length, which comes in a struct; else the bytes themselves come. */
static int give_sized(struct serve_reply *out, size_t asked, ssize_t n)
{
    if (n < 0)
        return (int)n;
    if (asked == 0) {
        struct fuse_getxattr_out length = { .size = (uint32_t)n };
        put(out, &length, sizeof length);
    } else {
        out->len = (size_t)n;
    }
    return 0;
}

/* Root's overlays mark an opaque directory as trusted.*, those of user namespaces look for user.*:
 * a layer that root has written shall mean the same to everybody. */
static ssize_t read_xattr(const struct serve_state *s, uint64_t node, const char *name, void *buf,
                          size_t size)
{
    ssize_t n = s->tree->ops->xattr(s->tree, node, name, buf, size);
    if (n == -ENODATA && strcmp(name, "user.overlay.opaque") == 0)
        return s->tree->ops->xattr(s->tree, node, "trusted.overlay.opaque", buf, size);
    return n;
}

static int do_getxattr(const struct serve_state *s, const struct serve_request *q,
                       struct serve_reply *out)
{
    struct fuse_getxattr_in in;
    memcpy(&in, q->arg, sizeof in);
    const char *name = name_at(q, sizeof in);
    if (!name)
        return -EINVAL;
    size_t size = in.size < SERVE_MAX_READ ? in.size : SERVE_MAX_READ;
    return give_sized(out, size, read_xattr(s, q->head.nodeid, name, out->data, size));
}

static int do_listxattr(const struct serve_state *s, const struct serve_request *q,
                        struct serve_reply *out)
{
    struct fuse_getxattr_in in;
    memcpy(&in, q->arg, sizeof in);
    size_t size = in.size < SERVE_MAX_READ ? in.size : SERVE_MAX_READ;
    return give_sized(out, size,
                      s->tree->ops->xattr_list(s->tree, q->head.nodeid, (char *)out->data, size));
}

static int do_lseek(const struct serve_state *s, const struct serve_request *q,
                    struct serve_reply *out)
{
    struct fuse_lseek_in in;
    memcpy(&in, q->arg, sizeof in);
    if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE)
        return -EINVAL;
    int64_t at = s->tree->ops->seek(s->tree, q->head.nodeid, in.offset, in.whence == SEEK_HOLE);
    if (at < 0)
        return (int)at;
    struct fuse_lseek_out reply = { .offset = (uint64_t)at };
    put(out, &reply, sizeof reply);
    return 0;
}

static int do_destroy(const struct serve_state *s, const struct serve_request *q,
                      struct serve_reply *out)
{
    (void)s;
    (void)q;
    (void)out;
    return 0;
}

/* Everything is answered at once and no node needs to be remembered. */
static int do_ignore(const struct serve_state *s, const struct serve_request *q,
                     struct serve_reply *out)
{
    (void)s;
    (void)q;
    (void)out;
    return SERVE_NO_REPLY;
}

static int do_refuse(const struct serve_state *s, const struct serve_request *q,
                     struct serve_reply *out)
{
    (void)s;
    (void)q;
    (void)out;
    return -EROFS;
}

/* What is not here is -ENOSYS, which makes the kernel stop asking: OPEN, FLUSH, FSYNC, ACCESS,
 * STATX, POLL, SYNCFS … (a file that cannot change needs none of them). */
static const struct op {
    int (*answer)(const struct serve_state *s, const struct serve_request *q,
                  struct serve_reply *out);
    size_t arg_len; /* at least */
} ops[] = {
    [FUSE_LOOKUP] = { do_lookup, 2 },
    [FUSE_FORGET] = { do_ignore, 0 },
    [FUSE_GETATTR] = { do_getattr, 0 },
    [FUSE_SETATTR] = { do_refuse, 0 },
    [FUSE_READLINK] = { do_readlink, 0 },
    [FUSE_SYMLINK] = { do_refuse, 0 },
    [FUSE_MKNOD] = { do_refuse, 0 },
    [FUSE_MKDIR] = { do_refuse, 0 },
    [FUSE_UNLINK] = { do_refuse, 0 },
    [FUSE_RMDIR] = { do_refuse, 0 },
    [FUSE_RENAME] = { do_refuse, 0 },
    [FUSE_LINK] = { do_refuse, 0 },
    [FUSE_READ] = { do_read, sizeof(struct fuse_read_in) },
    [FUSE_WRITE] = { do_refuse, 0 },
    [FUSE_STATFS] = { do_statfs, 0 },
    [FUSE_SETXATTR] = { do_refuse, 0 },
    [FUSE_GETXATTR] = { do_getxattr, sizeof(struct fuse_getxattr_in) + 2 },
    [FUSE_LISTXATTR] = { do_listxattr, sizeof(struct fuse_getxattr_in) },
    [FUSE_REMOVEXATTR] = { do_refuse, 0 },
    [FUSE_OPENDIR] = { do_opendir, 0 },
    [FUSE_READDIR] = { do_readdir, sizeof(struct fuse_read_in) },
    [FUSE_CREATE] = { do_refuse, 0 },
    [FUSE_INTERRUPT] = { do_ignore, 0 },
    [FUSE_DESTROY] = { do_destroy, 0 },
    [FUSE_BATCH_FORGET] = { do_ignore, 0 },
    [FUSE_FALLOCATE] = { do_refuse, 0 },
    [FUSE_READDIRPLUS] = { do_readdirplus, sizeof(struct fuse_read_in) },
    [FUSE_RENAME2] = { do_refuse, 0 },
    [FUSE_LSEEK] = { do_lseek, sizeof(struct fuse_lseek_in) },
    [FUSE_COPY_FILE_RANGE] = { do_refuse, 0 },
};

int serve_request_parse(const void *buf, size_t len, struct serve_request *out)
{
    if (len < sizeof out->head)
        return -EIO;
    memcpy(&out->head, buf, sizeof out->head);
    if (out->head.len != len)
        return -EIO;
    out->arg = (const uint8_t *)buf + sizeof out->head;
    out->arg_len = len - sizeof out->head;
    return 0;
}

int serve_answer(const struct serve_state *s, const struct serve_request *q,
                 struct serve_reply *out)
{
    uint32_t op = q->head.opcode;
    out->len = 0;
    if (op >= ARRAY_LEN(ops) || !ops[op].answer)
        return -ENOSYS;
    if (q->arg_len < ops[op].arg_len)
        return -EINVAL;
    int rc = ops[op].answer(s, q, out);
    /* Damage is an I/O error to programs: few know EUCLEAN. */
    return rc == -EUCLEAN ? -EIO : rc;
}

int serve_answer_init(const struct serve_request *q, struct serve_reply *out)
{
    const uint64_t wanted = FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS | FUSE_DO_READDIRPLUS |
                            FUSE_READDIRPLUS_AUTO | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT |
                            FUSE_CACHE_SYMLINKS | FUSE_MAX_PAGES | FUSE_ASYNC_DIO |
                            FUSE_EXPLICIT_INVAL_DATA;
    struct fuse_init_in in = { 0 };
    memcpy(&in, q->arg, q->arg_len < sizeof in ? q->arg_len : sizeof in);
    struct fuse_init_out init = {
        .major = FUSE_KERNEL_VERSION,
        .minor = FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = SERVE_MAX_READ,
        .flags = in.flags & (uint32_t)wanted,
        .max_background = 64,
        .congestion_threshold = 48,
        .max_write = 4096,
        .time_gran = 1,
        .max_pages = SERVE_MAX_READ / 4096,
    };
    put(out, &init, sizeof init);
    if (in.major > FUSE_KERNEL_VERSION)
        return -EAGAIN;
    if (in.major < FUSE_KERNEL_VERSION || in.minor < SERVE_MIN_MINOR)
        return -EPROTO;
    return 0;
}
