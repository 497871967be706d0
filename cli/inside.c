/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/inside.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

enum {
    FILE_MAX = 16 << 20,
    NAMES_MAX = 10000, /* of a directory that a stranger made */
};

int inside_open(const char *path, struct inside *out, struct err *e)
{
    struct inside in = { .path = path };
    auto_close int fd = image_open(path, &in.info, e);
    if (fd < 0)
        return -1;
    if (in.info.kind == IMAGE_SQUASHFS || in.info.kind == IMAGE_SIF) {
        err_set(e, ERR_INPUT, "cannot look into '%s': it holds a squashfs file system", path);
        return err_hint(e,
                        "look from within: 'hpcc exec IMAGE ls -l /'; or unpack it: 'unsquashfs -o "
                        "%llu -d DIR IMAGE'",
                        (unsigned long long)in.info.fs_offset);
    }
    if (in.info.kind == IMAGE_EXT && image_reader_open(fd, in.info.fs_offset, &in.reader, e) < 0)
        return err_wrap(e, "image '%s'", path);
    in.fd = steal_fd(&fd);
    *out = in;
    return 0;
}

void inside_close(struct inside *in)
{
    if (!in->path)
        return;
    if (in->reader)
        image_reader_close(in->reader);
    close(in->fd);
    *in = (struct inside){ 0 };
}

int inside_read(const struct inside *in, const char *file, struct str *out, struct err *e)
{
    auto_err struct err why = { 0 };
    int rc = in->reader ? image_read_file(in->reader, file, FILE_MAX, out, &why)
                        : fs_read_at(in->fd, file, FILE_MAX, out, &why);
    if (rc == 0)
        return 1;
    if (why.sys == ENOENT || why.sys == ENOTDIR)
        return 0;
    err_move(e, &why);
    return err_wrap(e, "image '%s'", in->path);
}

static int add_entry(void *ctx, const struct image_dirent *d)
{
    struct strv *names = ctx;
    if (names->n >= NAMES_MAX)
        return 1;
    strv_take(names, mem_strndup(d->name, d->name_len));
    return 0;
}

static int list_image(const struct inside *in, const char *dir, struct strv *out)
{
    uint32_t ino;
    int rc = image_read_path(in->reader, dir, true, &ino);
    return rc < 0 ? rc : image_read_dir(in->reader, ino, 0, add_entry, out);
}

static int add_name(void *ctx, const char *name)
{
    struct strv *out = ctx;
    strv_add(out, name);
    return out->n == NAMES_MAX;
}

static int list_dir(const struct inside *in, const char *dir, struct strv *out)
{
    auto_close int fd = fs_open_at(in->fd, dir, O_RDONLY | O_DIRECTORY, 0, NULL);
    if (fd < 0)
        return -errno;
    return fs_each_name(fd, add_name, out) < 0 ? -errno : 0;
}

int inside_list(const struct inside *in, const char *dir, struct strv *out, struct err *e)
{
    int rc = in->reader ? list_image(in, dir, out) : list_dir(in, dir, out);
    if (rc == -ENOENT || rc == -ENOTDIR)
        return 0;
    if (rc < 0) {
        errno = -rc;
        return err_sys(e, "image '%s': cannot list '%s'", in->path, dir);
    }
    strv_sort(out);
    return 0;
}
