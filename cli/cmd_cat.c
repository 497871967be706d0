/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/inside.h"
#include "cli/operand.h"

enum { CHUNK = 1 << 18 };

static int bad_path(const struct operand *p, const char *why, struct err *e)
{
    auto_free char *shown = str_printable(p->path);
    return err_set(e, ERR_FAILED, "image '%s': cannot read '%s': %s", p->image, shown, why);
}

static int copy_inode(const struct inside *in, const struct operand *p, uint32_t ino, struct err *e)
{
    auto_free char *chunk = mem_alloc(CHUNK);
    for (uint64_t at = 0;;) {
        ssize_t got = image_read_data(in->reader, ino, chunk, CHUNK, at);
        if (got < 0) {
            bad_path(p, got == -EUCLEAN ? "damaged" : strerror((int)-got), e);
            err_code_set(e, ERR_INPUT);
            return err_hint(e, "'hpcc check' tells what is wrong");
        }
        if (got == 0)
            return 0;
        if (fs_write_full(STDOUT_FILENO, chunk, (size_t)got) < 0)
            return err_sys(e, "cannot write to the standard output");
        at += (uint64_t)got;
    }
}

static int cat_image(const struct inside *in, const struct operand *p, struct err *e)
{
    uint32_t ino;
    struct image_stat st;
    int rc = image_read_path(in->reader, p->path, true, &ino);
    if (rc == 0)
        rc = image_read_stat(in->reader, ino, &st);
    if (rc < 0)
        return bad_path(p, rc == -EUCLEAN ? "damaged" : strerror(-rc), e);
    if (!S_ISREG(st.mode))
        return bad_path(p, S_ISDIR(st.mode) ? "it is a directory" : "it is not a regular file", e);
    return copy_inode(in, p, ino, e);
}

/* A sandbox: its links lead inside it only, so `cat` would not do. */
static int cat_dir(const struct inside *in, const struct operand *p, struct err *e)
{
    struct stat st;
    auto_close int fd = fs_open_at(in->fd, p->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, NULL);
    if (fd < 0 || fstat(fd, &st) < 0)
        return bad_path(p, strerror(errno), e);
    if (!S_ISREG(st.st_mode))
        return bad_path(p, S_ISDIR(st.st_mode) ? "it is a directory" : "it is not a regular file",
                        e);
    auto_free char *chunk = mem_alloc(CHUNK);
    for (uint64_t at = 0;;) {
        ssize_t got = fs_pread_full(fd, chunk, CHUNK, at);
        if (got < 0)
            return bad_path(p, strerror(errno), e);
        if (got == 0)
            return 0;
        if (fs_write_full(STDOUT_FILENO, chunk, (size_t)got) < 0)
            return err_sys(e, "cannot write to the standard output");
        at += (uint64_t)got;
    }
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    (void)cli;
    auto_operand struct operand p = { 0 };
    auto_inside struct inside in = { 0 };
    if (operand_parse_words(args->rest[0], args->rest[1], &p, e) < 0)
        return -1;
    if (!p.path) {
        err_set(e, ERR_USAGE, "no file in the image '%s' is named", p.image);
        return err_hint(e, "write 'hpcc cat %s:/PATH'", p.image);
    }
    if (inside_open(p.image, &in, e) < 0)
        return -1;
    return in.reader ? cat_image(&in, &p, e) : cat_dir(&in, &p, e);
}

const struct command cmd_cat = {
    .synopsis = "IMAGE:/PATH",
    .help = "Writes a file of an image to the standard output, byte by byte as it is. Links are "
            "followed inside the image. Nothing is mounted and no privilege is needed. The path "
            "may also be a word of its own.",
    .examples = "  hpcc cat demo.img:/etc/os-release\n",
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
