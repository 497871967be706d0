/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BASE_PLACE_CASE_H
#define TESTS_BASE_PLACE_CASE_H

#include "tests/base/test.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/place.h"

/* ── a host of paper: who we are and whom things belong to ── */

static struct {
    uid_t me;           /* -1: as it is */
    ino_t ino, dir_ino; /* of these two fstat lies: */
    uid_t owner, dir_owner;
    mode_t mode, dir_mode; /* 0: as it is */
    nlink_t nlink;         /* 0: as it is */
    bool no_random;
    unsigned n_taken;                   /* so many names are made by somebody before us */
    void (*made)(int fd, const char *); /* called when a directory was made */
} paper;

uid_t geteuid(void)
{
    return paper.me != (uid_t)-1 ? paper.me : (uid_t)syscall(SYS_geteuid);
}

int fstat(int fd, struct stat *st)
{
    if (syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH) < 0)
        return -1;
    if (paper.ino && st->st_ino == paper.ino) {
        st->st_uid = paper.owner;
        st->st_mode = paper.mode ? paper.mode : st->st_mode;
        st->st_nlink = paper.nlink ? paper.nlink : st->st_nlink;
    }
    if (paper.dir_ino && st->st_ino == paper.dir_ino) {
        st->st_uid = paper.dir_owner;
        st->st_mode = paper.dir_mode;
    }
    return 0;
}

ssize_t getrandom(void *buf, size_t len, unsigned flags)
{
    if (!paper.no_random)
        return syscall(SYS_getrandom, buf, len, flags);
    errno = ENOSYS;
    return -1;
}

int mkdirat(int dir_fd, const char *name, mode_t mode)
{
    if (paper.n_taken) {
        paper.n_taken--;
        errno = EEXIST;
        return -1;
    }
    int rc = (int)syscall(SYS_mkdirat, dir_fd, name, mode);
    if (rc == 0 && paper.made)
        paper.made(dir_fd, name);
    return rc;
}

/* A directory to work in, which is the working directory meanwhile. */
struct fixture {
    char top[64];
    int top_fd;
};

static inline void put(const char *name, const char *text)
{
    auto_close int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_full(fd, text, strlen(text)), 0);
}

static inline ino_t ino_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_ino;
}

static inline int setup(void **state)
{
    struct fixture *f = mem_zero(1, sizeof *f);
    memset(&paper, 0, sizeof paper);
    paper.me = (uid_t)-1;
    snprintf(f->top, sizeof f->top, "/tmp/hpcc-test-place-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    f->top_fd = open(f->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fchdir(f->top_fd), 0);
    assert_int_equal(mkdir("d", 0755), 0);
    assert_int_equal(mkdir("d/e", 0755), 0);
    put("file", "file");
    put("d/img", "img");
    assert_int_equal(symlink("d/img", "link"), 0);
    assert_int_equal(symlink("d", "dirlink"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(symlink("d/none", "dangling"), 0);
    assert_int_equal(symlink("../link", "d/up"), 0);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    auto_err struct err e = { 0 };
    memset(&paper, 0, sizeof paper);
    paper.me = (uid_t)-1;
    assert_int_equal(chdir("/"), 0);
    close(f->top_fd);
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->top, &e), 0);
    free(f);
    return 0;
}

static inline void opens(const char *path, struct place *p)
{
    auto_err struct err e = { 0 };
    if (place_open(path, p, &e) < 0)
        fail_msg("'%s': %s", path, e.msg);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
