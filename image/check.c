/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/proc.h"
#include "image/edit.h"
#include "image/writer/writer.h"
#include "image/tree/tree.h"

/* ── our own rules ───────────────────────────────────────────────────────────────────────────── */

/* Follow the map of every file: SEEK_HOLE goes over all of its blocks. */
static int check_maps(const struct source_image *si, const char *path, struct err *e)
{
    const struct source *s = si->source;
    for (const struct source_node *n = s->root; n; n = source_next(n, false)) {
        if (n->link || !S_ISREG(n->mode))
            continue;
        for (uint64_t at = 0; at < n->size;) {
            int64_t hole = s->ops->seek(s->ctx, n, at, true, e);
            int64_t data = hole < 0 ? hole : (int64_t)n->size;
            if (hole >= 0 && (uint64_t)hole < n->size)
                data = s->ops->seek(s->ctx, n, (uint64_t)hole, false, e);
            if (data < 0)
                return err_wrap(e, "image '%s'", path);
            at = (uint64_t)data > at ? (uint64_t)data : n->size;
        }
    }
    return 0;
}

static int check_tree(const char *path, int fd, const struct image_info *info, struct err *e)
{
    cleanup_with(source_image_close) struct source_image si = { 0 };
    const struct source_image_spec spec = { .fd = fd, .info = info };
    if (source_image_open(&spec, &si, e) < 0)
        return err_wrap(e, "image '%s'", path);
    source_sort(si.source);
    return check_maps(&si, path, e);
}

/* ── e2fsck ──────────────────────────────────────────────────────────────────────────────────── */

/* e2fsck is written for trusted bytes: root runs it as the image's owner. */
struct owner {
    uid_t uid;
    gid_t gid;
};

static int become(void *ctx)
{
    const struct owner *o = ctx;
    if (geteuid() != 0 || o->uid == 0)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(o->gid, o->gid, o->gid) < 0 ||
        setresuid(o->uid, o->uid, o->uid) < 0)
        return -1;
    return 0;
}

struct fsck {
    const char *program;
    const char *how; /* "-fn", "-fy" */
    int fd;          /* its standard input, which it finds as a file there */
    struct owner owner;
    struct str said;
};

static void fsck_fini(struct fsck *f)
{
    str_free(&f->said);
}

struct fsck_ctx {
    struct owner owner; /* first: `become` takes it */
    struct str *said;
};

static void hear(void *ctx, const char *line)
{
    struct fsck_ctx *c = ctx;
    if (c->said->len < 4096 && !str_starts(line, "Pass ") && !str_starts(line, "e2fsck ") &&
        line[0])
        str_addf(c->said, "%s\n", line);
}

static int run_fsck(struct fsck *f, int *status, struct err *e)
{
    struct fsck_ctx ctx = { .owner = f->owner, .said = &f->said };
    const char *argv[] = { f->program, f->how, "/proc/self/fd/0", NULL };
    const struct proc_spec spec = { .argv = argv,
                                    .stdin_fd = f->fd,
                                    .stdout_fd = -1,
                                    .stderr_fd = -1,
                                    .on_line = hear,
                                    .before_exec = become,
                                    .ctx = &ctx,
                                    .die_with_us = true };
    return proc_run(&spec, status, e);
}

static int damaged(const char *path, const struct fsck *f, struct err *e)
{
    auto_free char *line = mem_strndup(str_text(&f->said), strcspn(str_text(&f->said), "\n"));
    auto_free char *shown = str_printable(line);
    err_set(e, ERR_INPUT, "image '%s' is damaged: e2fsck says '%s'", path, shown);
    return err_hint(e, "'hpcc check --repair' repairs a copy and puts it in its place");
}

