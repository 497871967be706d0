/* SPDX-License-Identifier: BSD-3-Clause */
/* Hostile images as trees: reading one, writing it as an archive, taking that in again. No crash,
 * no leak, no more output than the image can hold. Seeds: reader-seeds.sh. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fs.h"
#include "image/tree/tree.h"
#include "image/tar/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(int archive, const struct source *s)
{
    auto_close int spill = memfd_create("spill", MFD_CLOEXEC);
    struct err e = { 0 };
    struct tar_input in = {
        .fd = archive, .spill_fd = spill, .max_bytes = 1 << 28, .max_nodes = 1 << 20
    };
    auto_source struct source *again = source_from_tar(&in, &e);
    if (!again && s->n_nodes > 1 && !strstr(e.msg, "empty")) {
        /* Names and targets that a tar cannot say the way an ext can, or that lead out of it. */
        if (e.code != ERR_INPUT)
            abort();
    }
    err_clear(&e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_close int fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0 || fs_write_full(fd, data, size) < 0)
        return 0;
    auto_image_reader struct image_reader *r = NULL;
    if (image_reader_open(fd, 0, &r, NULL) < 0)
        return 0;
    struct err e = { 0 };
    auto_source struct source *s = source_from_reader(r, IMAGE_ROOT_INO, NULL, &e);
    if (!s) {
        if (e.code == ERR_NONE || !e.msg)
            abort();
        err_clear(&e);
        return 0;
    }
    auto_close int archive = memfd_create("archive", MFD_CLOEXEC);
    if (tar_write(s, archive, &e) < 0 && (e.code == ERR_NONE || !e.msg))
        abort();
    struct stat st;
    bool written = e.code == ERR_NONE;
    err_clear(&e);
    if (fstat(archive, &st) < 0 ||
        (uint64_t)st.st_size > s->max_data + s->n_nodes * (70000 + 65536))
        abort();
    if (written && lseek(archive, 0, SEEK_SET) == 0)
        check_again(archive, s);
    return 0;
}
