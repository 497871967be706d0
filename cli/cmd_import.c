/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <unistd.h>

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
      .help = "size of the image, a bare number being MiB (default: by content)" },
    { .name = "force", .letter = 'F', .help = "replace an existing file" },
    { .name = "max-size",
      .arg = "SIZE",
      .help = "most that the archive may unpack to (default: the free disk space)" },
    { .name = "json", .help = "report as JSON" },
    { 0 },
};

static int take_size(const struct args *args, const char *name, uint64_t *size, struct err *e)
{
    const char *text = args_value(args, name);
    if (!text || str_parse_size(text, size, e) == 0)
        return 0;
    err_wrap(e, "--%s", name);
    return err_code_set(e, ERR_USAGE);
}

static int take_epoch(const struct cli *cli, struct image_pack_spec *spec, struct err *e)
{
    const char *text = strv_env_value(cli->environ, "SOURCE_DATE_EPOCH");
    uint64_t epoch = 0;
    if (!text || !*text)
        return 0;
    if (str_parse_u64(text, UINT32_MAX, &epoch) < 0) {
        err_set(e, ERR_USAGE, "SOURCE_DATE_EPOCH is '%s', not a number of seconds", text);
        return err_hint(e, "write 'export SOURCE_DATE_EPOCH=$(date +%%s)', or unset it");
    }
    spec->deterministic = true;
    spec->epoch = (int64_t)epoch;
    return 0;
}

/* The archive or directory: a path, or the standard input for "-" and for none. */
static int open_input(const struct args *args, struct err *e)
{
    const char *name = args->n_rest > 1 ? args->rest[1] : "-";
    if (!str_eq(name, "-")) {
        int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        return fd < 0 ? err_sys(e, "cannot open '%s'", name) : fd;
    }
    if (isatty(STDIN_FILENO)) {
        err_set(e, ERR_USAGE, "no archive is given");
        return err_hint(e, "write 'hpcc import %s FILE.tar', or '< FILE.tar'", args->rest[0]);
    }
    return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
}

static int lock_old(const struct place *p, int *lock_fd, struct err *e)
{
    if (!p->exists)
        return 0;
    *lock_fd = place_open_found(p, O_RDWR, e);
    if (*lock_fd < 0)
        return err_wrap(e, "cannot replace '%s'", p->path);
    return image_lock(*lock_fd, p->path, IMAGE_LOCK_REPLACE, e) < 0 ? -1 : place_check(p, e);
}

static void report(const struct cli *cli, const char *path, bool json,
                   const struct image_pack_report *r)
{
    if (json) {
        auto_json struct json_object *doc = json_object_new_object();
        json_put_str(doc, "image", path);
        json_put_int(doc, "size_bytes", (int64_t)r->size_bytes);
        json_put_int(doc, "disk_bytes", (int64_t)r->disk_bytes);
        json_put_int(doc, "files", (int64_t)r->n_files);
        json_put_int(doc, "directories", (int64_t)r->n_dirs);
        auto_free char *text = json_text(doc, 1);
        out_say("%s\n", text);
        return;
    }
    if (cli->quiet)
        return;
    auto_free char *name = str_printable_line(path), *size = str_human_size(r->size_bytes);
    auto_free char *disk = str_human_size(r->disk_bytes);
    out_say("imported '%s': %llu files, %s, of which %s on disk\n", name,
            (unsigned long long)r->n_files, size, disk);
}

static int run(struct cli *cli, const struct args *args, struct err *e)
{
    uint64_t max_bytes = 0;
    auto_place struct place p = PLACE_INIT;
    struct image_pack_spec spec = {
        .place = &p,
        .path = args->rest[0],
        .rootfs_fd = -1,
        .grow = true,
        .replace = args_has(args, "force"),
        .mode = 0755,
        .owner_uid = -1,
        .owner_gid = -1,
    };
    if (take_size(args, "size", &spec.size_bytes, e) < 0 ||
        take_size(args, "max-size", &max_bytes, e) < 0 || take_epoch(cli, &spec, e) < 0 ||
        place_open(spec.path, &p, e) < 0 || operand_check_new(&p, spec.replace, e) < 0)
        return -1;
    auto_close int lock_fd = -1;
    auto_close int in_fd = open_input(args, e);
    struct image_pack_report r;
    if (in_fd < 0 || (spec.replace && lock_old(&p, &lock_fd, e) < 0))
        return -1;
    if (image_import(in_fd, max_bytes, &spec, &r, e) < 0)
        return err_wrap(e, "cannot import '%s'", args->n_rest > 1 ? args->rest[1] : "-");
    report(cli, spec.path, args_has(args, "json"), &r);
    return 0;
}

const struct command cmd_import = {
    .synopsis = "[options] IMAGE [ARCHIVE|DIRECTORY]",
    .help =
        "Makes an image of a tar archive (plain, or packed with gzip, bzip2, xz, zstd or lz4) "
        "or of a directory. Without a second word the archive comes from the standard input.\n\n"
        "Owners, devices and setuid bits go into the image as the archive has them, whoever "
        "runs this; nothing is unpacked on this host. An archive that leads out of its root is "
        "refused. The image appears when it is complete.\n\n"
        "SIZE is " STR_SIZE_FORMS ".",
    .examples = "  hpcc import demo.img demo.tar.zst\n"
                "  docker export CONTAINER | hpcc import demo.img\n"
                "  hpcc import demo.img ./tree\n",
    .opts = opts,
    .min_args = 1,
    .max_args = 2,
    .run = run,
};
