/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tar/spill.h"

#include <string.h>

#include "base/fs.h"
#include "base/mem.h"

/* One run of a file's bytes. The last piece of a file has LAST set:
 * a count per file is not needed. */
struct piece {
    uint64_t offset; /* in the file */
    uint64_t at;     /* in the scratch file */
    uint64_t len : 63;
    uint64_t last : 1;
};

enum { BUFFER = 256 * 1024 }; /* a hundred small files per write */

struct spill {
    int fd;
    uint64_t end; /* of the scratch file, buffered bytes included */
    struct piece *pieces;
    size_t n_pieces;
    struct source_node *current;
    size_t buffered;
    const struct source_node *seen; /* read last, and which piece: contents are read in order */
    size_t seen_piece;
    char buffer[BUFFER];
};

struct spill *spill_new(int fd)
{
    struct spill *sp = mem_zero(1, sizeof *sp);
    sp->fd = fd;
    return sp;
}

void spill_begin(struct spill *sp, struct source_node *n)
{
    sp->current = n;
    n->data = 0;
}

static int flush(struct spill *sp, struct err *e)
{
    size_t len = sp->buffered;
    sp->buffered = 0;
    if (len && fs_pwrite_full(sp->fd, sp->buffer, len, sp->end - len) < 0)
        return err_sys(e, "cannot keep the archive's files in a temporary file");
    return 0;
}

static void add_piece(struct spill *sp, uint64_t offset, size_t len)
{
    struct piece *p = sp->n_pieces ? &sp->pieces[sp->n_pieces - 1] : NULL;
    if (sp->current->data && p->offset + p->len == offset) {
        p->len += len;
        return;
    }
    if (sp->current->data)
        p->last = 0;
    sp->pieces = mem_grow(sp->pieces, sp->n_pieces, sizeof *sp->pieces);
    sp->pieces[sp->n_pieces++] =
        (struct piece){ .offset = offset, .at = sp->end, .len = len, .last = 1 };
    if (!sp->current->data)
        sp->current->data = sp->n_pieces;
}

int spill_add(struct spill *sp, const void *data, size_t len, uint64_t offset, struct err *e)
{
    if (!len)
        return 0;
    if (sp->buffered + len > BUFFER && flush(sp, e) < 0)
        return -1;
    add_piece(sp, offset, len);
    sp->end += len;
    if (len > BUFFER) {
        if (fs_pwrite_full(sp->fd, data, len, sp->end - len) < 0)
            return err_sys(e, "cannot keep the archive's files in a temporary file");
        return 0;
    }
    memcpy(sp->buffer + sp->buffered, data, len);
    sp->buffered += len;
    return 0;
}

int spill_finish(struct spill *sp, struct err *e)
{
    return flush(sp, e);
}

/* The piece of N that holds OFFSET, or the first after it; NULL when there is none. */
static const struct piece *piece_at(struct spill *sp, const struct source_node *n, uint64_t offset)
{
    if (!n->data)
        return NULL;
    size_t i = (size_t)n->data - 1;
    if (sp->seen == n && sp->pieces[sp->seen_piece].offset <= offset)
        i = sp->seen_piece;
    for (;; i++) {
        const struct piece *p = &sp->pieces[i];
        if (p->offset + p->len > offset) {
            sp->seen = n;
            sp->seen_piece = i;
            return p;
        }
        if (p->last)
            return NULL;
    }
}

static ssize_t spill_read(void *ctx, const struct source_node *n, void *buf, size_t len,
                          uint64_t offset, struct err *e)
{
    struct spill *sp = ctx;
    if (offset >= n->size)
        return 0;
    if (len > n->size - offset)
        len = (size_t)(n->size - offset);
    memset(buf, 0, len);
    for (size_t done = 0; done < len;) {
        const struct piece *p = piece_at(sp, n, offset + done);
        if (!p || p->offset >= offset + len)
            break;
        if (p->offset > offset + done)
            done = (size_t)(p->offset - offset);
        uint64_t skip = offset + done - p->offset;
        size_t want = len - done < p->len - skip ? len - done : (size_t)(p->len - skip);
        ssize_t got = fs_pread_full(sp->fd, (char *)buf + done, want, p->at + skip);
        if (got != (ssize_t)want)
            return err_sys(e, "cannot read back the archive's files");
        done += want;
    }
    return (ssize_t)len;
}

static int64_t spill_seek(void *ctx, const struct source_node *n, uint64_t offset, bool hole,
                          struct err *e)
{
    (void)e;
    struct spill *sp = ctx;
    const struct piece *p = piece_at(sp, n, offset);
    uint64_t at = offset;
    if (!hole)
        at = !p ? n->size : p->offset > offset ? p->offset : offset;
    while (hole && p && p->offset <= at) {
        at = p->offset + p->len;
        p = p->last ? NULL : p + 1;
    }
    return (int64_t)(at < n->size ? at : n->size);
}

static void spill_free(void *ctx)
{
    struct spill *sp = ctx;
    free(sp->pieces);
    free(sp);
}

const struct source_ops spill_ops = { .read = spill_read, .seek = spill_seek, .close = spill_free };
