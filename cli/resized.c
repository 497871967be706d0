/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/resized.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/out.h"

int resized_look(const struct place *p, const char *verb, struct image_info *out, struct err *e)
{
    auto_close int fd = image_open_place(p, out, e);
    if (fd < 0)
        return -1;
    if (out->kind == IMAGE_EXT)
        return 0;
    err_set(e, ERR_INPUT, "cannot %s '%s': it holds no ext file system", verb, p->path);
    return err_hint(e, "build an image of that size from it: 'Bootstrap: localimage'");
}

int resized_size(const char *text, char sign, uint64_t old_bytes, uint64_t *out, struct err *e)
{
    bool relative = text[0] == sign;
    uint64_t size;
    if (str_parse_size(text + relative, &size, e) < 0) {
        err_wrap(e, "--size");
        return err_code_set(e, ERR_USAGE);
    }
    if (relative && sign == '-')
        size = size < old_bytes ? old_bytes - size : 1; /* 1: below any size that can be */
    else if (relative)
        size += old_bytes; /* both are at most 2^62 */
    *out = size;
    return 0;
}

static void print_json(const char *path, const struct image_info *before,
                       const struct image_info *now)
{
    auto_json struct json_object *doc = json_object_new_object();
    json_put_str(doc, "image", path);
    json_put_int(doc, "old_size_bytes", (int64_t)before->fs_bytes);
    json_put_int(doc, "size_bytes", (int64_t)now->fs_bytes);
    json_put_int(doc, "disk_bytes", (int64_t)now->disk_bytes);
    auto_free char *text = json_text(doc, 1);
    out_say("%s\n", text);
}

int resized_report(const struct cli *cli, const struct resized *r, const struct image_info *before,
                   struct err *e)
{
    struct image_info now;
    const char *path = r->place->path;
    if (resized_look(r->place, r->done, &now, e) < 0)
        return -1;
    if (r->json) {
        print_json(path, before, &now);
        return 0;
    }
    if (cli->quiet)
        return 0;
    auto_free char *name = str_printable_line(path);
    auto_free char *old = str_human_size(before->fs_bytes);
    auto_free char *size = str_human_size(now.fs_bytes);
    auto_free char *disk = str_human_size(now.disk_bytes);
    if (now.fs_bytes == before->fs_bytes)
        out_say("%s '%s': %s, of which %s on disk\n", r->done, name, size, disk);
    else
        out_say("%s '%s': from %s to %s, of which %s on disk\n", r->done, name, old, size, disk);
    return 0;
}
