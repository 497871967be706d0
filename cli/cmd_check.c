/* SPDX-License-Identifier: BSD-3-Clause */

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/out.h"
#include "image/image.h"

static const struct opt opts[] = {
    { .name = "repair",
      .letter = 'r',
      .help = "repair what is damaged, on a copy that replaces the image" },
    { .name = "json", .help = "report as JSON" },
    { 0 },
};

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    const char *path = args->rest[0];
    auto_place struct place p = PLACE_INIT;
    bool repaired = false;
    if (place_open(path, &p, e) < 0)
        return -1;
    if (args_has(args, "repair") ? image_repair(&p, &repaired, e) < 0 : image_check(&p, e) < 0)
        return -1;
    if (args_has(args, "json")) {
        auto_json struct json_object *doc = json_object_new_object();
        json_put_str(doc, "image", path);
        json_put_bool(doc, "sound", 1);
        json_put_bool(doc, "repaired", repaired);
        auto_free char *text = json_text(doc, 1);
        out_say("%s\n", text);
    } else if (!cli->quiet) {
        auto_free char *name = str_printable_line(path);
        out_say("'%s' %s\n", name, repaired ? "is sound again" : "is sound");
    }
    return 0;
}

const struct command cmd_check = {
    .synopsis = "[options] IMAGE",
    .help = "Verifies an image: its superblock, every name, inode and block by the rules of hpcc's "
            "own reader, and by e2fsck where it is installed. A damaged image is exit status 3.\n\n"
            "With --repair, e2fsck repairs a private copy, which takes the image's name once it "
            "is sound. An image in use is not repaired.",
    .examples = "  hpcc check demo.img\n  hpcc check --repair demo.img\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
