/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/operand.h"
#include "cli/out.h"
#include "image/image.h"

static const struct opt opts[] = {
    { .name = "size",
      .letter = 's',
      .arg = "SIZE",
      .help = "size of the image, a bare number being MiB (default 1G)" },
    { .name = "force", .letter = 'F', .help = "replace an existing file" },
    { .name = "json", .help = "report as JSON" },
    { 0 },
};

static void report(const struct cli *cli, const struct place *p, bool json)
{
    const char *path = p->path;
    uint64_t disk_bytes = (uint64_t)p->st.st_blocks * 512;
    if (json) {
        auto_json struct json_object *doc = json_object_new_object();
        json_put_str(doc, "image", path);
        json_put_int(doc, "size_bytes", p->st.st_size);
        json_put_int(doc, "disk_bytes", (int64_t)disk_bytes);
        auto_free char *text = json_text(doc, 1);
        out_say("%s\n", text);
        return;
    }
    if (cli->quiet)
        return;
    auto_free char *name = str_printable_line(path);
    auto_free char *size = str_human_size((uint64_t)p->st.st_size);
    auto_free char *disk = str_human_size(disk_bytes);
    out_say("created '%s': %s, of which %s on disk\n", name, size, disk);
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    auto_place struct place p = PLACE_INIT;
    struct image_create_spec spec = {
        .place = &p,
        .path = args->rest[0],
        .size_bytes = 1ull << 30,
        .replace = args_has(args, "force"),
    };
    const char *size = args_value(args, "size");
    if (size && str_parse_size(size, &spec.size_bytes, e) < 0) {
        err_wrap(e, "--size");
        return err_code_set(e, ERR_USAGE);
    }
    if (place_open(spec.path, &p, e) < 0 || operand_check_new(&p, spec.replace, e) < 0 ||
        image_create(&spec, e) < 0)
        return -1;
    report(cli, &p, args_has(args, "json"));
    return 0;
}

const struct command cmd_create = {
    .synopsis = "[options] IMAGE",
    .help = "Makes an empty image: a sparse file that holds an ext3 file system. It takes almost "
            "no disk space until something is put into it. Any user may do so.\n\n"
            "SIZE is " STR_SIZE_FORMS ".",
    .examples = "  hpcc create --size 2G demo.img\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
