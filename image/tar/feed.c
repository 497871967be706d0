/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tar/feed.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/defence.h"
#include "base/mem.h"

/* libarchive builds a list of 48 bytes for each "0\n0\n" of a map of holes, and looks through all
 * entries of an access list for each new one. No honest header is near these: 16 MiB are the map of
 * a million holes, and an image holds 500 entries of an access list. */
#define HEADER_MAX_BYTES (16u << 20)
enum { ACL_MAX_BYTES = 1 << 16, PART = 1 << 16 };

#define ACL_KEY "SCHILY.acl."
enum { KEPT = 8 + sizeof ACL_KEY }; /* digits, a blank, and the key but for its last byte */

struct feed {
    struct archive *packed; /* gives one file: the archive without its compression */
    const char *piece;      /* what it gave last, and how much of that was not passed on yet */
    size_t n_piece;
    uint64_t left; /* of what may come out */
    uint64_t header_left;
    bool header;
    enum feed_fault fault;
    char tail[KEPT]; /* of the last piece: the key may be cut in two */
    size_t n_tail;
};

/* Whether LEN bytes at DATA hold a pax record of an access list that says it is too long. Contents
 * are looked at as well: where a header begins is the reader's business. */
static bool long_acl(const char *data, size_t len)
{
    const size_t key = strlen(ACL_KEY);
    for (const char *at = data; (at = memmem(at, len - (size_t)(at - data), ACL_KEY, key)); at++) {
        const char *digit = at - 1;
        uint64_t value = 0, unit = 1;
        if (at == data || *digit != ' ')
            continue;
        while (digit > data && isdigit((unsigned char)digit[-1]) && unit < 100000000) {
            value += unit * (uint64_t)(*--digit - '0');
            unit *= 10;
        }
        if (value > ACL_MAX_BYTES)
            return true;
    }
    return false;
}

static bool acl_in_sight(struct feed *f, const char *data, size_t len)
{
    char seam[2 * KEPT];
    size_t n = len < KEPT ? len : KEPT;
    memcpy(seam, f->tail, f->n_tail);
    memcpy(seam + f->n_tail, data, n);
    bool found = long_acl(seam, f->n_tail + n) || long_acl(data, len);
    size_t all = f->n_tail + n;
    if (len >= KEPT) {
        memcpy(f->tail, data + len - KEPT, KEPT);
        f->n_tail = KEPT;
    } else { /* a short piece joins what is kept */
        f->n_tail = all < KEPT ? all : KEPT;
        memcpy(f->tail, seam + all - f->n_tail, f->n_tail);
    }
    return found;
}

static enum feed_fault judge(struct feed *f, const char *data, size_t len)
{
    if (!defence("unpacked-bytes"))
        return FEED_SOUND;
    if (len > f->left)
        return FEED_OVER;
    f->left -= len;
    if (f->header && len > f->header_left)
        return FEED_LONG_HEADER;
    f->header_left -= f->header ? len : 0;
    return acl_in_sight(f, data, len) ? FEED_LONG_HEADER : FEED_SOUND;
}

/* The next piece, passed on in parts: an archive in memory comes as one, and what belongs to a
 * header is measured by the part. */
static int next_piece(struct feed *f)
{
    const void *data = NULL;
    la_int64_t offset;
    int rc = ARCHIVE_OK;
    while (rc == ARCHIVE_OK && !f->n_piece) {
        rc = archive_read_data_block(f->packed, &data, &f->n_piece, &offset);
        f->piece = data;
    }
    return rc;
}

static la_ssize_t give(struct archive *a, void *ctx, const void **data)
{
    struct feed *f = ctx;
    int rc = next_piece(f);
    if (rc == ARCHIVE_EOF)
        return 0;
    size_t len = f->n_piece < PART ? f->n_piece : PART;
    if (rc == ARCHIVE_OK && (f->fault = judge(f, f->piece, len)) == FEED_SOUND) {
        *data = f->piece;
        f->piece += len;
        f->n_piece -= len;
        return (la_ssize_t)len;
    }
    const char *why = rc == ARCHIVE_OK ? "over a limit" : archive_error_string(f->packed);
    archive_set_error(a, rc == ARCHIVE_OK ? EILSEQ : archive_errno(f->packed), "%s",
                      why ? why : "it is truncated or damaged");
    return -1;
}

struct feed *feed_new(const struct tar_input *in)
{
    struct feed *f = mem_zero(1, sizeof *f);
    f->packed = archive_read_new();
    f->left = in->max_bytes;
    /* By name, not "all": that would also run programs that the archive's first bytes ask for. */
    archive_read_support_filter_gzip(f->packed);
    archive_read_support_filter_bzip2(f->packed);
    archive_read_support_filter_xz(f->packed);
    archive_read_support_filter_lzma(f->packed);
    archive_read_support_filter_zstd(f->packed);
    archive_read_support_filter_lz4(f->packed);
    archive_read_support_format_raw(f->packed);
    return f;
}

void feed_free(struct feed *f)
{
    if (!f)
        return;
    archive_read_free(f->packed);
    free(f);
}

int feed_open(struct feed *f, const struct tar_input *in, struct archive *a)
{
    struct archive_entry *all;
    int rc = in->fd >= 0 ? archive_read_open_fd(f->packed, in->fd, 1 << 18)
                         : archive_read_open_memory(f->packed, in->data, in->data_len);
    if (rc == ARCHIVE_OK)
        rc = archive_read_next_header(f->packed, &all);
    if (rc == ARCHIVE_OK)
        return archive_read_open(a, f, NULL, give, NULL);
    const char *why = archive_error_string(f->packed);
    archive_set_error(a, archive_errno(f->packed), "%s", why ? why : "Unrecognized archive format");
    return ARCHIVE_FATAL;
}

void feed_header(struct feed *f, bool header)
{
    f->header = header;
    f->header_left = HEADER_MAX_BYTES;
}

enum feed_fault feed_fault(const struct feed *f)
{
    return f->fault;
}
