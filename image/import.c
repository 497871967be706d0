/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/statvfs.h>

#include "base/fs.h"
#include "base/mem.h"
#include "image/image.h"
#include "image/writer/writer.h"
#include "image/tar/tar.h"

/* What an archive may unpack to when nobody says: more than the disk has free cannot end well. */
static uint64_t free_bytes(int fd)
{
    struct statvfs sv;
    if (fstatvfs(fd, &sv) < 0)
        return IMAGE_MAX_BYTES;
    return (uint64_t)sv.f_bavail * sv.f_frsize;
}

static int import_archive(int in_fd, uint64_t max_bytes, const struct image_pack_spec *spec,
                          struct image_pack_report *report, struct err *e)
{
    /* Scratch space on the disk of the target, without a name: nothing to clean up after a kill. */
    auto_draft struct fs_draft spill = FS_DRAFT_INIT;
    if (fs_draft_open(spec->place, &spill, e) < 0)
        return -1;
    struct tar_input in = {
        .fd = in_fd,
        .spill_fd = spill.fd,
        .max_bytes = max_bytes ? max_bytes : free_bytes(spill.fd),
        .max_nodes = TAR_NODES_MAX,
    };
    auto_source struct source *s = source_from_tar(&in, e);
    return s ? pack_source(spec, &(struct pack_from){ .source = s }, report, e) : -1;
}

int image_import(int in_fd, uint64_t max_bytes, const struct image_pack_spec *spec,
                 struct image_pack_report *report, struct err *e)
{
    struct stat st;
    auto_place struct place own = PLACE_INIT;
    struct image_pack_spec here = *spec;
    if (!here.place && place_open(spec->path, &own, e) < 0)
        return -1;
    here.place = here.place ? here.place : &own;
    if (fstat(in_fd, &st) < 0)
        return err_sys(e, "cannot look at what is to be imported");
    if (!S_ISDIR(st.st_mode))
        return import_archive(in_fd, max_bytes, &here, report, e);
    here.rootfs_fd = in_fd;
    return image_pack(&here, report, e);
}