int image_check(const struct place *p, struct err *e)
{
    const char *path = p->path;
    struct image_info info;
    struct stat st;
    auto_close int fd = image_open_place(p, &info, e);
    if (fd < 0)
        return -1;
    if (info.kind != IMAGE_EXT) {
        err_set(e, ERR_INPUT, "cannot check '%s': it holds no ext file system", path);
        return err_hint(e, "squashfs images carry checksums of their own kind: 'unsquashfs -s'");
    }
    if (image_lock(fd, path, IMAGE_LOCK_READ, e) < 0 || check_tree(path, fd, &info, e) < 0)
        return -1;
    auto_free char *program = proc_find("e2fsck");
    if (!program || info.fs_offset != 0 || fstat(fd, &st) < 0)
        return 0;
    cleanup_with(fsck_fini) struct fsck f = {
        .program = program, .how = "-fn", .fd = fd, .owner = { st.st_uid, st.st_gid }
    };
    int status;
    if (run_fsck(&f, &status, e) < 0)
        return -1;
    return status == 0 ? 0 : damaged(path, &f, e);
}

/* ── repair ──────────────────────────────────────────────────────────────────────────────────── */

/* A copy that shares blocks where the file system can, else one that keeps the holes. */
static int copy_sparse(int from, int to, uint64_t size, struct err *e)
{
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    enum { CHUNK = 1 << 20 };
    auto_free uint8_t *buf = mem_alloc(CHUNK);
    if (ftruncate(to, (off_t)size) < 0)
        return err_sys(e, "cannot copy the image");
    for (uint64_t at = 0; at < size;) {
        off_t data = lseek(from, (off_t)at, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            break;
        if (data >= 0)
            at = (uint64_t)data;
        ssize_t got = fs_pread_full(from, buf, CHUNK, at);
        if (got <= 0)
            break;
        if (!ext_is_zero(buf, (size_t)got) && fs_pwrite_full(to, buf, (size_t)got, at) < 0)
            return err_sys(e, "cannot copy the image");
        at += (uint64_t)got;
    }
    return 0;
}

static int publish_repaired(struct fs_draft *draft, const struct edit *ed, struct err *e)
{
    if ((ed->st.st_uid != geteuid() || ed->st.st_gid != getegid()) &&
        fchown(draft->fd, ed->st.st_uid, ed->st.st_gid) < 0)
        return err_sys(e, "cannot give '%s' back to its owner", draft->at->path);
    return fs_draft_publish(draft, ed->st.st_mode & 0777, true, e);
}

int image_repair(struct place *p, bool *changed, struct err *e)
{
    const char *path = p->path;
    auto_edit struct edit ed = EDIT_INIT;
    auto_draft struct fs_draft draft = FS_DRAFT_INIT;
    auto_free char *program = proc_find("e2fsck");
    if (!program) {
        err_set(e, ERR_HOST, "cannot repair '%s': there is no e2fsck on this host", path);
        return err_hint(e, "install the package 'e2fsprogs'");
    }
    if (edit_open(p, IMAGE_LOCK_WRITE, &ed, e) < 0 || fs_draft_open(p, &draft, e) < 0)
        return -1;
    if (ed.info.fs_offset != 0)
        return err_set(e, ERR_INPUT, "cannot repair '%s': its file system starts inside the file",
                       path);
    if (copy_sparse(ed.fd, draft.fd, ed.info.file_bytes, e) < 0)
        return -1;
    if (ed.st.st_uid != geteuid() && geteuid() == 0 &&
        fchown(draft.fd, ed.st.st_uid, ed.st.st_gid) < 0)
        return err_sys(e, "cannot give the copy of '%s' to its owner", path);
    cleanup_with(fsck_fini) struct fsck f = {
        .program = program, .how = "-fy", .fd = draft.fd, .owner = { ed.st.st_uid, ed.st.st_gid }
    };
    int status;
    if (run_fsck(&f, &status, e) < 0)
        return -1;
    if (status > 3)
        return damaged(path, &f, e);
    *changed = status != 0;
    if (check_tree(path, draft.fd, &ed.info, e) < 0)
        return -1;
    return *changed ? publish_repaired(&draft, &ed, e) : 0;
}
