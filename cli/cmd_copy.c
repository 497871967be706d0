/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mem.h"
#include "base/str.h"
#include "base/strv.h"
#include "cli/cli.h"
#include "cli/operand.h"
#include "image/image.h"

static const struct opt opts[] = {
    { .name = "force", .letter = 'F', .help = "replace existing files" },
    { .name = "archive",
      .letter = 'a',
      .help =
          "keep setuid bits and capabilities, which else are left out; into an image owners too, "
          "which else become root's; out of it, as root, devices too" },
    { 0 },
};

static int bad_words(const char *what, struct err *e)
{
    err_set(e, ERR_USAGE, "%s", what);
    return err_hint(e, "write 'hpcc copy FILE… IMAGE:/PATH' or 'hpcc copy IMAGE:/PATH… FILE'");
}

static int hint_force(struct err *e)
{
    if (e->sys == EEXIST && !e->hint)
        return err_hint(e, "'--force' replaces it");
    return -1;
}

static int copy_in(const struct args *args, const struct operand *to, struct err *e)
{
    auto_strv struct strv sources = { 0 };
    for (size_t i = 0; i + 1 < args->n_rest; i++) {
        auto_operand struct operand from = { 0 };
        operand_parse(args->rest[i], &from);
        if (from.path)
            return bad_words("both sides are in an image", e);
        strv_add(&sources, args->rest[i]);
    }
    auto_place struct place image = PLACE_INIT;
    if (place_open(to->image, &image, e) < 0)
        return -1;
    const struct image_copy_spec spec = {
        .image = &image,
        .sources = (const char *const *)sources.v,
        .dest = to->path,
        .replace = args_has(args, "force"),
        .owners = args_has(args, "archive"),
    };
    return image_copy_in(&spec, e) < 0 ? hint_force(e) : 0;
}

static int copy_out(const struct args *args, struct err *e)
{
    auto_strv struct strv sources = { 0 };
    auto_free char *image = NULL;
    for (size_t i = 0; i + 1 < args->n_rest; i++) {
        auto_operand struct operand from = { 0 };
        operand_parse(args->rest[i], &from);
        if (!from.path)
            return bad_words("neither side is in an image", e);
        if (image && !str_eq(image, from.image))
            return bad_words("the sources are in several images", e);
        strv_add(&sources, from.path);
        if (!image)
            image = steal_ptr(from.image);
    }
    auto_place struct place at = PLACE_INIT;
    auto_place struct place dest = PLACE_INIT;
    const char *name = args->rest[args->n_rest - 1];
    if (place_open(image, &at, e) < 0)
        return -1;
    if (place_open(name, &dest, e) < 0)
        return err_wrap(e, "cannot copy into '%s'", name);
    const struct image_copy_spec spec = {
        .image = &at,
        .sources = (const char *const *)sources.v,
        .dest = name,
        .to = &dest,
        .replace = args_has(args, "force"),
        .owners = args_has(args, "archive"),
    };
    return image_copy_out(&spec, e) < 0 ? hint_force(e) : 0;
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    (void)cli;
    auto_operand struct operand to = { 0 };
    operand_parse(args->rest[args->n_rest - 1], &to);
    return to.path ? copy_in(args, &to, e) : copy_out(args, e);
}

const struct command cmd_copy = {
    .synopsis = "[options] SOURCE... DESTINATION",
    .help = "Copies files and directories into an image, or out of it; the side in the image is "
            "written IMAGE:/PATH. Directories are copied with all they hold, links as links. A "
            "source that ends in /. means what the directory holds. Nothing is mounted and no "
            "privilege is needed.\n\n"
            "Into an image: the changed image is written beside the old one and then takes its "
            "name, so running containers keep the old one. It grows when it must.\n\n"
            "Out of an image: setuid and setgid bits, devices and capabilities are left out with a "
            "notice, also for root, unless root gives --archive.",
    .examples = "  hpcc copy tool.py demo.img:/opt/\n"
                "  hpcc copy --force ./tree/. demo.img:/usr/local\n"
                "  hpcc copy demo.img:/etc/os-release .\n",
    .opts = opts,
    .min_args = 2,
    .max_args = CLI_ANY,
    .run = run,
};
