/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BASE_DRAFT_CASE_H
#define TESTS_BASE_DRAFT_CASE_H

#include "tests/base/test.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"

/* ── what others do in the moments that count, and file systems that cannot ── */

static struct {
    void (*before_rename)(void); /* before each renameat2 */
    unsigned n_renames;
    int no_exchange; /* errno of RENAME_EXCHANGE */
    int no_noreplace;
    int no_tmpfile;
    int no_read_dir;    /* errno of opening "." to read */
    unsigned n_taken;   /* so many hidden names are taken already */
    int fsync_fails[2]; /* errno of the file's, of the directory's */
    unsigned n_fsyncs;
} play;

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    play.n_renames++;
    if (play.before_rename)
        play.before_rename();
    errno = flags & RENAME_EXCHANGE ? play.no_exchange : play.no_noreplace;
    if (flags && errno)
        return -1;
    return (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int openat(int dir_fd, const char *name, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    bool tmpfile = (flags & O_TMPFILE) == O_TMPFILE;
    errno = tmpfile ? play.no_tmpfile : strcmp(name, ".") == 0 ? play.no_read_dir : 0;
    if (errno)
        return -1;
    if ((flags & O_EXCL) && play.n_taken) {
        play.n_taken--;
        errno = EEXIST;
        return -1;
    }
    return (int)syscall(SYS_openat, dir_fd, name, flags, mode);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    if (to[0] == '.' && play.n_taken) {
        play.n_taken--;
        errno = EEXIST;
        return -1;
    }
    return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

int fsync(int fd)
{
    errno = play.fsync_fails[play.n_fsyncs++ > 0];
    return errno ? -1 : (int)syscall(SYS_fsync, fd);
}

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

static inline void check_text(const char *name, const char *want)
{
    auto_err struct err e = { 0 };
    auto_str struct str text = { 0 };
    if (fs_read_file(name, 100, &text, &e) < 0)
        fail_msg("%s", e.msg);
    assert_string_equal(text.data, want);
}

static inline unsigned n_names(void)
{
    unsigned n = 0;
    auto_dir DIR *d = opendir(".");
    while (readdir(d))
        n++;
    return n - 2;
}

static inline int setup(void **state)
{
    struct fixture *f = mem_zero(1, sizeof *f);
    memset(&play, 0, sizeof play);
    snprintf(f->top, sizeof f->top, "/tmp/hpcc-test-draft-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    f->top_fd = open(f->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fchdir(f->top_fd), 0);
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    auto_err struct err e = { 0 };
    memset(&play, 0, sizeof play);
    assert_int_equal(chdir("/"), 0);
    close(f->top_fd);
    assert_int_equal(fs_remove_tree(AT_FDCWD, f->top, &e), 0);
    free(f);
    return 0;
}

/* A place with a draft that holds "new". */
struct scene {
    struct place place;
    struct fs_draft draft;
    struct err e;
};

static inline void scene_fini(struct scene *s)
{
    fs_draft_close(&s->draft);
    place_close(&s->place);
    err_clear(&s->e);
}
#define auto_scene cleanup_with(scene_fini)

static inline void begin(struct scene *s, const char *path)
{
    *s = (struct scene){ .place = PLACE_INIT, .draft = FS_DRAFT_INIT };
    if (place_open(path, &s->place, &s->e) < 0 || fs_draft_open(&s->place, &s->draft, &s->e) < 0 ||
        s->draft.fd < 0)
        fail_msg("%s", s->e.msg);
    assert_int_equal(fs_pwrite_full(s->draft.fd, "new", 3, 0), 0);
}

static inline int publish(struct scene *s, bool replace)
{
    int rc = fs_draft_publish(&s->draft, 0755, replace, &s->e);
    assert_int_equal(rc < 0, s->e.code != ERR_NONE);
    return rc;
}

static inline void publishes(struct scene *s, bool replace)
{
    if (publish(s, replace) < 0)
        fail_msg("%s", s->e.msg);
    struct stat st;
    assert_int_equal(fstat(s->draft.fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(st.st_nlink, 1);
    assert_true(s->place.exists);
    assert_int_equal(s->place.st.st_ino, st.st_ino);
    assert_int_equal(place_check(&s->place, NULL), 0);
}

static inline void swap_file(void)
{
    if (play.n_renames > 1)
        return;
    assert_int_equal(rename("img", "away"), 0);
    put("img", "another");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
