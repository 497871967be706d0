/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/image.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/defence.h"
#include "base/fs.h"

/* What Singularity 2.x put before the file system, once or, after a second bootstrap, twice. */
static const char launcher[] = "#!/usr/bin/env run-singularity\n";

enum {
    LAUNCHER_BYTES = sizeof launcher - 1,
    MAX_LAUNCHERS = 2,
    HEAD_BYTES = 4096,
    EXT_SUPER = 1024,

    SIF_MAGIC_AT = 32,
    SIF_DESCR_TOTAL = 88,
    SIF_DESCR_OFFSET = 96,
    SIF_DESCR_BYTES = 585,
    SIF_MAX_DESCR = 4096,
    SIF_DATA_PARTITION = 0x4004,
    SIF_FS_SQUASHFS = 1,
    SIF_FS_EXT3 = 2,
    SIF_FS_ENCRYPTED = 5,
    SIF_PART_PRIMARY = 2,
};

struct head {
    uint8_t data[HEAD_BYTES];
    size_t len;
};

static uint64_t le_at(const uint8_t *p, size_t bytes)
{
    uint64_t v = 0;
    for (size_t i = bytes; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static bool starts(const struct head *h, size_t at, const void *what, size_t len)
{
    return at + len <= h->len && memcmp(h->data + at, what, len) == 0;
}

static int read_at(int fd, void *buf, size_t len, uint64_t offset, size_t *got)
{
    ssize_t n = fs_pread_full(fd, buf, len, offset);
    if (n < 0)
        return -1;
    *got = (size_t)n;
    return 0;
}

/* Size by the superblock's own account; the reader checks it in earnest. */
static bool ext_at(const struct head *h, size_t at, uint64_t *bytes)
{
    if (!starts(h, at + EXT_SUPER + 56, "\x53\xef", 2) || at + EXT_SUPER + 1024 > h->len)
        return false;
    const uint8_t *sb = h->data + at + EXT_SUPER;
    uint64_t n = le_at(sb + 4, 4), log = le_at(sb + 24, 4);
    if (le_at(sb + 96, 4) & 0x80) /* 64bit */
        n |= le_at(sb + 336, 4) << 32;
    *bytes = log <= 6 && n < UINT64_C(1) << 47 ? n << (10 + log) : 0;
    return true;
}

static bool squashfs_at(const struct head *h, size_t at, uint64_t *bytes)
{
    if (!starts(h, at, "hsqs", 4) || at + 48 > h->len)
        return false;
    *bytes = le_at(h->data + at + 40, 8);
    return true;
}

/* The primary system partition of a SIF file: the image inside the file. */
static int probe_sif(int fd, const struct head *h, struct image_info *out, struct err *e)
{
    uint64_t total = le_at(h->data + SIF_DESCR_TOTAL, 8);
    uint64_t at = le_at(h->data + SIF_DESCR_OFFSET, 8);
    if (total == 0 || total > SIF_MAX_DESCR || at >= out->file_bytes)
        return err_set(e, ERR_INPUT, "damaged SIF file: bad descriptor table");
    for (uint64_t i = 0; i < total; i++) {
        uint8_t d[SIF_DESCR_BYTES];
        size_t got;
        if (read_at(fd, d, sizeof d, at + i * SIF_DESCR_BYTES, &got) < 0)
            return err_sys(e, "cannot read the image");
        if (got != sizeof d)
            return err_set(e, ERR_INPUT, "truncated SIF file");
        uint64_t fs = le_at(d + 201, 4), part = le_at(d + 205, 4);
        if (le_at(d, 4) != SIF_DATA_PARTITION || d[4] == 0 || part != SIF_PART_PRIMARY)
            continue;
        out->fs_offset = le_at(d + 17, 8);
        out->fs_bytes = le_at(d + 25, 8);
        if (out->fs_offset >= out->file_bytes || out->fs_bytes > out->file_bytes - out->fs_offset)
            return err_set(e, ERR_INPUT, "truncated SIF file");
        if (fs == SIF_FS_SQUASHFS || fs == SIF_FS_EXT3) {
            out->kind = fs == SIF_FS_EXT3 ? IMAGE_EXT : IMAGE_SIF;
            return 0;
        }
        return err_set(e, ERR_INPUT,
                       fs == SIF_FS_ENCRYPTED ? "an encrypted SIF file, which is not supported"
                                              : "a SIF file without a squashfs or ext3 partition");
    }
    return err_set(e, ERR_INPUT, "a SIF file without a primary system partition");
}

/* What a file that is no image is instead. */
static int explain(const struct head *h, const char *path, struct err *e)
{
    static const struct {
        size_t at;
        const char *magic;
        size_t len;
        const char *what, *hint;
    } known[] = {
        { 0, "\x1f\x8b", 2, "gzip-compressed", "unpack it first: gzip -d" },
        { 0, "\x28\xb5\x2f\xfd", 4, "zstd-compressed", "unpack it first: zstd -d" },
        { 0,
          "\xfd"
          "7zXZ",
          5, "xz-compressed", "unpack it first: xz -d" },
        { 0, "BZh", 3, "bzip2-compressed", "unpack it first: bzip2 -d" },
        { 257, "ustar", 5, "a tar archive", "make an image of it: hpcc import IMAGE ARCHIVE" },
        { 0, "PK\x03\x04", 4, "a zip archive", "an image is made by 'hpcc bootstrap'" },
        { 0,
          "\x7f"
          "ELF",
          4, "a program (ELF)", "an image is made by 'hpcc bootstrap'" },
        { 0, "\xed\xab\xee\xdb", 4, "an RPM package", "an image is made by 'hpcc bootstrap'" },
        { 0, "!<arch>\n", 8, "an ar archive or Debian package",
          "an image is made by 'hpcc bootstrap'" },
        { 0, "XFSB", 4, "an XFS file system", "only ext2, ext3, ext4 and squashfs are read" },
        { 1024, "\xe2\xe1\xf5\xe0", 4, "an EROFS file system",
          "only ext2, ext3, ext4 and squashfs are read" },
        { 0, "Bootstrap", 9, "a definition file", "build it: hpcc bootstrap IMAGE DEFINITION" },
        { 0, "bootstrap", 9, "a definition file", "build it: hpcc bootstrap IMAGE DEFINITION" },
        { 0, "#!", 2, "a script", "an image is made by 'hpcc bootstrap'" },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (starts(h, known[i].at, known[i].magic, known[i].len)) {
            err_set(e, ERR_INPUT, "'%s' is not an image: it is %s", path, known[i].what);
            return err_hint(e, "%s", known[i].hint);
        }
    err_set(e, ERR_INPUT, "'%s' is not an image", path);
    if (h->len <= EXT_SUPER + 1024)
        return err_hint(e, "it is only %zu bytes long: copied halfway?", h->len);
    return err_hint(e, "an image is made by 'hpcc create' or 'hpcc bootstrap'");
}

static int probe_file(int fd, const char *path, struct image_info *out, struct err *e)
{
    struct head h = { .len = 0 };
    if (out->file_bytes == 0) {
        err_set(e, ERR_INPUT, "'%s' is not an image: it is empty", path);
        return err_hint(e, "an image is made by 'hpcc create' or 'hpcc bootstrap'");
    }
    if (read_at(fd, h.data, sizeof h.data, 0, &h.len) < 0)
        return err_sys(e, "cannot read '%s'", path);
    out->executable = starts(&h, 0, "#!", 2);

    size_t at = 0;
    for (int k = 0; k <= MAX_LAUNCHERS; k++, at += LAUNCHER_BYTES) {
        if (k > 0 && !starts(&h, at - LAUNCHER_BYTES, launcher, LAUNCHER_BYTES))
            break;
        out->fs_offset = at;
        out->kind = IMAGE_EXT;
        if (ext_at(&h, at, &out->fs_bytes))
            return 0;
        out->kind = IMAGE_SQUASHFS;
        if (squashfs_at(&h, at, &out->fs_bytes))
            return 0;
    }
    if (starts(&h, SIF_MAGIC_AT, "SIF_MAGIC", 9) && h.len >= SIF_DESCR_OFFSET + 8) {
        if (probe_sif(fd, &h, out, e) < 0)
            return err_wrap(e, "'%s'", path);
        return 0;
    }
    return explain(&h, path, e);
}

static int check_kind(const struct stat *st, const char *path, struct err *e)
{
    if (S_ISDIR(st->st_mode) || S_ISREG(st->st_mode))
        return 0;
    err_set(e, ERR_INPUT, "'%s' is neither a regular file nor a directory", path);
    return err_hint(e, "name an image file or a sandbox directory");
}

int image_probe(int fd, const char *path, struct image_info *out, struct err *e)
{
    struct image_info info = { 0 };
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_sys(e, "cannot examine '%s'", path);
    if (check_kind(&st, path, e) < 0)
        return -1;
    info.file_bytes = (uint64_t)st.st_size;
    info.disk_bytes = (uint64_t)st.st_blocks * 512;
    if (S_ISDIR(st.st_mode))
        info.kind = IMAGE_DIR;
    else if (probe_file(fd, path, &info, e) < 0)
        return -1;
    *out = info;
    return 0;
}

int image_open(const char *path, struct image_info *out, struct err *e)
{
    /* Opening some devices already does something (rewinds, arms a watchdog): look first. Who swaps
     * the name in between is met by O_NONBLOCK and by the check of what was opened. */
    struct stat st;
    int wait = defence("image-kind") ? O_NONBLOCK : 0;
    if (wait && stat(path, &st) == 0 && check_kind(&st, path, e) < 0)
        return -1;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | wait);
    if (fd < 0) {
        int code = errno;
        err_sys(e, "cannot open image '%s'", path);
        return code == ENOENT ? err_code_set(e, ERR_INPUT) : -1;
    }
    if (image_probe(fd, path, out, e) < 0)
        return -1;
    return steal_fd(&fd);
}

int image_open_place(const struct place *p, struct image_info *out, struct err *e)
{
    errno = ENOENT;
    if (!p->exists) {
        err_sys(e, "cannot open image '%s'", p->path);
        return err_code_set(e, ERR_INPUT);
    }
    if (check_kind(&p->st, p->path, e) < 0)
        return -1;
    auto_close int fd = place_open_found(p, O_RDONLY, e);
    if (fd < 0 || image_probe(fd, p->path, out, e) < 0)
        return -1;
    return steal_fd(&fd);
}
