/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tar/path.h"

#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/str.h"

enum { PATH_BYTES_MAX = 4095, FOLLOW_MAX = 40 };

static int refuse(const char *path, const char *why, struct err *e)
{
    auto_free char *cut = mem_strndup(path, strnlen(path, 400));
    auto_free char *shown = str_printable(cut);
    return err_set(e, ERR_INPUT, "'%.400s' %s", shown, why);
}

/* The next component of *PATH, which moves behind it; NULL at the end. "." is passed over. */
static const char *component(const char **path, size_t *len)
{
    for (;;) {
        const char *start = *path + strspn(*path, "/");
        *len = strcspn(start, "/");
        *path = start + *len;
        if (*len == 0)
            return NULL;
        if (*len != 1 || *start != '.')
            return start;
    }
}

static bool is_dotdot(const char *name, size_t len)
{
    return len == 2 && memcmp(name, "..", 2) == 0;
}

int tar_nodes_left(const struct source *s, struct err *e)
{
    if (!s->max_nodes || s->n_nodes < s->max_nodes)
        return 0;
    return err_set(e, ERR_INPUT, "the archive holds more than %llu files",
                   (unsigned long long)s->max_nodes);
}

static struct source_node *add_dir(struct source *s, struct source_node *dir, const char *name,
                                   size_t len, struct err *e)
{
    return tar_nodes_left(s, e) < 0 ? NULL : source_add(s, dir, name, len, S_IFDIR | 0755, e);
}

/* Where the symlink LINK leads inside the tree, all of it; directories that are not there yet are
 * made, as archives may name what comes later. At most *BUDGET links; NULL with E. */
static struct source_node *follow(struct source *s, struct source_node *link, unsigned *budget,
                                  struct err *e)
{
    /* A stack of what is left to walk, as one string: no recursion by the archive's choice. */
    auto_free char *rest = mem_strdup(source_file(link)->target);
    struct source_node *at = rest[0] == '/' ? s->root : link->parent;
    const char *path = rest;
    size_t len;
    const char *name;
    while ((name = component(&path, &len))) {
        if (is_dotdot(name, len)) {
            at = at->parent ? at->parent : at;
            continue;
        }
        struct source_node *child = source_find(s, at, name, len);
        if (!child && !(child = add_dir(s, at, name, len, e)))
            return NULL;
        struct source_node *file = source_file(child);
        if (S_ISLNK(file->mode)) {
            auto_free char *shown = source_path(child);
            if (++*budget > FOLLOW_MAX) {
                refuse(shown, "is a symlink that leads in a circle", e);
                return NULL;
            }
            auto_free char *next = mem_printf("%s/%s", file->target, path);
            if (strlen(next) > PATH_BYTES_MAX) {
                refuse(shown, "leads to a path longer than 4095 bytes", e);
                return NULL;
            }
            if (next[0] == '/')
                at = s->root;
            free(rest);
            rest = steal_ptr(next);
            path = rest;
            continue;
        }
        if (!S_ISDIR(file->mode)) {
            auto_free char *shown = source_path(child);
            refuse(shown, "is not a directory, but the archive has files below it", e);
            return NULL;
        }
        at = child;
    }
    return at;
}

int tar_place_find(struct source *s, const char *path, struct tar_place *out, struct err *e)
{
    if (strlen(path) > PATH_BYTES_MAX)
        return refuse(path, "is a path longer than 4095 bytes", e);
    unsigned budget = 0;
    struct source_node *at = s->root;
    const char *left = path;
    size_t len, next_len;
    const char *name = component(&left, &len), *next;
    if (!name) {
        *out = (struct tar_place){ 0 };
        return 0;
    }
    for (;; name = next, len = next_len) {
        if (is_dotdot(name, len))
            return refuse(path, "leads out of the archive's root", e);
        next = component(&left, &next_len);
        if (!next)
            break;
        struct source_node *child = source_find(s, at, name, len);
        if (!child)
            child = add_dir(s, at, name, len, e);
        else if (S_ISLNK(source_file(child)->mode))
            child = follow(s, child, &budget, e);
        if (!child)
            return -1;
        if (!S_ISDIR(child->mode))
            return refuse(path, "lies below something that is not a directory", e);
        at = child;
    }
    *out = (struct tar_place){ .dir = at, .name = name, .len = len };
    return 0;
}
