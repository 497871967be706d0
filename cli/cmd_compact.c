/* SPDX-License-Identifier: BSD-3-Clause */

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/out.h"
#include "cli/resized.h"

static const struct opt opts[] = {
    { .name = "json", .help = "report as JSON" },
    { 0 },
};

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    const char *path = args->rest[0];
    auto_place struct place p = PLACE_INIT;
    uint64_t freed = 0;
    struct image_info now;
    if (place_open(path, &p, e) < 0 || image_compact(&p, &freed, e) < 0 ||
        resized_look(&p, "compact", &now, e) < 0)
        return -1;
    if (args_has(args, "json")) {
        auto_json struct json_object *doc = json_object_new_object();
        json_put_str(doc, "image", path);
        json_put_int(doc, "freed_bytes", (int64_t)freed);
        json_put_int(doc, "size_bytes", (int64_t)now.fs_bytes);
        json_put_int(doc, "disk_bytes", (int64_t)now.disk_bytes);
        auto_free char *text = json_text(doc, 1);
        out_say("%s\n", text);
    } else if (!cli->quiet) {
        auto_free char *name = str_printable_line(path);
        auto_free char *less = str_human_size(freed);
        auto_free char *disk = str_human_size(now.disk_bytes);
        out_say("compacted '%s': %s freed, %s on disk\n", name, less, disk);
    }
    return 0;
}

const struct command cmd_compact = {
    .synopsis = "[options] IMAGE",
    .help = "Gives the disk space of an image that nothing in it uses back to the disk: free "
            "blocks and blocks of zeros become holes. The image's size and content stay as they "
            "are; it is checked first, and refused when it is in use. A kill does no harm.",
    .examples = "  hpcc compact demo.img\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
