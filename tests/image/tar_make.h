/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_TAR_MAKE_H
#define TESTS_IMAGE_TAR_MAKE_H

/* Tar archives byte by byte, so that they can be wrong in every way. */

#include <stdio.h>
#include <string.h>

#include "base/str.h"

struct entry {
    const char *name;
    char type; /* '0' file, '1' hard link, '2' symlink, '3' '4' devices, '5' directory … */
    const char *link;
    const char *data;
    size_t data_len;   /* 0: strlen(data) */
    const char *size;  /* the size field as text; NULL: as it is */
    const char *mtime; /* the same */
    unsigned mode;     /* 0: 0644 */
};

static inline void tar_pad(struct str *tar)
{
    while (tar->len % 512)
        str_add_c(tar, 0);
}

/* A header's field of octal digits and a NUL. */
static inline void tar_octal(char *field, size_t size, uint64_t value)
{
    field[--size] = 0;
    while (size > 0) {
        field[--size] = (char)('0' + (value & 7));
        value >>= 3;
    }
}

static inline void tar_text(char *field, size_t size, const char *text)
{
    memcpy(field, text, strnlen(text, size - 1));
}

static inline void tar_entry(struct str *tar, const struct entry *x)
{
    char h[512] = { 0 };
    size_t len = x->data ? (x->data_len ? x->data_len : strlen(x->data)) : 0;
    tar_text(h, 100, x->name);
    tar_octal(h + 100, 8, x->mode ? x->mode & 07777 : 0644);
    tar_octal(h + 108, 8, 0);
    tar_octal(h + 116, 8, 0);
    tar_octal(h + 124, 12, len);
    tar_octal(h + 136, 12, 1000);
    if (x->size)
        memcpy(h + 124, x->size, 12);
    if (x->mtime)
        memcpy(h + 136, x->mtime, 12);
    h[156] = x->type;
    if (x->link)
        tar_text(h + 157, 100, x->link);
    memcpy(h + 257, "ustar\00000", 8);
    if (x->type == '3' || x->type == '4') {
        tar_octal(h + 329, 8, 1);
        tar_octal(h + 337, 8, 3);
    }
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += (unsigned char)h[i];
    tar_octal(h + 148, 7, sum); /* the blank after the NUL stays */
    str_add_n(tar, h, sizeof h);
    if (len)
        str_add_n(tar, x->data, len);
    tar_pad(tar);
}

/* A pax header of one record for the entry that follows. */
static inline void tar_pax(struct str *tar, const char *key, const char *value)
{
    struct str body = { 0 };
    size_t rest = strlen(key) + strlen(value) + 3, total = rest + 1;
    char digits[24];
    while ((size_t)snprintf(digits, sizeof digits, "%zu", total) + rest != total)
        total++;
    str_addf(&body, "%zu %s=%s\n", total, key, value);
    tar_entry(tar, &(struct entry){ "PaxHeaders/x", 'x', .data = body.data, .data_len = body.len });
    str_free(&body);
}

static inline void tar_end(struct str *tar)
{
    static const char zeros[1024];
    str_add_n(tar, zeros, sizeof zeros);
}

#endif
