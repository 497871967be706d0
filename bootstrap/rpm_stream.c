/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm_md.h"

#include <fcntl.h>
#include <solv/solv_xfopen.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/path.h"

#define OPEN_TEXT  "<description>"
#define CLOSE_TEXT "</description>"
enum { HELD = sizeof CLOSE_TEXT }; /* more than a tag cut in two by a buffer's end */

/* A small file may unpack to terabytes, hence the limit. */
struct source {
    FILE *inner;
    struct yum_stream how;
    uint64_t left;
    char held[HELD]; /* the end of the last piece: it may begin a tag */
    size_t n_held;
    bool skipping; /* inside a description */
};

/* Drop descriptions from the LEN bytes at BUF, in place; returns how many are left to give out. */
static size_t drop_texts(struct source *s, char *buf, size_t len, bool at_end)
{
    size_t in = 0, out = 0;
    while (in < len) {
        const char *tag = s->skipping ? CLOSE_TEXT : OPEN_TEXT;
        size_t tag_len = strlen(tag);
        char *hit = memmem(buf + in, len - in, tag, tag_len);
        size_t end = hit ? (size_t)(hit - buf) : len;
        if (!hit && !at_end) { /* hold back what may be the beginning of the tag */
            size_t most = len - in < tag_len - 1 ? len - in : tag_len - 1;
            char *cut = memchr(buf + len - most, '<', most);
            end = cut ? (size_t)(cut - buf) : len;
            s->n_held = len - end;
            memcpy(s->held, buf + end, s->n_held);
        }
        if (!s->skipping) {
            memmove(buf + out, buf + in, end - in);
            out += end - in;
        }
        if (!hit)
            return out;
        s->skipping = !s->skipping;
        in = end + tag_len;
    }
    return out;
}

static ssize_t source_read(void *ctx, char *buf, size_t size)
{
    struct source *s = ctx;
    if (!s->how.brief || size <= 2 * HELD) {
        size_t n = fread(buf, 1, size, s->inner);
        if (n > s->left) {
            *s->how.too_long = true;
            return -1;
        }
        s->left -= n;
        return n == 0 && ferror(s->inner) ? -1 : (ssize_t)n;
    }
    for (;;) {
        size_t held = s->n_held;
        memcpy(buf, s->held, held);
        s->n_held = 0;
        size_t n = fread(buf + held, 1, size - held, s->inner);
        if (n > s->left) {
            *s->how.too_long = true;
            return -1;
        }
        s->left -= n;
        if (n == 0 && ferror(s->inner))
            return -1;
        size_t out = drop_texts(s, buf, held + n, n == 0);
        if (out || n == 0)
            return (ssize_t)out;
    }
}

static int source_close(void *ctx)
{
    struct source *s = ctx;
    fclose(s->inner);
    free(s);
    return 0;
}

FILE *yum_md_stream(const struct yum_md *md, int fd, const struct yum_stream *how, struct err *e)
{
    auto_free char *name = path_base(md->path);
    *how->too_long = false;
    auto_close int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0 || lseek(copy, 0, SEEK_SET) < 0) {
        err_sys(e, "cannot read '%s'", name);
        return NULL;
    }
    FILE *inner = solv_xfopen_fd(name, copy, "r");
    if (!inner) {
        err_set(e, ERR_HOST, "'%s' is compressed in a way that libsolv here cannot read", name);
        return NULL;
    }
    steal_fd(&copy);
    struct source *s = mem_zero(1, sizeof *s);
    *s = (struct source){ .inner = inner, .how = *how, .left = how->limit_bytes };
    FILE *outer =
        fopencookie(s, "r", (cookie_io_functions_t){ .read = source_read, .close = source_close });
    if (!outer) {
        source_close(s);
        err_sys(e, "cannot read '%s'", name);
        return NULL;
    }
    setvbuf(outer, NULL, _IOFBF, 1 << 16);
    return outer;
}
