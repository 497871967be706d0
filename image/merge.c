/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "image/image.h"
#include "image/rewrite.h"
#include "image/tree/tree.h"

struct image_merge {
    struct place place;
    struct rewrite rewrite; /* open and locked; the tree is read when there is something to merge */
};

/* What would only fail when the work is done is tried before it begins. */
static int check_replaceable(struct place *p, const struct stat *st, struct err *e)
{
    auto_draft struct fs_draft draft = FS_DRAFT_INIT;
    if (geteuid() != 0 && st->st_uid != geteuid()) {
        err_set(e, ERR_FAILED, "cannot change image '%s': it belongs to another user", p->path);
        return err_hint(e, "work on a copy of it: 'cp --sparse=always'");
    }
    return fs_draft_open(p, &draft, e);
}

int image_merge_begin(const char *path, int image_fd, struct image_merge **out, struct err *e)
{
    auto_image_merge struct image_merge *m = mem_zero(1, sizeof *m);
    m->rewrite = (struct rewrite)REWRITE_INIT;
    m->place = (struct place)PLACE_INIT;
    struct stat st;
    if (place_open(path, &m->place, e) < 0)
        return -1;
    const struct place *p = &m->place;
    if (fstat(image_fd, &st) < 0)
        return err_sys(e, "cannot look at image '%s'", path);
    if (!p->exists || p->st.st_dev != st.st_dev || p->st.st_ino != st.st_ino)
        return err_set(e, ERR_FAILED, "image '%s' was just replaced by another process", path);
    if (edit_open(p, IMAGE_LOCK_REPLACE, &m->rewrite.edit, e) < 0 ||
        check_replaceable(&m->place, &st, e) < 0)
        return -1;
    *out = steal_ptr(m);
    return 0;
}

void image_merge_free(struct image_merge *m)
{
    if (!m)
        return;
    rewrite_close(&m->rewrite);
    place_close(&m->place);
    free(m);
}

static struct source_node *directory(struct source *s, const char *name,
                                     const struct image_merge_spec *spec, struct err *e)
{
    struct source_node *n = source_find(s, s->root, name, strlen(name));
    if (n && S_ISDIR(n->mode))
        return n;
    if (n) {
        err_set(e, ERR_INPUT, "'/%s' of the overlay image is not a directory", name);
        return NULL;
    }
    n = source_add(s, s->root, name, strlen(name), S_IFDIR | 0755, e);
    if (n) {
        n->uid = spec->uid;
        n->gid = spec->gid;
        n->mtime = s->root->mtime;
    }
    return n;
}

/* Where UPPER belongs in the tree of the image. */
static struct source_node *find_base(struct source *s, const struct image_merge_spec *spec,
                                     struct err *e)
{
    if (!spec->layer)
        return s->root;
    struct source_node *upper = directory(s, "upper", spec, e);
    return upper && directory(s, "work", spec, e) ? upper : NULL;
}

void image_merge_regroup(struct image_merge *m)
{
    auto_err struct err why = { 0 };
    struct place *p = &m->place;
    const struct stat *old = &m->rewrite.edit.st;
    if (place_look(p, &why) < 0 || !p->exists || !S_ISREG(p->st.st_mode) ||
        p->st.st_uid != old->st_uid || p->st.st_gid == old->st_gid)
        return;
    auto_close int fd = place_open_found(p, O_RDONLY, &why);
    if (fd < 0 || fchown(fd, (uid_t)-1, old->st_gid) < 0)
        log_warn("'%s' belongs to your own group now: %s", p->path, strerror(errno));
}

/* Seen without reading the whole tree: most runs of an image that could be written do not write. */
static bool changes_nothing(const struct image_merge *m, const struct source *upper,
                            const struct image_merge_spec *spec)
{
    const struct edit *ed = &m->rewrite.edit;
    auto_image_reader struct image_reader *r = NULL;
    struct image_stat st;
    uint32_t ino;
    if (upper->root->n_children || image_reader_open(ed->fd, ed->info.fs_offset, &r, NULL) < 0)
        return false;
    int rc = image_read_path(r, spec->layer ? "/upper" : "/", false, &ino);
    if (rc == -ENOENT)
        return true;
    return rc == 0 && image_read_stat(r, ino, &st) == 0 &&
           (st.mode & 07777) == (upper->root->mode & 07777);
}

/* Ids as this process sees them: it may have entered a user namespace since the image was opened. A
 * group that it cannot name is replaced by its own. */
static int refresh(struct edit *ed, struct err *e)
{
    enum { OVERFLOW_ID = 65534 };
    gid_t was = ed->st.st_gid;
    if (fstat(ed->fd, &ed->st) < 0)
        return err_sys(e, "cannot look at the image");
    if (ed->st.st_gid == OVERFLOW_ID && was != OVERFLOW_ID)
        ed->st.st_gid = getegid();
    return 0;
}

int image_merge_end(struct image_merge *m, const struct image_merge_spec *spec, bool *changed,
                    struct err *e)
{
    struct rewrite *r = &m->rewrite;
    *changed = false;
    auto_source struct source *upper = source_from_dir(spec->upper_fd, NULL, e);
    if (!upper)
        return -1;
    if (changes_nothing(m, upper, spec))
        return 0;
    if (rewrite_read(&m->place, r, e) < 0)
        return -1;
    struct source_node *base = find_base(r->tree.source, spec, e);
    if (!base)
        return err_wrap(e, "image '%s'", m->place.path);
    const struct source_merge_spec merge = { r->tree.source, base, spec };
    struct source_graft *g = source_graft_new(r->tree.source);
    if (source_merge(g, &upper, &merge, e) < 0)
        return err_wrap(e, "image '%s'", m->place.path);
    if (place_check(&m->place, e) < 0 || refresh(&r->edit, e) < 0)
        return -1;
    r->grow = true;
    if (rewrite_publish(&m->place, r, r->edit.info.fs_bytes, e) < 0)
        return -1;
    *changed = true;
    return 0;
}
