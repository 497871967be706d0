/* SPDX-License-Identifier: BSD-3-Clause */
/* The importer on any bytes: no crash, no leak, and a tree that is well-formed, can be read back
 * and is the same after a trip through our own archive. Seeds: tar archives, packed ones too. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "image/tar/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct source *import(const void *data, size_t len, int fd, int spill_fd)
{
    if (ftruncate(spill_fd, 0) < 0)
        abort();
    struct tar_input in = { .fd = fd,
                            .data = data,
                            .data_len = len,
                            .spill_fd = spill_fd,
                            .max_bytes = 1 << 20,
                            .max_nodes = 1000 };
    return source_from_tar(&in, NULL);
}

static void check_node(struct source *s, struct source_node *n)
{
    struct source_node *file = source_file(n);
    size_t len = strlen(n->name);
    if (n != s->root && (len == 0 || len > SOURCE_NAME_MAX || strchr(n->name, '/') ||
                         strcmp(n->name, ".") == 0 || strcmp(n->name, "..") == 0))
        abort();
    if (file->link || (n->link && S_ISDIR(file->mode)) || (n->n_children && !S_ISDIR(n->mode)))
        abort();
    if (S_ISLNK(file->mode) && (!file->target || !*file->target))
        abort();
    for (size_t i = 1; i < n->n_children; i++)
        if (strcmp(n->children[i - 1]->name, n->children[i]->name) >= 0)
            abort();
}

static void check_content(struct source *s, const struct source_node *n)
{
    char buf[4096];
    if (!S_ISREG(n->mode) || !n->size)
        return;
    for (uint64_t at = 0; at < n->size;) {
        int64_t from = s->ops->seek(s->ctx, n, at, false, NULL);
        int64_t end = s->ops->seek(s->ctx, n, at, true, NULL);
        if (from < (int64_t)at || end < (int64_t)at || from > (int64_t)n->size ||
            (from != (int64_t)at && end != (int64_t)at))
            abort();
        if (s->ops->read(s->ctx, n, buf, sizeof buf, at, NULL) <= 0)
            abort();
        at = from > (int64_t)at ? (uint64_t)from : (uint64_t)end;
    }
}

/* The tree's own archive; the caller closes it. */
static int archive_of(struct source *s)
{
    int fd = memfd_create("archive", MFD_CLOEXEC);
    struct err e = { 0 };
    if (fd < 0 || tar_write(s, fd, &e) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        abort();
    return fd;
}

static void compare(int a, int b)
{
    char p[4096], q[4096];
    ssize_t n;
    while ((n = read(a, p, sizeof p)) > 0)
        if (read(b, q, sizeof q) != n || memcmp(p, q, (size_t)n) != 0)
            abort();
    if (read(b, q, sizeof q) != 0)
        abort();
}

/* Make the checksums of what looks like headers right, or no mutation gets past the first check. */
static void fix_sums(uint8_t *data, size_t size)
{
    for (; size >= 512; data += 512, size -= 512) {
        if (memcmp(data + 257, "ustar", 5) != 0)
            continue;
        unsigned sum = 0;
        memset(data + 148, ' ', 8);
        for (size_t i = 0; i < 512; i++)
            sum += data[i];
        snprintf((char *)data + 148, 8, "%06o", sum);
    }
}

static int one_input(const uint8_t *data, size_t size)
{
    auto_close int spill = memfd_create("spill", MFD_CLOEXEC);
    auto_close int spill_again = memfd_create("spill", MFD_CLOEXEC);
    auto_source struct source *s = import(data, size, -1, spill);
    if (!s)
        return 0;
    source_sort(s);
    for (struct source_node *n = s->root; n; n = source_next(n, false)) {
        check_node(s, n);
        check_content(s, n);
    }
    auto_close int first = archive_of(s);
    struct stat st;
    if (fstat(first, &st) < 0 || st.st_size > 1 << 20)
        return 0; /* headers of ours may be longer than those that came */
    auto_source struct source *again = import(NULL, 0, first, spill_again);
    if (!again)
        abort();
    auto_close int second = archive_of(again);
    if (lseek(first, 0, SEEK_SET) < 0)
        abort();
    compare(first, second);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free uint8_t *copy = mem_alloc(size + 1);
    memcpy(copy, data, size);
    fix_sums(copy, size);
    return one_input(copy, size);
}
