/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_TREE_CASE_H
#define TESTS_IMAGE_TREE_CASE_H

/* Whether the reader and a directory of this host hold the same. */
#include "tests/image/image_case.h"

#include <dirent.h>

enum {
    SAME_NO_XATTRS = 1,
    SAME_AS_MOUNTED = 2, /* the directory is the kernel's mount of the image: inode numbers too */
};

struct entries {
    const struct image_reader *r;
    struct strv names;
    struct strv paths; /* directories still to do */
    const char *path;
};

static inline int add_entry(void *ctx, const struct image_dirent *d)
{
    struct entries *x = ctx;
    strv_take(&x->names, mem_strndup(d->name, d->name_len));
    return 0;
}

static inline void same_data(const struct image_reader *r, uint32_t ino, int fd, uint64_t size)
{
    enum { STEP = 1 << 20 };
    auto_free uint8_t *a = mem_alloc(STEP), *b = mem_alloc(STEP);
    for (uint64_t at = 0; at < size; at += STEP) {
        ssize_t n = pread(fd, a, STEP, (off_t)at);
        assert_int_equal(image_read_data(r, ino, b, STEP, at), n);
        assert_memory_equal(a, b, (size_t)n);
    }
    assert_int_equal(image_read_data(r, ino, b, STEP, size), 0);
    assert_int_equal(image_read_data(r, ino, b, STEP, UINT64_MAX), 0);
}

static inline void same_xattrs(const struct image_reader *r, uint32_t ino, const char *path)
{
    char want[4096], have[4096], value[8192], mine[8192];
    ssize_t n = llistxattr(path, want, sizeof want);
    assert_true(n >= 0);
    assert_int_equal(image_read_xattr_list(r, ino, have, sizeof have), n);
    assert_int_equal(image_read_xattr_list(r, ino, NULL, 0), n);
    for (const char *name = have; name < have + n; name += strlen(name) + 1) {
        ssize_t len = lgetxattr(path, name, value, sizeof value);
        assert_true(len >= 0);
        assert_int_equal(image_read_xattr(r, ino, name, mine, sizeof mine), len);
        assert_memory_equal(value, mine, (size_t)len);
        assert_int_equal(image_read_xattr(r, ino, name, NULL, 0), len);
        if (len > 1)
            assert_int_equal(image_read_xattr(r, ino, name, mine, 1), -ERANGE);
    }
    assert_int_equal(image_read_xattr(r, ino, "user.none", mine, sizeof mine), -ENODATA);
}

static inline void same_node(const struct image_reader *r, uint32_t ino, const char *path,
                             unsigned how)
{
    struct image_stat have;
    struct stat want;
    assert_int_equal(image_read_stat(r, ino, &have), 0);
    assert_int_equal(lstat(path, &want), 0);
    assert_int_equal(have.mode, want.st_mode);
    assert_int_equal(have.uid, want.st_uid);
    assert_int_equal(have.gid, want.st_gid);
    assert_int_equal(have.mtime, want.st_mtime);
    if (how & SAME_AS_MOUNTED) {
        assert_int_equal(have.ino, want.st_ino);
        assert_int_equal(have.blocks, want.st_blocks);
        assert_int_equal(have.nlink, want.st_nlink);
        assert_int_equal(have.mtime_nsec, want.st_mtim.tv_nsec);
        assert_int_equal(have.ctime, want.st_ctim.tv_sec);
        assert_int_equal(have.ctime_nsec, want.st_ctim.tv_nsec);
    }
    if (!S_ISDIR(want.st_mode)) {
        assert_int_equal(have.nlink, want.st_nlink);
        assert_int_equal(have.rdev_major, major(want.st_rdev));
        assert_int_equal(have.rdev_minor, minor(want.st_rdev));
    }
    if (!(how & SAME_NO_XATTRS))
        same_xattrs(r, ino, path);
    if (S_ISREG(want.st_mode)) {
        assert_int_equal(have.size, want.st_size);
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        same_data(r, ino, fd, have.size);
    } else if (S_ISLNK(want.st_mode)) {
        char a[4096], b[4096];
        ssize_t n = readlink(path, a, sizeof a);
        assert_int_equal(image_read_link(r, ino, b, sizeof b), n);
        assert_memory_equal(a, b, (size_t)n);
        assert_int_equal(image_read_link(r, ino, b, (size_t)n - 1), -ERANGE);
    }
}

static inline size_t count_dir(const char *path)
{
    auto_dir DIR *d = opendir(path);
    size_t n = 0;
    assert_non_null(d);
    while (readdir(d))
        n++;
    return n;
}

/* Everything below the directory PATH is in the image and nothing else. */
static inline size_t same_tree(const struct image_reader *r, const char *root, unsigned how)
{
    auto_strv struct strv dirs = { 0 };
    size_t n = 0;
    strv_add(&dirs, "");
    for (size_t i = 0; i < dirs.n; i++) {
        auto_strv struct strv names = { 0 };
        struct entries x = { .r = r };
        uint32_t dir;
        auto_free char *host_dir = path_join(root, dirs.v[i]);
        assert_int_equal(image_read_path(r, dirs.v[i], false, &dir), 0);
        assert_int_equal(image_read_dir(r, dir, 0, add_entry, &x), 0);
        names = x.names;
        strv_sort(&names);
        size_t extra = !(how & SAME_AS_MOUNTED) && strv_has(&names, "lost+found");
        assert_int_equal(names.n - extra, count_dir(host_dir));
        for (size_t k = 0; k < names.n; k++) {
            uint32_t ino;
            struct image_stat st;
            if (str_eq(names.v[k], ".") || str_eq(names.v[k], "..") ||
                (extra && str_eq(names.v[k], "lost+found")))
                continue;
            auto_free char *path = path_join(dirs.v[i], names.v[k]);
            auto_free char *host = path_join(root, path);
            assert_int_equal(image_read_lookup(r, dir, names.v[k], strlen(names.v[k]), &ino), 0);
            same_node(r, ino, host, how);
            assert_int_equal(image_read_stat(r, ino, &st), 0);
            if (S_ISDIR(st.mode))
                strv_add(&dirs, path);
            n++;
        }
    }
    return n;
}

#endif
