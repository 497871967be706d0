/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/reader/reader.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "base/mem.h"

enum { MAX_LINKS = 40, MAX_DEPTH = PATH_MAX / 2 };

/* A walk keeps the directories it came through: `..` goes back there, not where the image's own
 * entry of that name says. */
struct walk {
    const struct image_reader *r;
    uint32_t *dir; /* of MAX_DEPTH + 1 */
    size_t depth;  /* dir[depth] is where we are */
    struct str rest;
    unsigned n_links;
};

static void walk_fini(struct walk *w)
{
    free(w->dir);
    str_free(&w->rest);
}

/* Put the link's target before what is left of the path. */
static int follow(struct walk *w, uint32_t link, size_t done)
{
    char target[READER_MAX_LINK];
    if (++w->n_links > MAX_LINKS)
        return -ELOOP;
    ssize_t n = image_read_link(w->r, link, target, sizeof target);
    if (n < 0)
        return (int)n;
    if (n + w->rest.len - done >= PATH_MAX)
        return -ENAMETOOLONG;
    auto_str struct str next = { 0 };
    str_add_n(&next, target, (size_t)n);
    str_add_n(&next, w->rest.data + done, w->rest.len - done);
    if (target[0] == '/')
        w->depth = 0;
    str_free(&w->rest);
    w->rest = next;
    next = (struct str){ 0 };
    return 0;
}

/* One component at *POS of what is left. *INO gets what it names when it is not a directory that we
 * entered. */
static int step(struct walk *w, size_t *pos, bool follow_last, uint32_t *ino)
{
    const char *name = w->rest.data + *pos;
    size_t len = strcspn(name, "/");
    size_t end = *pos + len;
    bool last = w->rest.data[end + strspn(w->rest.data + end, "/")] == '\0';
    bool wants_dir = w->rest.data[end] == '/';
    struct image_stat st;

    if (len == 1 && name[0] == '.') {
        *pos = end;
        return 0;
    }
    if (len == 2 && memcmp(name, "..", 2) == 0) {
        w->depth -= w->depth > 0;
        *pos = end;
        return 0;
    }
    uint32_t child;
    int rc = image_read_lookup(w->r, w->dir[w->depth], name, len, &child);
    if (rc == 0)
        rc = image_read_stat(w->r, child, &st);
    if (rc < 0)
        return rc;
    if (S_ISLNK(st.mode) && (!last || follow_last || wants_dir)) {
        rc = follow(w, child, end);
        *pos = 0;
        return rc;
    }
    if (S_ISDIR(st.mode)) {
        if (w->depth == MAX_DEPTH)
            return -ENAMETOOLONG;
        w->dir[++w->depth] = child;
        *pos = end;
        return 0;
    }
    if (!last || wants_dir)
        return -ENOTDIR;
    *ino = child;
    return 0;
}

int image_read_path(const struct image_reader *r, const char *path, bool follow_last, uint32_t *ino)
{
    __attribute__((cleanup(walk_fini))) struct walk w = { .r = r };
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    str_add(&w.rest, path);
    w.dir = mem_zero(MAX_DEPTH + 1, sizeof *w.dir);
    w.dir[0] = IMAGE_ROOT_INO;

    size_t pos = 0;
    for (;;) {
        uint32_t leaf = 0;
        pos += strspn(w.rest.data + pos, "/");
        if (w.rest.data[pos] == '\0')
            break;
        int rc = step(&w, &pos, follow_last, &leaf);
        if (rc < 0)
            return rc;
        if (leaf) {
            *ino = leaf;
            return 0;
        }
    }
    *ino = w.dir[w.depth];
    return 0;
}

int image_read_file(const struct image_reader *r, const char *path, size_t max, struct str *out,
                    struct err *e)
{
    uint32_t ino;
    struct image_stat st;
    int rc = image_read_path(r, path, true, &ino);
    if (rc == 0)
        rc = image_read_stat(r, ino, &st);
    if (rc == 0 && !S_ISREG(st.mode))
        rc = S_ISDIR(st.mode) ? -EISDIR : -EINVAL;
    if (rc < 0) {
        errno = -rc;
        err_sys(e, "cannot read '%s' in the image", path);
        return rc == -ENOENT ? -1 : err_code_set(e, ERR_INPUT);
    }
    if (st.size > max)
        return err_set(e, ERR_INPUT,
                       "'%s' in the image is too large (%" PRIu64 " bytes, at most %zu)", path,
                       st.size, max);

    uint8_t buf[8192];
    for (uint64_t at = 0; at < st.size;) {
        ssize_t n = image_read_data(r, ino, buf, sizeof buf, at);
        if (n <= 0) {
            errno = n < 0 ? (int)-n : EIO;
            err_sys(e, "cannot read '%s' in the image", path);
            return err_code_set(e, ERR_INPUT);
        }
        str_add_n(out, buf, (size_t)n);
        at += (uint64_t)n;
    }
    return 0;
}
