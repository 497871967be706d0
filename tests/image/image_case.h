/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_IMAGE_CASE_H
#define TESTS_IMAGE_IMAGE_CASE_H

/* What the tests of the image room share: a scratch directory, a tree with one of everything, and
 * images of it by mke2fs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/strv.h"
#include "image/image.h"

static inline char *case_dir_new(void)
{
    char *dir = mem_strdup("/tmp/hpcc-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0755), 0);
    return dir;
}

static inline void case_dir_free(char *dir)
{
    auto_err struct err e = { 0 };
    if (fs_remove_tree(AT_FDCWD, dir, &e) < 0)
        fail_msg("%s", e.msg);
    free(dir);
}
CLEANUP_DEFINE(char *, cleanup_case_dir, case_dir_free)
#define auto_case_dir cleanup_with(cleanup_case_dir)

static inline void case_file(const char *dir, const char *name, const void *data, size_t len)
{
    auto_free char *path = path_join(dir, name);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_full(fd, data, len), 0);
}

/* LEN bytes of a pattern that tells offset and file. */
static inline void case_pattern(uint8_t *buf, size_t len, uint64_t offset, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = (uint8_t)(((offset + i) * 2654435761u >> 7) ^ (offset + i) >> 13 ^ seed);
}

static inline void case_pattern_file(const char *dir, const char *name, size_t len, unsigned seed)
{
    auto_free uint8_t *buf = mem_alloc(len + 1);
    case_pattern(buf, len, 0, seed);
    case_file(dir, name, buf, len);
}

static inline void case_run(const char *const *argv)
{
    auto_err struct err e = { 0 };
    int status = 0;
    if (proc_run(
            &(struct proc_spec){ .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1 },
            &status, &e) < 0)
        fail_msg("%s", e.msg);
    if (status != 0)
        fail_msg("%s exits with %d", argv[0], status);
}

/* A file with data, holes and data again; enough of them for indirect blocks and extent trees. */
static inline void case_sparse_file(const char *dir, const char *name)
{
    auto_free char *path = path_join(dir, name);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    uint8_t buf[4096];
    for (unsigned i = 0; i < 40; i++) {
        case_pattern(buf, sizeof buf, i * 4096u, i);
        assert_int_equal(fs_pwrite_full(fd, buf, sizeof buf, (uint64_t)i * i * 65536 + 4096), 0);
    }
    assert_int_equal(ftruncate(fd, 140 << 20), 0);
}

/* A tree with one of everything that mke2fs -d can copy. */
static inline char *case_tree_new(const char *dir)
{
    static const char slow[] =
        "a/target/that/is/longer/than/sixty/bytes/and/so/gets/a/block/of/its/own/x";
    char *tree = path_join(dir, "tree");
    assert_int_equal(mkdir(tree, 0755), 0);
    case_file(tree, "empty", "", 0);
    case_file(tree, "hello", "hello\n", 6);
    case_pattern_file(tree, "medium", 123457, 1);
    case_pattern_file(tree, "large", 9 << 20, 2);
    case_sparse_file(tree, "sparse");
    auto_free char *sub = path_join(tree, "sub"), *many = path_join(tree, "many");
    assert_int_equal(mkdir(sub, 0750), 0);
    assert_int_equal(mkdir(many, 01777), 0);
    for (int i = 0; i < 400; i++) {
        auto_free char *name = mem_printf("entry-with-a-name-%d", i);
        case_file(many, name, name, strlen(name));
    }
    auto_free char *l1 = path_join(tree, "fast"), *l2 = path_join(tree, "slow");
    auto_free char *hello = path_join(tree, "hello"), *hard = path_join(sub, "hard");
    auto_free char *fifo = path_join(sub, "fifo"), *abs = path_join(tree, "abs");
    assert_int_equal(symlink("sub/hard", l1), 0);
    assert_int_equal(symlink("/hello", abs), 0);
    assert_int_equal(symlink(slow, l2), 0);
    assert_int_equal(link(hello, hard), 0);
    assert_int_equal(mkfifo(fifo, 0640), 0);
    if (geteuid() == 0) {
        auto_free char *dev = path_join(sub, "dev"), *big = path_join(sub, "bigdev");
        assert_int_equal(mknod(dev, S_IFCHR | 0600, makedev(10, 229)), 0);
        assert_int_equal(mknod(big, S_IFBLK | 0600, makedev(259, 70000)), 0);
        assert_int_equal(chown(sub, 70000, 80000), 0);
    }
    assert_int_equal(chmod(hello, 04755), 0);
    auto_free uint8_t *value = mem_alloc(600);
    case_pattern(value, 600, 0, 9);
    assert_int_equal(setxattr(hello, "user.small", "value", 5, 0), 0);
    assert_int_equal(setxattr(hello, "user.large", value, 600, 0), 0);
    return tree;
}

/* An image of TREE by mke2fs with these words (NULL-terminated) before its name.
 * Returns its path. */
static inline char *case_image_new(const char *dir, const char *tree, const char *const *words,
                                   const char *size)
{
    char *path = path_join(dir, "image");
    auto_strv struct strv argv = { 0 };
    strv_add(&argv, "mke2fs");
    strv_add(&argv, "-qF");
    strv_add_all(&argv, words);
    strv_add(&argv, "-d");
    strv_add(&argv, tree);
    strv_add(&argv, path);
    strv_add(&argv, size);
    unlink(path);
    case_run((const char *const *)argv.v);
    return path;
}

static inline struct image_reader *case_reader_open(int fd, uint64_t offset)
{
    auto_err struct err e = { 0 };
    struct image_reader *r = NULL;
    if (image_reader_open(fd, offset, &r, &e) < 0)
        fail_msg("%s", e.msg);
    return r;
}

#endif
