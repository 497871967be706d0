/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "bootstrap/bootstrap.h"
#include "bootstrap/value.h"
#include "image/image.h"

/* A copy of an existing image or directory, to be changed further by the sections. */

static const struct agent_key keys[] = {
    { "From", AGENT_KEY_REQUIRED,
      "an image file or directory; relative to the definition's own directory" },
    { 0 },
};

/* The file that FROM means: beside the definition, or else as the caller's directory has it (which
 * is how Singularity 2.x read it). Caller frees. */
static char *resolve(const struct agent_input *in, const char *from)
{
    auto_free char *dir = path_dir(in->def->name);
    if (from[0] == '/' || str_eq(dir, "."))
        return mem_strdup(from);
    auto_free char *beside = path_join(dir, from);
    return access(beside, F_OK) == 0 ? steal_ptr(beside) : mem_strdup(from);
}

static bool same_file(const char *a, const char *b)
{
    struct stat sa, sb;
    return a && b && stat(a, &sa) == 0 && stat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
           sa.st_ino == sb.st_ino;
}

static int open_source(const struct agent_input *in, const char *from, struct image_info *info,
                       struct err *e)
{
    auto_free char *path = resolve(in, from);
    if (same_file(path, in->image_path)) {
        err_set(e, ERR_INPUT, "'%s' is the image that is being built", path);
        return err_hint(e, "name another image to build, or leave Bootstrap to what made this one");
    }
    return image_open(path, info, e);
}

static int check(const struct agent_input *in, struct deffile *def, struct err *e)
{
    (void)e;
    const struct deffile_header *h = deffile_header_find(in->stage, "from");
    if (!h || !h->value[0])
        return 0; /* told as a missing header */
    if (strstr(h->value, "://")) {
        auto_free char *shown = value_shown(h->value);
        deffile_diag_add(def, DEFFILE_ERROR, "bad-value", h->line, 1,
                         "agent 'localimage' takes an image file or a directory",
                         "'%s' is an address, not a file", shown);
        return 0;
    }
    struct image_info info;
    auto_err struct err why = { 0 };
    auto_close int fd = open_source(in, h->value, &info, &why);
    if (fd < 0)
        deffile_diag_add(def, DEFFILE_ERROR, "bad-image", h->line, 1, why.hint, "%s", why.msg);
    return 0;
}

static int fill(const struct agent_input *in, int rootfs_fd, struct agent_result *out,
                struct err *e)
{
    const char *from = deffile_header_value(in->stage, "from");
    struct image_info info;
    auto_close int fd = open_source(in, from, &info, e);
    if (fd < 0 || image_unpack(fd, &info, rootfs_fd, e) < 0)
        return value_blame(in, "from", e);
    out->facts = json_object_new_object();
    json_put_str(out->facts, "agent", "localimage");
    json_put_str(out->facts, "from", from);
    return 0;
}

const struct agent agent_localimage = {
    .name = "localimage",
    .help = "a copy of an existing image or directory",
    .keys = keys,
    .check = check,
    .fill = fill,
    .needs_root_map = true,
};
