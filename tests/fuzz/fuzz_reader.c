/* SPDX-License-Identifier: BSD-3-Clause */
/* The ext reader on hostile bytes: open, then walk what there is by every call. Seeds come from
 * reader-seeds.sh. Every inode is looked at twice, each time with other rubbish in the buffers and
 * on the stack: what differs then was never read from the image, but would show the server's memory
 * to a program. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "image/image.h"

enum { MAX_NODES = 32, MAX_ENTRIES = 120, CHUNK = 9000, FIRST = 0xa5, SECOND = 0x5a };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

struct walk {
    const struct image_reader *r;
    uint32_t todo[MAX_NODES];
    size_t n;
    unsigned n_entries;
    uint32_t dir;
    uint64_t hash;   /* of all that was read */
    uint8_t rubbish; /* what unwritten memory holds in this pass */
};

static void expect(int ok)
{
    if (!ok)
        abort();
}

__attribute__((no_sanitize("address", "undefined", "coverage"))) static void
hash(struct walk *w, const void *data, size_t len)
{
    const uint8_t *p = data;
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t word;
        __builtin_memcpy(&word, p, 8);
        w->hash = (w->hash ^ word ^ w->hash >> 29) * 1099511628211u;
    }
    for (; len > 0; p++, len--)
        w->hash = (w->hash ^ *p) * 1099511628211u;
}

static void hash_number(struct walk *w, int64_t n)
{
    hash(w, &n, sizeof n);
}

/* The next call's frames lie where these bytes are. */
__attribute__((noinline, no_sanitize("address"))) static void litter(const struct walk *w)
{
    uint8_t stack[16000];
    memset(stack, w->rubbish, sizeof stack);
    __asm__ volatile("" : : "r"(stack) : "memory");
}

static int add_entry(void *ctx, const struct image_dirent *d)
{
    struct walk *w = ctx;
    uint32_t ino = 0;
    expect(d->name_len > 0 && d->name_len <= 255 && !memchr(d->name, '/', d->name_len));
    if (w->n_entries++ > MAX_ENTRIES)
        return 1;
    hash(w, d->name, d->name_len);
    if (w->n_entries % 8 == 0)
        expect(image_read_lookup(w->r, w->dir, d->name, d->name_len, &ino) <= 0);
    if (w->n < MAX_NODES && w->rubbish == FIRST)
        w->todo[w->n++] = d->ino;
    return 0;
}

static void read_all(struct walk *w, uint32_t ino, uint64_t size)
{
    static uint8_t buf[CHUNK];
    const uint64_t at[] = { 0, 11000, size / 2, size - CHUNK / 2, UINT64_MAX - 5, 1ull << 41 };
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        memset(buf, w->rubbish, sizeof buf);
        ssize_t n = image_read_data(w->r, ino, buf, sizeof buf, at[i]);
        expect(n <= (ssize_t)sizeof buf);
        hash_number(w, n);
        hash(w, buf, n > 0 ? (size_t)n : 0);
    }
    for (size_t i = 0; i < 3; i++) {
        int64_t hole = image_read_seek(w->r, ino, at[i], true);
        expect(hole < 0 || (uint64_t)hole <= size);
        int64_t found = image_read_seek(w->r, ino, at[i], false);
        expect(found < 0 || (uint64_t)found < size);
    }
}

static void read_xattrs(struct walk *w, uint32_t ino)
{
    char names[4096], value[8300];
    litter(w);
    ssize_t n = image_read_xattr_list(w->r, ino, names, sizeof names);
    hash_number(w, n);
    hash(w, names, n > 0 ? (size_t)n : 0);
    for (const char *x = names; n > 0 && x < names + n; x += strlen(x) + 1) {
        memset(value, w->rubbish, sizeof value);
        litter(w);
        ssize_t len = image_read_xattr(w->r, ino, x, value, sizeof value);
        expect(len <= (ssize_t)sizeof value);
        hash(w, value, len > 0 ? (size_t)len : 0);
        expect(image_read_xattr(w->r, ino, x, value, 3) <= 3);
    }
    expect(image_read_xattr(w->r, ino, "user.none", value, sizeof value) < 0 || n != 0);
}

