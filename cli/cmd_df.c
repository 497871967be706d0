/* SPDX-License-Identifier: BSD-3-Clause */

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/inside.h"
#include "cli/out.h"

static const struct opt opts[] = {
    { .name = "json", .help = "show it as JSON, in bytes" },
    { 0 },
};

struct usage {
    struct image_fs_stat fs;
    uint64_t size, used, free;     /* of the file system */
    uint64_t file, on_disk, holes; /* of the file */
};

static void print_json(const char *path, const struct usage *u)
{
    auto_json struct json_object *doc = json_object_new_object();
    json_put_str(doc, "image", path);
    json_put_int(doc, "block_bytes", u->fs.block_bytes);
    json_put_int(doc, "blocks", (int64_t)u->fs.blocks);
    json_put_int(doc, "free_blocks", (int64_t)u->fs.free_blocks);
    json_put_int(doc, "inodes", (int64_t)u->fs.inodes);
    json_put_int(doc, "free_inodes", (int64_t)u->fs.free_inodes);
    json_put_int(doc, "size_bytes", (int64_t)u->size);
    json_put_int(doc, "used_bytes", (int64_t)u->used);
    json_put_int(doc, "free_bytes", (int64_t)u->free);
    json_put_int(doc, "file_bytes", (int64_t)u->file);
    json_put_int(doc, "disk_bytes", (int64_t)u->on_disk);
    json_put_int(doc, "hole_bytes", (int64_t)u->holes);
    auto_free char *text = json_text(doc, 1);
    out_say("%s\n", text);
}

static void line(const char *what, uint64_t bytes, uint64_t of)
{
    auto_free char *size = str_human_size(bytes);
    if (of)
        out_say("%-8s %10s  %3llu %%\n", what, size, (unsigned long long)(bytes * 100 / of));
    else
        out_say("%-8s %10s\n", what, size);
}

static void print_text(const struct usage *u)
{
    line("size", u->size, 0);
    line("used", u->used, u->size);
    line("free", u->free, u->size);
    line("on disk", u->on_disk, u->file);
    line("holes", u->holes, u->file);
    uint64_t used = u->fs.inodes - u->fs.free_inodes;
    out_say("%-8s %10llu  %3llu %% of %llu\n", "inodes", (unsigned long long)used,
            (unsigned long long)(u->fs.inodes ? used * 100 / u->fs.inodes : 0),
            (unsigned long long)u->fs.inodes);
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    (void)cli;
    auto_inside struct inside in = { 0 };
    if (inside_open(args->rest[0], &in, e) < 0)
        return -1;
    if (!in.reader) {
        err_set(e, ERR_USAGE, "'%s' is a directory, which is as large as what it holds",
                args->rest[0]);
        return err_hint(e, "'du -sh' tells its size");
    }
    struct usage u = { .file = in.info.file_bytes, .on_disk = in.info.disk_bytes };
    image_read_fs_stat(in.reader, &u.fs);
    /* The superblock's account is the image's own word: it must not make our sums wrap. */
    if (u.fs.free_blocks > u.fs.blocks)
        u.fs.free_blocks = u.fs.blocks;
    if (u.fs.free_inodes > u.fs.inodes)
        u.fs.free_inodes = u.fs.inodes;
    u.size = u.fs.blocks * u.fs.block_bytes;
    u.free = u.fs.free_blocks * u.fs.block_bytes;
    u.used = u.size - u.free;
    u.holes = u.file > u.on_disk ? u.file - u.on_disk : 0;
    if (args_has(args, "json"))
        print_json(args->rest[0], &u);
    else
        print_text(&u);
    return 0;
}

const struct command cmd_df = {
    .synopsis = "[options] IMAGE",
    .help = "Shows how full an image is, and how much of the disk its file really takes: an image "
            "is sparse, what was never written is a hole. Nothing is mounted and no privilege is "
            "needed.",
    .examples = "  hpcc df demo.img\n  hpcc df --json demo.img | jq .free_bytes\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
