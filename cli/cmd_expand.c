/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"
#include "base/str.h"
#include "cli/resized.h"

static const struct opt opts[] = {
    { .name = "size",
      .letter = 's',
      .arg = "[+]SIZE",
      .help = "new size, or with a plus sign how much to add" },
    { .name = "auto",
      .letter = 'a',
      .help = "as large as needed for a tenth (at least 16 MiB) to be free" },
    { .name = "json", .help = "report as JSON" },
    { 0 },
};

static int choose(const struct args *args, const struct place *p, const struct image_info *before,
                  uint64_t *want, struct err *e)
{
    const char *size = args_value(args, "size");
    if (size && !args_has(args, "auto"))
        return resized_size(size, '+', before->fs_bytes, want, e);
    if (!size && args_has(args, "auto"))
        return image_expand_auto(p, want, e);
    err_set(e, ERR_USAGE,
            size ? "options '--size' and '--auto' exclude each other"
                 : "option '--size' is missing");
    return err_hint(e, "write '--size +1G' to add a GiB, '--size 4G' to reach four");
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    auto_place struct place p = PLACE_INIT;
    struct resized r = { .place = &p, .done = "expanded", .json = args_has(args, "json") };
    struct image_info before;
    uint64_t want = 0;
    if (!args_value(args, "size") && !args_has(args, "auto"))
        return choose(args, NULL, NULL, &want, e);
    if (place_open(args->rest[0], &p, e) < 0 || resized_look(&p, "expand", &before, e) < 0 ||
        choose(args, &p, &before, &want, e) < 0)
        return -1;
    if (args_has(args, "auto") && want <= before.fs_bytes) {
        log_info("'%s' has room enough", p.path);
        r.done = "kept";
        return resized_report(cli, &r, &before, e);
    }
    if (image_expand(&p, want, e) < 0)
        return -1;
    return resized_report(cli, &r, &before, e);
}

const struct command cmd_expand = {
    .synopsis = "--size [+]SIZE | --auto IMAGE",
    .help = "Makes an image larger, keeping all it holds. What it holds is written into a new "
            "image, which then takes its name: a failure or a kill leaves the old one. Any user "
            "who may write the image and its directory may do so; an image in use is refused.\n\n"
            "SIZE is " STR_SIZE_FORMS ".",
    .examples = "  hpcc expand --size +512M demo.img\n  hpcc expand --size 32G demo.img\n"
                "  hpcc expand --auto demo.img\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
