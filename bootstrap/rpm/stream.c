/* SPDX-License-Identifier: BSD-3-Clause */
#include "bootstrap/rpm/md.h"

#include <solv/solv_xfopen.h>
#include <stdlib.h>

#include "base/defence.h"
#include "base/mem.h"
#include "base/path.h"

#define OPEN_TEXT  "<description>"
#define CLOSE_TEXT "</description>"
enum { HELD = sizeof CLOSE_TEXT }; /* more than a tag cut in two by a buffer's end */

/* A small file may unpack to terabytes, hence the limit. What reads the stream then keeps what is
 * in it: packages are counted, and there is no way to make more of it than it is (entities). */
struct source {
    FILE *inner;
    struct yum_stream *how; /* lent */
    uint64_t left;
    struct yum_tags doctype, package;
    size_t n_packages;
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

size_t yum_tags_count(struct yum_tags *t, const char *tag, const char *buf, size_t len)
{
    size_t n = 0, want = strlen(tag);
    const char *at = buf, *end = buf + len;
    while (t->n_matched && at < end) { /* the rest of one that began in the last piece */
        if (*at != tag[t->n_matched]) {
            t->n_matched = 0;
            break;
        }
        at++;
        if (++t->n_matched == want) {
            n++;
            t->n_matched = 0;
        }
    }
    while ((at = memchr(at, tag[0], (size_t)(end - at)))) {
        size_t have = (size_t)(end - at) < want ? (size_t)(end - at) : want;
        if (memcmp(at, tag, have) != 0) {
            at++;
            continue;
        }
        n += have == want;
        t->n_matched = have == want ? 0 : have;
        at += have;
    }
    return n;
}

/* What would be an attack on the parser behind this, or make it keep too much. */
static const char *fault_of(struct source *s, const char *buf, size_t n)
{
    if (n > s->left)
        return "is larger unpacked than announced, or than hpcc reads";
    if (!s->how->max_packages)
        return NULL;
    /* XML has no other use for NUL than UTF-16, in which no tag would be found here. */
    if (memchr(buf, 0, n) || yum_tags_count(&s->doctype, "<!DOCTYPE", buf, n))
        return "is not plain XML: it declares entities, or is not UTF-8";
    s->n_packages += yum_tags_count(&s->package, "<package", buf, n);
    return s->n_packages > s->how->max_packages ? "holds more packages than hpcc reads" : NULL;
}

static bool accepted(struct source *s, const char *buf, size_t n)
{
    s->how->fault = defence("metadata-limits") ? fault_of(s, buf, n) : NULL;
    s->left -= n < s->left ? n : s->left;
    return !s->how->fault;
}

static ssize_t source_read(void *ctx, char *buf, size_t size)
{
    struct source *s = ctx;
    if (!s->how->brief || size <= 2 * HELD) {
        size_t n = fread(buf, 1, size, s->inner);
        return !accepted(s, buf, n) || (n == 0 && ferror(s->inner)) ? -1 : (ssize_t)n;
    }
    for (;;) {
        size_t held = s->n_held;
        memcpy(buf, s->held, held);
        s->n_held = 0;
        size_t n = fread(buf + held, 1, size - held, s->inner);
        if (!accepted(s, buf + held, n) || (n == 0 && ferror(s->inner)))
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

/* A verified descriptor of one file of metadata. */
static int fetch_md(const struct fetch *f, const struct yum_repo *r, const struct yum_md *md,
                    struct err *e)
{
    struct fetch_file file = {
        .mirrors = &r->mirrors,
        .path = md->path,
        .algo = md->algo,
        .hex = md->hex,
        .size_bytes = md->size_bytes,
        .max_bytes = 1u << 30,
    };
    if (fetch_files(f, &file, 1, e) < 0) {
        fetch_files_close(&file, 1);
        return err_wrap(e, "repository '%s'", r->source->id);
    }
    free(file.from);
    return file.fd;
}

static uint64_t limit(const struct yum_md *md, const struct yum_stream *how)
{
    bool announced = md->open_size_bytes && md->open_size_bytes < how->limit_bytes;
    return announced ? md->open_size_bytes : how->limit_bytes;
}

/* FD is eaten in any case. */
static FILE *unpacked(const struct yum_md *md, int fd, struct yum_stream *how, struct err *e)
{
    auto_free char *name = path_base(md->path);
    auto_close int packed = fd;
    if (lseek(packed, 0, SEEK_SET) < 0) {
        err_sys(e, "cannot read '%s'", name);
        return NULL;
    }
    FILE *inner = solv_xfopen_fd(name, packed, "r");
    if (!inner) {
        err_set(e, ERR_HOST, "'%s' is compressed in a way that libsolv here cannot read", name);
        return NULL;
    }
    steal_fd(&packed);
    struct source *s = mem_zero(1, sizeof *s);
    *s = (struct source){ .inner = inner, .how = how, .left = limit(md, how) };
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

int yum_md_open(const struct yum_pool *p, const struct yum_repo *r, struct yum_stream *s,
                FILE **file, struct err *e)
{
    const struct yum_md *md = yum_repo_md(r, s->type);
    *file = NULL;
    s->fault = NULL;
    if (!md)
        return 0;
    int fd = fetch_md(p->fetch, r, md, e);
    if (fd < 0)
        return -1;
    *file = unpacked(md, fd, s, e);
    return *file ? 0 : -1;
}

int yum_md_whole(const struct yum_repo *r, const struct yum_stream *s, struct err *e)
{
    if (!s->fault)
        return 0;
    err_set(e, ERR_INPUT, "repository '%s': '%s' %s", r->source->id, yum_repo_md(r, s->type)->path,
            s->fault);
    return err_hint(e, "hpcc-bootstrap(1) tells the limits; use another repository");
}
