/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/str.h"
#include "cli/resized.h"

static const struct opt opts[] = {
    { .name = "size",
      .letter = 's',
      .arg = "[-]SIZE",
      .help = "new size, or with a minus sign how much to take away" },
    { .name = "minimum", .letter = 'm', .help = "as small as its content allows" },
    { .name = "json", .help = "report as JSON" },
    { 0 },
};

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    const char *size = args_value(args, "size");
    if (!size == !args_has(args, "minimum")) {
        err_set(e, ERR_USAGE,
                size ? "options '--size' and '--minimum' exclude each other"
                     : "option '--size' or '--minimum' is missing");
        return err_hint(e, "write '--minimum' for the least, '--size 512M' for half a GiB");
    }
    auto_place struct place p = PLACE_INIT;
    struct image_info before;
    uint64_t want = 0;
    if (place_open(args->rest[0], &p, e) < 0 || resized_look(&p, "shrink", &before, e) < 0 ||
        (size && resized_size(size, '-', before.fs_bytes, &want, e) < 0) ||
        image_shrink(&p, want, e) < 0)
        return -1;
    const struct resized r = { .place = &p, .done = "shrank", .json = args_has(args, "json") };
    return resized_report(cli, &r, &before, e);
}

const struct command cmd_shrink = {
    .synopsis = "--size [-]SIZE | --minimum IMAGE",
    .help = "Makes an image smaller, keeping all it holds. What it holds is written into a new "
            "image, which then takes its name: a failure or a kill leaves the old one. Blocks "
            "that hold nothing cost no disk in any case: see 'hpcc compact' for an image that has "
            "grown on disk.\n\nSIZE is " STR_SIZE_FORMS ".",
    .examples = "  hpcc shrink --minimum demo.img\n  hpcc shrink --size 512M demo.img\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
