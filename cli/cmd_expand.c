/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "image/image.h"

static const struct opt opts[] = {
    { "size", 's', "[+]SIZE", "new size, or with a plus sign how much to add", NULL, false, NULL },
    { "json", 0, NULL, "report as JSON", NULL, false, NULL },
    { 0 },
};

static int new_size(const char *text, uint64_t old_bytes, uint64_t *out, struct err *e)
{
    bool add = text[0] == '+';
    if (str_parse_size(text + add, out, e) < 0) {
        err_wrap(e, "--size");
        return err_code_set(e, ERR_USAGE);
    }
    if (add)
        *out += old_bytes; /* both are at most 2^62 */
    return 0;
}

static void report(const char *path, uint64_t old_bytes, const struct image_info *now, bool json)
{
    if (json) {
        auto_json struct json_object *doc = json_object_new_object();
        json_put_str(doc, "image", path);
        json_put_int(doc, "old_size_bytes", (int64_t)old_bytes);
        json_put_int(doc, "size_bytes", (int64_t)now->fs_bytes);
        json_put_int(doc, "disk_bytes", (int64_t)now->disk_bytes);
        auto_free char *text = json_text(doc, 1);
        puts(text);
        return;
    }
    auto_free char *name = str_printable(path);
    auto_free char *before = str_human_size(old_bytes);
    auto_free char *size = str_human_size(now->fs_bytes);
    auto_free char *disk = str_human_size(now->disk_bytes);
    printf("expanded '%s': from %s to %s, of which %s on disk\n", name, before, size, disk);
}

static int look(const char *path, struct image_info *info, struct err *e)
{
    auto_close int fd = image_open(path, info, e);
    return fd < 0 ? -1 : 0;
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    const char *path = args->rest[0];
    const char *size = args_value(args, "size");
    if (!size) {
        err_set(e, ERR_USAGE, "option '--size' is missing");
        return err_hint(e, "write '--size +1G' to add a GiB, '--size 4G' to reach four");
    }
    struct image_info before;
    if (look(path, &before, e) < 0)
        return -1;
    if (before.kind != IMAGE_EXT) {
        err_set(e, ERR_INPUT, "cannot expand '%s': it holds no ext file system", path);
        return err_hint(e, "build an image of that size from it: 'Bootstrap: localimage'");
    }
    uint64_t want = 0;
    if (new_size(size, before.fs_bytes, &want, e) < 0 || image_expand(path, want, e) < 0)
        return -1;
    struct image_info after;
    if (look(path, &after, e) < 0)
        return -1;
    if (!cli->quiet || args_has(args, "json"))
        report(path, before.fs_bytes, &after, args_has(args, "json"));
    return 0;
}

const struct command cmd_expand = {
    .synopsis = "--size [+]SIZE IMAGE",
    .help = "Makes an image larger, keeping all it holds. Works on a private copy that shares "
            "nothing half-done with the image: a failure or a kill leaves the old one. Any user "
            "who may write the image and its directory may do so.\n\n"
            "SIZE is " STR_SIZE_FORMS ".",
    .examples = "  hpcc expand --size +512M demo.img\n  hpcc expand --size 32G demo.img\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
