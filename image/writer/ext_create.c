/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>

#include "base/fs.h"
#include "base/mem.h"
#include "image/writer/ext_make.h"
#include "image/image.h"

/* Root and lost+found as mke2fs makes them: four blocks for lost+found, so that e2fsck can fill it
 * on a full disk. */
static errcode_t make_dirs(ext2_filsys fs)
{
    errcode_t rc = ext2fs_mkdir(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, 0);
    if (rc)
        return rc;
    fs->umask = 077;
    ext2_ino_t ino = EXT2_FIRST_INODE(fs->super);
    rc = ext2fs_mkdir(fs, EXT2_ROOT_INO, ino, "lost+found");
    for (int i = 1; i < 4 && !rc; i++)
        rc = ext2fs_expand_dir(fs, ino);
    return rc;
}

static int check_size(uint64_t size_bytes, struct err *e)
{
    if (size_bytes >= IMAGE_MIN_BYTES && size_bytes <= IMAGE_MAX_BYTES)
        return 0;
    auto_free char *size = str_human_size(size_bytes);
    err_set(e, ERR_INPUT, "an image cannot have %s", size);
    return err_hint(e, "give a size from 4M to 16777215M (just below 16T, the limit of ext3)");
}

static int choose_ids(const struct image_create_spec *spec, struct ext_make_spec *make,
                      struct err *e)
{
    if (!spec->deterministic) {
        make->now = time(NULL);
        return ext_ids_random(&make->ids, e);
    }
    make->now = spec->epoch;
    auto_free char *key = mem_printf("hpcc create %llu %lld", (unsigned long long)make->size_bytes,
                                     (long long)spec->epoch);
    ext_ids_from(key, strlen(key), &make->ids);
    return 0;
}

int image_create(const struct image_create_spec *spec, struct err *e)
{
    struct ext_make_spec make = { .path = spec->path };
    make.size_bytes = (spec->size_bytes + EXT_BLOCK - 1) & ~(uint64_t)(EXT_BLOCK - 1);
    if (check_size(make.size_bytes, e) < 0 || choose_ids(spec, &make, e) < 0)
        return -1;
    auto_place struct place own = PLACE_INIT;
    struct place *at = spec->place ? spec->place : &own;
    auto_draft struct fs_draft draft = FS_DRAFT_INIT;
    if ((at == &own && place_open(spec->path, at, e) < 0) || fs_draft_open(at, &draft, e) < 0)
        return -1;
    make.fd = draft.fd;
    auto_ext_fs ext2_filsys fs = NULL;
    if (ext_make(&make, &fs, e) < 0)
        return -1;
    errcode_t rc = make_dirs(fs);
    if (rc)
        return ext_err(e, rc, "cannot make the root of '%s'", spec->path);
    if (ext_fs_finish(&fs, spec->path, e) < 0)
        return -1;
    return fs_draft_publish(&draft, 0755, spec->replace, e);
}
