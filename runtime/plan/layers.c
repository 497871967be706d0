/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "runtime/plan/plan.h"

/* The layers of --overlay, and where the changes of a merge wait. */

/* Take ":ro" or ":rw" from the end of TEXT. */
static bool take_access(char *text)
{
    bool writable = !str_ends(text, ":ro");
    if (!writable || str_ends(text, ":rw"))
        text[strlen(text) - strlen(":ro")] = 0;
    return writable;
}

static int open_layer_image(const struct runtime_plan *p, struct plan_image *l, struct err *e)
{
    if (plan_image_open(l, l->path, e) < 0)
        return -1;
    if (l->info.kind != IMAGE_EXT) {
        err_set(e, ERR_INPUT, "'%s' holds no ext file system", l->path);
        return err_hint(e, "'hpcc create IMAGE' makes an empty one, 'mkdir DIR' a directory; both "
                           "can be overlays");
    }
    if (plan_image_judge(l, p->uid, p->userns, e) < 0)
        return -1;
    if (l->writable && p->uid != 0 && l->stat.st_uid != p->uid) {
        err_set(e, ERR_FAILED, "cannot write to '%s': it is another user's", l->path);
        return err_hint(e, "':ro' behind its name only reads it");
    }
    return l->by == PLAN_BY_LOOP && l->writable ? plan_image_reopen_writable(l, e) : 0;
}

static int open_layer(const struct runtime_plan *p, const char *text, struct plan_image *l,
                      struct err *e)
{
    auto_free char *given = mem_strdup(text);
    l->writable = take_access(given);
    l->path = realpath(given, NULL);
    if (!l->path || stat(l->path, &l->stat) < 0) {
        err_sys(e, "cannot open '%s'", given);
        return err_hint(e, "make it first: 'mkdir -p %s', or 'hpcc create %s' for an image", given,
                        given);
    }
    l->info.kind = IMAGE_DIR;
    l->by = PLAN_BY_BIND;
    return S_ISDIR(l->stat.st_mode) ? 0 : open_layer_image(p, l, e);
}

/* Whether a directory of the file system FD can be an overlay's upper one. */
static bool takes_uppers(int fd)
{
    static const long not_these[] = {
        NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,         CIFS_SUPER_MAGIC,      SMB2_SUPER_MAGIC,
        FUSE_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC,   CEPH_SUPER_MAGIC,      V9FS_MAGIC,
        AFS_SUPER_MAGIC,  0x0bd00bd0 /* Lustre */, 0x47504653 /* GPFS */, 0x19830326 /* BeeGFS */,
    };
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(not_these); i++)
        if ((uint32_t)fs.f_type == (uint32_t)not_these[i])
            return false;
    return true;
}

const struct plan_image *plan_merge_target(const struct runtime_plan *p)
{
    return p->merge == PLAN_MERGE_LAYER ? &p->layers[p->n_layers - 1] : &p->image;
}

/* Opened once: the stage is made in what was found fit. */
static void choose_stage(struct runtime_plan *p, const struct runtime_spec *spec)
{
    auto_free char *beside = path_dir(plan_merge_target(p)->path);
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    auto_close int fd = spec->tmp_dir ? -1 : open(beside, flags);
    const char *temp = strv_env_value(spec->envp, "TMPDIR");
    bool local = fd >= 0 && takes_uppers(fd);
    p->stage_parent = spec->tmp_dir ? mem_strdup(spec->tmp_dir)
                      : local       ? steal_ptr(beside)
                                    : mem_strdup(temp && temp[0] == '/' ? temp : "/tmp");
    p->stage_parent_fd = local ? steal_fd(&fd) : open(p->stage_parent, flags);
}

/* The writable layer stays uppermost, wherever it was given. */
static int add_layer(struct runtime_plan *p, const char *text, struct err *e)
{
    struct plan_image l = PLAN_IMAGE_INIT;
    bool top = p->n_layers && p->layers[p->n_layers - 1].writable;
    if (p->n_layers == PLAN_MAX_LAYERS)
        return err_set(e, ERR_USAGE, "--overlay: more than %d layers", PLAN_MAX_LAYERS);
    int rc = open_layer(p, text, &l, e);
    p->layers = mem_grow(p->layers, p->n_layers, sizeof *p->layers);
    p->layers[p->n_layers++] = l;
    if (rc < 0)
        return err_wrap(e, "--overlay");
    if (!top)
        return 0;
    if (l.writable) {
        err_set(e, ERR_USAGE, "--overlay: only one layer can be written to");
        return err_hint(e, "give the others as 'LAYER:ro'");
    }
    struct plan_image *last = &p->layers[p->n_layers - 1];
    last[0] = last[-1];
    last[-1] = l;
    return 0;
}

int plan_layers(struct runtime_plan *p, const struct runtime_spec *spec, struct err *e)
{
    for (const char *const *o = spec->overlays; o && *o; o++)
        if (add_layer(p, *o, e) < 0)
            return -1;
    const struct plan_image *top = p->n_layers ? &p->layers[p->n_layers - 1] : NULL;
    if (top && top->writable && top->by == PLAN_BY_FUSE)
        p->merge = PLAN_MERGE_LAYER;
    if (p->merge)
        choose_stage(p, spec);
    return 0;
}

void plan_layers_fini(struct runtime_plan *p)
{
    for (size_t i = 0; i < p->n_layers; i++)
        plan_image_fini(&p->layers[i]);
    free(p->layers);
    cleanup_fd(&p->stage_parent_fd);
    free(p->stage_parent);
}