static void look_at(struct walk *w, uint32_t ino)
{
    char target[4096];
    struct image_stat st;
    litter(w);
    if (image_read_stat(w->r, ino, &st) < 0)
        return;
    expect(st.atime_nsec < 1000000000 && st.mtime_nsec < 1000000000);
    hash_number(w, st.mtime ^ (int64_t)st.size ^ st.ctime);
    read_xattrs(w, ino);
    read_all(w, ino, st.size);
    litter(w);
    ssize_t n = image_read_link(w->r, ino, target, sizeof target);
    expect(n <= 4095 && n != 0);
    hash(w, target, n > 0 ? (size_t)n : 0);
    w->dir = ino;
    litter(w);
    expect(image_read_dir(w->r, ino, 0, add_entry, w) <= 0);
    expect(image_read_dir(w->r, ino, 1000, add_entry, w) <= 0);
}

static void look_twice(struct walk *w, uint32_t ino)
{
    unsigned n_entries = w->n_entries;
    w->hash = 0;
    w->rubbish = FIRST;
    look_at(w, ino);
    uint64_t first = w->hash;
    w->n_entries = n_entries;
    w->hash = 0;
    w->rubbish = SECOND;
    look_at(w, ino);
    expect(w->hash == first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image_reader *r = NULL;
    struct image_info info;
    struct image_fs_stat fs;
    struct str text = { 0 };
    uint32_t ino;
    static int fd = -1; /* one file for all runs: making its pages anew costs more than parsing */
    if (fd < 0)
        fd = memfd_create("image", MFD_CLOEXEC);
    expect(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    expect(pwrite(fd, data, size, 0) == (ssize_t)size);
    int probed = image_probe(fd, "x", &info, NULL);
    if (image_reader_open(fd, probed == 0 ? info.fs_offset : 0, &r, NULL) < 0)
        return 0;
    image_read_fs_stat(r, &fs);
    expect(fs.free_blocks <= fs.blocks && fs.free_inodes <= fs.inodes);
    struct walk w = { .r = r, .todo = { IMAGE_ROOT_INO }, .n = 1 };
    for (size_t i = 0; i < w.n; i++)
        look_twice(&w, w.todo[i]);
    expect(image_read_path(r, "sub/deep/../link/hello", true, &ino) <= 0);
    expect(image_read_file(r, "a/file", 1 << 20, &text, NULL) <= 0);
    str_free(&text);
    image_reader_close(r);
    return 0;
}

/* Most bytes of an image mean nothing: mutate a window that does. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    static const uint32_t hot[] = { 0,          1,      2,      8,          11,
                                    12,         0xff,   0xffff, 0x7fffffff, 0x80000000,
                                    0xffffffff, 0xf30a, 0x10,   64,         4096 };
    uint32_t table = 0;
    (void)max;
    srand(seed);
    if (size < 8192)
        return size;
    memcpy(&table, data + 2048 + 8, 4);
    for (int n = 1 + rand() % 4; n > 0; n--) {
        size_t at = (size_t)rand() % size;
        int where = rand() % 8;
        if (where == 0)
            at = 1024 + (size_t)rand() % 360;
        else if (where == 1)
            at = 2048 + (size_t)rand() % 128;
        else if (where < 6 && (size_t)table * 1024 + 4096 < size)
            at = (size_t)table * 1024 + (size_t)rand() % 4096;
        at &= ~(size_t)3;
        size_t len = size - at < 32 ? size - at : 32;
        if (rand() % 2)
            memcpy(data + at, &hot[(size_t)rand() % ARRAY_LEN(hot)], 4);
        else
            LLVMFuzzerMutate(data + at, len, len);
    }
    return size;
}
