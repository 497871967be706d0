/* SPDX-License-Identifier: BSD-3-Clause */
#include <unistd.h>

#include "base/fs.h"
#include "cli/cli.h"
#include "cli/operand.h"
#include "image/image.h"

static const struct opt opts[] = {
    { .name = "output",
      .letter = 'o',
      .arg = "FILE",
      .help = "write to FILE, which appears when it is complete" },
    { .name = "force", .letter = 'F', .help = "replace an existing FILE" },
    { 0 },
};

/* A command's output has its place before the work, so that a mistake is told before it. */
static int open_output(const struct args *args, struct place *out, struct err *e)
{
    const char *path = args_value(args, "output");
    if (!path)
        return 0;
    return place_open(path, out, e) < 0 ? -1 : operand_check_new(out, args_has(args, "force"), e);
}

static int export_file(int fd, const struct image_info *info, struct place *p, struct err *e)
{
    auto_draft struct fs_draft draft = FS_DRAFT_INIT;
    if (fs_draft_open(p, &draft, e) < 0 || image_export(fd, info, draft.fd, e) < 0)
        return -1;
    return fs_draft_publish(&draft, 0644, true, e);
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    (void)cli;
    const char *path = args->rest[0];
    if (!args_has(args, "output") && isatty(STDOUT_FILENO)) {
        err_set(e, ERR_USAGE, "an archive is not for a terminal");
        return err_hint(e, "write 'hpcc export %s > FILE.tar', or '--output FILE.tar'", path);
    }
    struct image_info info;
    auto_place struct place output = PLACE_INIT;
    auto_close int fd = image_open(path, &info, e);
    if (fd < 0 || open_output(args, &output, e) < 0)
        return -1;
    int rc = args_has(args, "output") ? export_file(fd, &info, &output, e)
                                      : image_export(fd, &info, STDOUT_FILENO, e);
    return rc < 0 ? err_wrap(e, "image '%s'", path) : 0;
}

const struct command cmd_export = {
    .synopsis = "[options] IMAGE",
    .help = "Writes what an image (or a sandbox directory) holds to the standard output as a tar "
            "archive: POSIX pax, numeric owners, extended attributes, hard links and holes kept. "
            "Names come in order of their bytes: the same content gives the same archive. Nothing "
            "is mounted and no privilege is needed.",
    .examples = "  hpcc export demo.img > demo.tar\n"
                "  hpcc export demo.img | zstd > demo.tar.zst\n"
                "  hpcc export demo.img | docker import - demo\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
