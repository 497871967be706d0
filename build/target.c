/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sys/statvfs.h>

#include "base/mem.h"
#include "base/path.h"
#include "build/parts.h"

/* Whether the image holds more than an empty file system. */
static int note_entry(void *ctx, const struct image_dirent *d)
{
    bool *filled = ctx;
    static const char *const empty[] = { ".", "..", "lost+found" };
    for (size_t i = 0; i < ARRAY_LEN(empty); i++)
        if (d->name_len == strlen(empty[i]) && memcmp(d->name, empty[i], d->name_len) == 0)
            return 0;
    *filled = true;
    return 1;
}

static int holds_system(struct target *t, bool *filled, struct err *e)
{
    auto_image_reader struct image_reader *r = NULL;
    if (image_reader_open(t->fd, t->info.fs_offset, &r, e) < 0)
        return -1;
    *filled = false;
    int rc = image_read_dir(r, IMAGE_ROOT_INO, 0, note_entry, filled);
    return rc < 0 ? err_set(e, ERR_INPUT, "its root directory cannot be read") : 0;
}

static int refuse_kind(const struct build_spec *spec, mode_t mode, struct err *e)
{
    if (S_ISDIR(mode)) {
        err_set(e, ERR_INPUT, "'%s' is a directory, not an image file", spec->image_path);
        return err_hint(e, "name a file, e.g. '%s/image.img'", spec->image_path);
    }
    err_set(e, ERR_INPUT, "'%s' is neither a file nor absent", spec->image_path);
    return err_hint(e, "images are plain files; hpcc never writes to a device");
}

/* Look at what is there, and whether it is kept. */
static int probe(const struct build_spec *spec, struct target *t, struct err *e)
{
    if (t->place.st.st_size == 0) /* as mktemp(1) makes them */
        return 0;
    if (image_probe(t->fd, spec->image_path, &t->info, e) < 0)
        return -1;
    if (!spec->size_bytes)
        t->size_bytes = t->info.file_bytes;
    if (spec->fresh)
        return 0;
    if (t->info.kind != IMAGE_EXT) {
        err_set(e, ERR_INPUT, "'%s' is not an ext3 image", spec->image_path);
        return err_hint(e,
                        "to start from it, write 'Bootstrap: localimage' and 'From: %s' and "
                        "name another image; --fresh replaces it",
                        spec->image_path);
    }
    if (holds_system(t, &t->keep, e) < 0) {
        err_wrap(e, "cannot keep what is in '%s'", spec->image_path);
        return err_hint(e, "hpcc bootstrap --fresh starts over");
    }
    return 0;
}

static int open_existing(struct target *t, struct err *e)
{
    /* Twice at most: the writer before us may publish between look and lock. */
    for (unsigned tries = 0;; tries++) {
        t->fd = place_open_found(&t->place, O_RDWR, e);
        if (t->fd < 0) {
            err_wrap(e, "cannot write to the image");
            return err_hint(e, "build into a file of your own, or ask its owner");
        }
        if (image_lock(t->fd, t->path, IMAGE_LOCK_REPLACE, e) < 0)
            return -1;
        if (place_check(&t->place, NULL) == 0)
            return 0;
        if (tries == 2 || place_look(&t->place, e) < 0 || !t->place.exists)
            return err_set(e, ERR_FAILED, "'%s' is being replaced all the time", t->path);
        close(t->fd);
        t->fd = -1;
    }
}

static int check_directory(const struct place *p, struct err *e)
{
    if (faccessat(p->dir_fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
        return 0;
    auto_free char *dir = path_dir(p->path);
    err_sys(e, "cannot write into '%s', where the image belongs", dir);
    return err_hint(e, "the new image is prepared beside the old one and renamed: the directory "
                       "must be writable");
}

static int find(struct target *t, struct err *e)
{
    if (place_open(t->path, &t->place, e) == 0)
        return place_beside(&t->place, ".log", &t->log, e);
    auto_free char *dir = path_dir(t->path);
    return e && e->sys == ENOENT ? err_hint(e, "mkdir -p '%s'", dir) : -1;
}

int target_open(const struct build_spec *spec, struct target *t, struct err *e)
{
    t->path = spec->image_path;
    t->size_bytes = spec->size_bytes;
    mode_t mask = umask(0);
    umask(mask);
    t->mode = 0777 & ~mask;
    t->owner_uid = t->owner_gid = -1;
    size_t n = strlen(t->path);
    if (n == 0 || t->path[n - 1] == '/')
        return err_set(e, ERR_INPUT, "'%s' does not name a file", t->path);
    if (find(t, e) < 0)
        return -1;
    t->exists = t->place.exists;
    if (t->exists && !S_ISREG(t->place.st.st_mode))
        return refuse_kind(spec, t->place.st.st_mode, e);
    if (check_directory(&t->place, e) < 0)
        return -1;
    if (!t->exists)
        return 0;
    if (open_existing(t, e) < 0)
        return -1;
    t->mode = t->place.st.st_mode & 0777;
    if (geteuid() ==
        0) { /* the owner of an image stays its owner; why that is safe: image/writer/pack.c */
        t->owner_uid = (int)t->place.st.st_uid;
        t->owner_gid = (int)t->place.st.st_gid;
    }
    return probe(spec, t, e);
}

void target_close(struct target *t)
{
    cleanup_fd(&t->fd);
    t->fd = -1;
    place_close(&t->place);
    place_close(&t->log);
}
