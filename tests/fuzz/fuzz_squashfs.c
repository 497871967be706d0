/* SPDX-License-Identifier: BSD-3-Clause */
/* libsquashfuse and what stands before it on hostile bytes: open, then walk what there is by every
 * call. Seeds come from squashfs-seeds.sh; half of the runs change only the superblock and the last
 * part, where the tables lie. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/image/tree_walk.h"

enum { SUPER = 96, TABLES = 3000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    if (seed % 2 || size < SUPER + TABLES)
        return LLVMFuzzerMutate(data, size, max);
    if (seed % 16 == 0)
        LLVMFuzzerMutate(data, SUPER, SUPER);
    else
        LLVMFuzzerMutate(data + size - TABLES, TABLES, TABLES);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1; /* one file for all runs: making its pages anew costs more than parsing */
    struct image_tree *t = NULL;
    if (fd < 0)
        fd = memfd_create("image", MFD_CLOEXEC);
    walk_expect(ftruncate(fd, (off_t)size) == 0);
    walk_expect(pwrite(fd, data, size, 0) == (ssize_t)size);
    if (image_tree_open_squashfs(fd, 0, &t, NULL) < 0)
        return 0;
    (void)walk_all(t);
    image_tree_close(t);
    return 0;
}
