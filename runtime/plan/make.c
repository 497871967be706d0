/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/plan/plan.h"

/* The impure part of planning: the image that is the root. */

static int no_squashfs(const struct runtime_plan *p, struct err *e)
{
    err_set(e, ERR_HOST, "cannot run '%s': this hpcc was built without libsquashfuse",
            p->image.path);
    return err_hint(e,
                    "install libsquashfuse-dev and build hpcc again, or unpack the image: "
                    "'unsquashfs -o %llu -d DIR IMAGE' and 'hpcc run DIR'",
                    (unsigned long long)p->image.info.fs_offset);
}

/* --writable on an image file. */
static int choose_writer(struct runtime_plan *p, struct err *e)
{
    if (p->image.info.kind != IMAGE_EXT) {
        err_set(e, ERR_INPUT, "cannot write to '%s': it is a squashfs image, which never changes",
                p->image.path);
        return err_hint(e, "'--overlay DIR' keeps changes beside it, '--writable-tmpfs' in memory");
    }
    if (p->image.by == PLAN_BY_LOOP)
        return plan_image_reopen_writable(&p->image, e);
    p->merge = PLAN_MERGE_IMAGE;
    return 0;
}

static int choose_root(struct runtime_plan *p, const struct runtime_spec *spec, struct err *e)
{
    struct plan_image *i = &p->image;
    if (plan_image_judge(i, p->uid, p->userns, e) < 0)
        return -1;
    i->writable = p->flags & RUNTIME_WRITABLE;
    if (i->by == PLAN_BY_BIND)
        return 0;
    if (i->info.kind != IMAGE_EXT && i->by == PLAN_BY_FUSE) {
        i->squashfs_server = spec->squashfs_server ? spec->squashfs_server() : NULL;
        if (!i->squashfs_server)
            return no_squashfs(p, e);
    }
    return i->writable ? choose_writer(p, e) : 0;
}

/* Where FD lies by the kernel's own account; NULL where it is deleted, or out of reach. */
static char *path_of(int fd)
{
    char link[32], text[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, text, sizeof text);
    if (n <= 0 || n == sizeof text || text[0] != '/')
        return NULL;
    auto_free char *path = mem_strndup(text, (size_t)n);
    return str_ends(path, " (deleted)") ? NULL : steal_ptr(path);
}

static int open_root(struct plan_image *i, const char *path, struct err *e)
{
    if (plan_image_open(i, path, e) < 0)
        return -1;
    i->path = path_of(i->fd);
    if (!i->path)
        i->path = realpath(path, NULL);
    if (!i->path)
        i->path = mem_strdup(path);
    return 0;
}

/* Only its owner may put a new file in the image's place as its own. */
static int check_owner(const struct runtime_plan *p, struct err *e)
{
    if (p->merge != PLAN_MERGE_IMAGE || p->uid == 0 || p->image.owner_uid == p->uid)
        return 0;
    err_set(e, ERR_FAILED, "cannot write to the image '%s' itself: it is another user's",
            p->image.path);
    return err_hint(e, "'--overlay DIR' keeps changes beside it, '--writable-tmpfs' in memory");
}

int runtime_plan_make(const struct runtime_spec *spec, struct runtime_plan **out, struct err *e)
{
    auto_runtime_plan struct runtime_plan *p = mem_zero(1, sizeof *p);
    p->image = (struct plan_image)PLAN_IMAGE_INIT;
    p->stage_parent_fd = p->stage_fd = -1;
    p->flags = spec->flags;
    p->uid = geteuid();
    p->gid = getegid();
    p->userns = p->uid != 0 || (p->flags & (RUNTIME_USERNS | RUNTIME_FAKEROOT));
    if (open_root(&p->image, spec->image_path, e) < 0 || choose_root(p, spec, e) < 0 ||
        plan_layers(p, spec, e) < 0 || plan_for_host(p, spec, e) < 0 || check_owner(p, e) < 0)
        return -1;
    *out = steal_ptr(p);
    return 0;
}

void runtime_plan_free(struct runtime_plan *p)
{
    plan_image_fini(&p->image);
    for (size_t i = 0; i < p->n_ops; i++) {
        free(p->ops[i].src);
        free(p->ops[i].dst);
    }
    free(p->ops);
    char *const texts[] = { p->user,  p->home,     p->shell,      p->gecos,
                            p->group, p->hostname, p->cwd,        p->shell_inside,
                            p->app,   p->job,      p->runtime_dir };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        free(texts[i]);
    for (size_t i = 0; i < p->n_seen; i++)
        free(p->seen[i].path);
    free(p->seen);
    plan_layers_fini(p);
    strv_free(&p->env);
    strv_free(&p->env_after);
    strv_free(&p->argv);
    strv_free(&p->keep_fds);
    free(p);
}

int runtime_plan_image(const struct runtime_plan *p)
{
    return p->image.fd;
}

bool runtime_plan_merges(const struct runtime_plan *p)
{
    return p->merge != PLAN_MERGE_NONE;
}
