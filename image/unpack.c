/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "image/image.h"
#include "image/tree/tree.h"
#include "image/tar/tar.h"

void source_image_close(struct source_image *si)
{
    source_free(steal_ptr(si->source));
    image_reader_close(steal_ptr(si->reader));
}

static int open_ext(const struct source_image_spec *spec, struct source_image *out, struct err *e)
{
    cleanup_with(source_image_close) struct source_image si = { 0 };
    if (image_reader_open(spec->fd, spec->info->fs_offset, &si.reader, e) < 0)
        return -1;
    uint32_t ino = IMAGE_ROOT_INO;
    if (spec->path) {
        int rc = image_read_path(si.reader, spec->path, false, &ino);
        if (rc == -ENOENT || rc == -ENOTDIR)
            return err_set(e, ERR_INPUT, "there is no '%s' in the image", spec->path);
        if (rc < 0)
            return err_set(e, ERR_INPUT, "cannot find '%s' in the image: %s", spec->path,
                           strerror(-rc));
    }
    si.source = source_from_reader(si.reader, ino, spec->name, e);
    if (!si.source)
        return -1;
    *out = si;
    si = (struct source_image){ 0 };
    return 0;
}

static int open_dir(const struct source_image_spec *spec, struct source_image *out, struct err *e)
{
    bool all = !spec->path || !spec->path[strspn(spec->path, "/")];
    if (all && !spec->name) {
        out->source = source_from_dir(spec->fd, NULL, e);
        return out->source ? 0 : -1;
    }
    return err_set(e, ERR_INPUT, "a sandbox directory is copied with 'cp -a'");
}

int source_image_open(const struct source_image_spec *spec, struct source_image *out, struct err *e)
{
    switch (spec->info->kind) {
    case IMAGE_DIR:
        return open_dir(spec, out, e);
    case IMAGE_SQUASHFS:
    case IMAGE_SIF:
        err_set(e, ERR_INPUT, "the image holds a squashfs, which only 'hpcc run' and its kin read");
        return err_hint(e, "unpack it with 'unsquashfs -o %llu -d DIR IMAGE' and use DIR",
                        (unsigned long long)spec->info->fs_offset);
    default:
        return open_ext(spec, out, e);
    }
}

int image_unpack(int image_fd, const struct image_info *info, int rootfs_fd, struct err *e)
{
    auto_source_image struct source_image si = { 0 };
    struct source_image_spec spec = { .fd = image_fd, .info = info };
    if (source_image_open(&spec, &si, e) < 0)
        return -1;
    return source_to_dir(si.source, rootfs_fd, SOURCE_TO_ROOT, e);
}

int image_export(int image_fd, const struct image_info *info, int out_fd, struct err *e)
{
    auto_source_image struct source_image si = { 0 };
    struct source_image_spec spec = { .fd = image_fd, .info = info };
    if (source_image_open(&spec, &si, e) < 0)
        return -1;
    return tar_write(si.source, out_fd, e);
}
