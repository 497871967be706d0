/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_TREE_RANDOM_H
#define TESTS_IMAGE_TREE_RANDOM_H

/* Trees by chance, the same for the same seed: all file types, sizes around the borders of blocks
 * and indirect blocks, holes and blocks of zeros, hard links, attributes, odd names. */
#include "tests/image/image_case.h"

#include <inttypes.h>
#include <stdlib.h>

struct tree_random {
    uint64_t state;
    int root_fd;
    bool root; /* we may make devices and give files away */
    struct strv dirs, files;
};

static inline uint64_t tree_next(struct tree_random *t)
{
    t->state += 0x9e3779b97f4a7c15ull; /* splitmix64 */
    uint64_t z = t->state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static inline uint64_t tree_below(struct tree_random *t, uint64_t n)
{
    return tree_next(t) % n;
}

static inline char *tree_name(struct tree_random *t)
{
    static const size_t lens[] = { 1, 2, 3, 4, 5, 8, 12, 16, 100, 254, 255 };
    size_t len = lens[tree_below(t, ARRAY_LEN(lens))];
    char *name = mem_zero(len + 1, 1);
    bool bytes = tree_below(t, 4) == 0;
    for (size_t i = 0; i < len; i++) {
        do
            name[i] = (char)(bytes ? 1 + tree_below(t, 255) : 'a' + tree_below(t, 26));
        while (name[i] == '/' || name[i] == '.');
    }
    return name;
}

static inline uint64_t tree_size(struct tree_random *t)
{
    static const uint64_t borders[] = { 0, 1, 4096, 8192, 12 * 4096, (12 + 1024) * 4096 };
    uint64_t i = tree_below(t, 40);
    if (i == 39)
        i = 5; /* rare: four megabytes */
    else
        i %= 5;
    uint64_t size = borders[i];
    uint64_t off = tree_below(t, 4);
    if (off == 0 && size > 0)
        size--;
    else if (off == 1)
        size++;
    else if (off == 2)
        size += tree_below(t, 30000);
    return size;
}

/* Content in pieces: data, zeros that are written, holes; now and then far out. */
static inline void tree_fill(struct tree_random *t, int fd)
{
    uint64_t size = tree_size(t);
    auto_free uint8_t *buf = mem_alloc(size + 1);
    for (uint64_t at = 0; at < size;) {
        uint64_t len = 1 + tree_below(t, 20000);
        if (len > size - at)
            len = size - at;
        uint64_t kind = tree_below(t, 5);
        if (kind < 2)
            case_pattern(buf, len, at, (unsigned)tree_next(t));
        else
            memset(buf, 0, len);
        if (kind < 3)
            assert_int_equal(fs_pwrite_full(fd, buf, len, at), 0);
        at += len;
    }
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    if (tree_below(t, 12) == 0) { /* beyond double, rarely triple indirection */
        uint64_t far = tree_below(t, 3) ? tree_below(t, 4ull << 30) : tree_below(t, 9ull << 30);
        case_pattern(buf, 1, 0, 1);
        buf[0] |= 1;
        assert_int_equal(fs_pwrite_full(fd, buf, 1, far + size), 0);
    }
}

static inline void tree_attributes(struct tree_random *t, const char *path, mode_t type)
{
    auto_free char *file = mem_printf("/proc/self/fd/%d/%s", t->root_fd, path);
    uint8_t value[3000];
    case_pattern(value, sizeof value, 0, (unsigned)tree_next(t));
    if ((type == S_IFREG || type == S_IFDIR) && tree_below(t, 4) == 0) {
        assert_int_equal(lsetxattr(file, "user.short", value, tree_below(t, 20), 0), 0);
        if (tree_below(t, 2))
            assert_int_equal(lsetxattr(file, "user.a.longer.name", value, tree_below(t, 2500), 0),
                             0);
        if (t->root && tree_below(t, 2))
            assert_int_equal(lsetxattr(file, "trusted.x", value, 7, 0), 0);
    }
    /* version 2: u::rwx u:UID:r g::r m::rwx o::- */
    static const uint8_t acl[] = { 2,   0,   0,   0,   1,  0, 7, 0, 255, 255, 255, 255, 2,  0, 4, 0,
                                   232, 3,   0,   0,   4,  0, 4, 0, 255, 255, 255, 255, 16, 0, 7, 0,
                                   255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255 };
    if ((type == S_IFREG || type == S_IFDIR) && tree_below(t, 8) == 0)
        assert_int_equal(lsetxattr(file, "system.posix_acl_access", acl, sizeof acl, 0), 0);
    if (type == S_IFDIR && tree_below(t, 8) == 0)
        assert_int_equal(lsetxattr(file, "system.posix_acl_default", acl, sizeof acl, 0), 0);
    static const uint8_t caps[20] = { 1, 0, 0, 2, 0, 32 };
    if (t->root && type == S_IFREG && tree_below(t, 8) == 0)
        assert_int_equal(lsetxattr(file, "security.capability", caps, sizeof caps, 0), 0);
}

static inline void tree_metadata(struct tree_random *t, const char *path, mode_t type)
{
    if (t->root && tree_below(t, 3) == 0) {
        uid_t uid = (uid_t)tree_below(t, tree_below(t, 2) ? 70000 : 0xfffffffeu);
        assert_int_equal(fchownat(t->root_fd, path, uid, uid / 2, AT_SYMLINK_NOFOLLOW), 0);
    }
    if (type != S_IFLNK && tree_below(t, 2))
        assert_int_equal(fchmodat(t->root_fd, path, (mode_t)tree_below(t, 010000) | 0400, 0), 0);
    tree_attributes(t, path, type);
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
    static const int64_t seconds[] = {
        0, 1, -1, 1700000000, 0x7fffffff, 0x80000000ll, 0x1ffffffffll, -0x80000000ll
    };
    times[1].tv_sec = seconds[tree_below(t, ARRAY_LEN(seconds))];
    times[1].tv_nsec = tree_below(t, 2) ? (long)tree_below(t, 1000000000) : 0;
    assert_int_equal(utimensat(t->root_fd, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static inline void tree_link_target(struct tree_random *t, char *target)
{
    static const size_t lens[] = { 1, 10, 58, 59, 60, 61, 300, 4000 };
    size_t len = lens[tree_below(t, ARRAY_LEN(lens))];
    memset(target, 'a' + (int)tree_below(t, 26), len);
    target[len] = 0;
}

/* One more node of a type by chance. A name that is taken is simply left out. */
static inline void tree_add(struct tree_random *t)
{
    auto_free char *name = tree_name(t);
    const char *dir = t->dirs.v[tree_below(t, t->dirs.n)];
    auto_free char *path = str_eq(dir, ".") ? mem_strdup(name) : path_join(dir, name);
    char target[4096];
    mode_t type = S_IFREG;
    int rc;
    if (strlen(path) > 3000)
        return;
    switch (tree_below(t, t->root ? 14 : 11)) {
    case 0:
    case 1:
        rc = mkdirat(t->root_fd, path, 0755);
        type = S_IFDIR;
        break;
    case 2:
    case 3:
        tree_link_target(t, target);
        rc = symlinkat(target, t->root_fd, path);
        type = S_IFLNK;
        break;
    case 4:
        if (t->files.n == 0 ||
            linkat(t->root_fd, t->files.v[tree_below(t, t->files.n)], t->root_fd, path, 0) < 0)
            return; /* the name is taken */
        return;
    case 5:
        rc = mknodat(t->root_fd, path, (tree_below(t, 2) ? S_IFIFO : S_IFSOCK) | 0644, 0);
        type = S_IFIFO;
        break;
    case 11:
    case 12:
    case 13:
        rc = mknodat(t->root_fd, path, (tree_below(t, 2) ? S_IFBLK : S_IFCHR) | 0600,
                     makedev(tree_below(t, 2) ? tree_below(t, 256) : tree_below(t, 4096),
                             tree_below(t, 2) ? tree_below(t, 256) : tree_below(t, 1 << 20)));
        type = S_IFCHR;
        break;
    default: {
        auto_close int fd = openat(t->root_fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        rc = fd < 0 ? -1 : 0;
        if (fd >= 0)
            tree_fill(t, fd);
    }
    }
    if (rc < 0)
        return;
    tree_metadata(t, path, type);
    if (type == S_IFDIR)
        strv_add(&t->dirs, path);
    if (type == S_IFREG)
        strv_add(&t->files, path);
}

/* A tree of about N nodes at PATH, which must be an empty directory. */
static inline void tree_random_make(const char *path, uint64_t seed, unsigned n)
{
    struct tree_random t = { .state = seed * 2654435761u + 1, .root = geteuid() == 0 };
    t.root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(t.root_fd >= 0);
    strv_add(&t.dirs, ".");
    for (unsigned i = 0; i < n; i++)
        tree_add(&t);
    /* Adding changed the directories' times: set them last, deepest first. */
    for (size_t i = t.dirs.n; i-- > 0;) {
        struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
                                     { .tv_sec = 1600000000 + (long)i, .tv_nsec = (long)i } };
        assert_int_equal(utimensat(t.root_fd, t.dirs.v[i], times, 0), 0);
    }
    close(t.root_fd);
    strv_free(&t.dirs);
    strv_free(&t.files);
}

/* How many trees a test tries, and the seed of the first: from its command line, else a few. */
struct campaign {
    unsigned n_trees;
    uint64_t first_seed;
};

static inline struct campaign campaign_read(int argc, char **argv)
{
    return (struct campaign){ .n_trees = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 12,
                              .first_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1 };
}

static inline void campaign_run(const struct campaign *c,
                                void (*one_tree)(const char *dir, uint64_t seed), const char *dir)
{
    for (uint64_t i = 0; i < c->n_trees; i++) {
        print_message("seed %" PRIu64 "\n", c->first_seed + i);
        one_tree(dir, c->first_seed + i);
    }
}

#endif
