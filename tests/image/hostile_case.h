/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_HOSTILE_CASE_H
#define TESTS_IMAGE_HOSTILE_CASE_H

/* A small sound image that a test damages at one place. Every test begins with the sound one, so
 * that what is refused is refused for the damage and nothing else. */
#include "tests/image/image_case.h"

#include <unistd.h>

enum { SB = 1024, DESC = 2048, BS = 1024 };

struct patient {
    char *dir, *path;
    int fd;
    uint32_t inode_bytes;
};

static inline uint32_t get32(const struct patient *p, uint64_t at)
{
    uint32_t v;
    assert_int_equal(pread(p->fd, &v, 4, (off_t)at), 4);
    return v;
}

static inline uint16_t get16(const struct patient *p, uint64_t at)
{
    uint16_t v;
    assert_int_equal(pread(p->fd, &v, 2, (off_t)at), 2);
    return v;
}

static inline void put32(const struct patient *p, uint64_t at, uint32_t v)
{
    assert_int_equal(pwrite(p->fd, &v, 4, (off_t)at), 4);
}

static inline void put16(const struct patient *p, uint64_t at, uint16_t v)
{
    assert_int_equal(pwrite(p->fd, &v, 2, (off_t)at), 2);
}

static inline void put8(const struct patient *p, uint64_t at, uint8_t v)
{
    assert_int_equal(pwrite(p->fd, &v, 1, (off_t)at), 1);
}

static inline void patient_fini(struct patient *p)
{
    if (p->fd >= 0)
        close(p->fd);
    free(p->path);
    if (p->dir)
        case_dir_free(p->dir);
}
#define auto_patient cleanup_with(patient_fini)

/* 600 blocks of 1 KiB with a few files, made with WORDS of mke2fs. */
static inline void patient_init(struct patient *p, const char *const *words)
{
    p->dir = case_dir_new();
    auto_free char *tree = path_join(p->dir, "tree"), *sub = path_join(tree, "sub");
    auto_free char *deep = path_join(sub, "deep"), *fast = path_join(tree, "fast");
    auto_free char *slow = path_join(tree, "slow"), *hello = path_join(tree, "hello");
    char target[200];
    memset(target, 't', sizeof target);
    target[199] = '\0';
    assert_int_equal(mkdir(tree, 0755), 0);
    assert_int_equal(mkdir(sub, 0755), 0);
    assert_int_equal(mkdir(deep, 0755), 0);
    case_file(tree, "hello", "hello\n", 6);
    case_pattern_file(tree, "file", 40000, 3);
    assert_int_equal(symlink("sub/deep", fast), 0);
    assert_int_equal(symlink(target, slow), 0);
    assert_int_equal(setxattr(hello, "user.one", "first", 5, 0), 0);
    assert_int_equal(setxattr(hello, "user.two", target, 190, 0), 0);
    p->path = case_image_new(p->dir, tree, words, "600");
    p->fd = open(p->path, O_RDWR | O_CLOEXEC);
    assert_true(p->fd >= 0);
    p->inode_bytes = get16(p, SB + 88);
}

static inline void patient_ext2(struct patient *p)
{
    patient_init(p, (const char *[]){ "-t", "ext2", "-b", "1024", "-I", "128", "-N", "64", NULL });
}

/* Byte offset of inode INO, of the group 0. */
static inline uint64_t inode_at(const struct patient *p, uint32_t ino)
{
    return (uint64_t)get32(p, DESC + 8) * BS + (uint64_t)(ino - 1) * p->inode_bytes;
}

static inline uint32_t ino_of(const struct patient *p, const char *path)
{
    uint32_t ino = 0;
    auto_image_reader struct image_reader *r = case_reader_open(p->fd, 0);
    assert_int_equal(image_read_path(r, path, false, &ino), 0);
    return ino;
}

/* Byte offset of the entry NAME in the first block of the directory DIR. */
static inline uint64_t dirent_at(const struct patient *p, const char *dir, const char *name)
{
    uint64_t start = (uint64_t)get32(p, inode_at(p, ino_of(p, dir)) + 40) * BS;
    char have[256] = "";
    for (uint64_t at = start; at < start + BS; at += get16(p, at + 4)) {
        uint8_t len;
        assert_int_equal(pread(p->fd, &len, 1, (off_t)at + 6), 1);
        assert_int_equal(pread(p->fd, have, len, (off_t)at + 8), len);
        have[len] = '\0';
        if (str_eq(have, name))
            return at;
    }
    fail_msg("no entry '%s'", name);
    return 0;
}

/* Opening is refused with these words and a hint. */
static inline void refused(const struct patient *p, const char *words)
{
    auto_err struct err e = { 0 };
    auto_image_reader struct image_reader *r = NULL;
    if (image_reader_open(p->fd, 0, &r, &e) == 0)
        fail_msg("opens, though it should be refused with '%s'", words);
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, words))
        fail_msg("'%s' does not say '%s'", e.msg, words);
}

static inline void accepted(const struct patient *p)
{
    auto_image_reader struct image_reader *r = case_reader_open(p->fd, 0);
    assert_non_null(r);
}

#endif
