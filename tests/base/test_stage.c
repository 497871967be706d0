/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/stage.h"

/* ── a host of paper: what happens right after our calls, and what they answer ── */

static struct {
    unsigned n_taken;                /* so many names exist already */
    unsigned n_gone;                 /* so many directories are swept as soon as they are made */
    void (*made)(int, const char *); /* called when a directory was made */
    int flock_errno;                 /* 0: as it is */
    unsigned n_flocks;               /* so many locks fail */
    void (*locked)(void);            /* called after each lock that was taken */
    ino_t theirs;                    /* this one belongs to another user */
    unsigned n_mkdirs;
} paper;

static int dir_fd = -1;
static char top[64];

int mkdirat(int fd, const char *name, mode_t mode)
{
    paper.n_mkdirs++;
    errno = EEXIST;
    if (paper.n_taken && paper.n_taken--)
        return -1;
    int rc = (int)syscall(SYS_mkdirat, fd, name, mode);
    if (rc == 0 && paper.n_gone && paper.n_gone--)
        return unlinkat(fd, name, AT_REMOVEDIR);
    if (rc == 0 && paper.made)
        paper.made(fd, name);
    return rc;
}

int flock(int fd, int how)
{
    if (paper.n_flocks && paper.n_flocks--) {
        errno = paper.flock_errno;
        return -1;
    }
    int rc = (int)syscall(SYS_flock, fd, how);
    if (rc == 0 && paper.locked)
        paper.locked();
    return rc;
}

int fstat(int fd, struct stat *st)
{
    if (syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH) < 0)
        return -1;
    if (paper.theirs && st->st_ino == paper.theirs)
        st->st_uid = geteuid() + 1;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    memset(&paper, 0, sizeof paper);
    snprintf(top, sizeof top, "/tmp/hpcc-test-stage-XXXXXX");
    assert_non_null(mkdtemp(top));
    dir_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir_fd < 0;
}

static int teardown(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    memset(&paper, 0, sizeof paper);
    close(dir_fd);
    return fs_remove_tree(AT_FDCWD, top, &e);
}

static void plan(struct stage *s)
{
    auto_err struct err e = { 0 };
    const struct stage_spec spec = { dir_fd, "there", "img", PLACE_STAGE };
    assert_int_equal(stage_plan(&spec, s, &e), 0);
}

static void make(struct stage *s)
{
    auto_err struct err e = { 0 };
    if (stage_make(s, &e) < 0)
        fail_msg("%s", e.msg);
}

static bool there(const char *name)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

#define auto_stage cleanup_with(stage_fini)

/* ── making ── */

static void a_stage_is_new_ours_and_locked(void **state)
{
    (void)state;
    auto_stage struct stage s = STAGE_INIT, t = STAGE_INIT;
    struct stat st;
    plan(&s);
    plan(&t);
    assert_true(str_starts(s.name, ".img.hpcc-stage-"));
    assert_string_not_equal(s.name, t.name);
    assert_int_equal(s.fd, -1);
    assert_int_equal(fcntl(s.at.dir_fd, F_GETFD), FD_CLOEXEC);
    assert_int_not_equal(s.at.dir_fd, dir_fd);
    make(&s);
    assert_int_equal(fstat(s.fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(fcntl(s.fd, F_GETFD), FD_CLOEXEC);
    auto_close int again = openat(dir_fd, s.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(again, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(errno, EWOULDBLOCK);
}

static void a_directory_that_cannot_be_kept_is_told(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_stage struct stage s = STAGE_INIT;
    const struct stage_spec spec = { -1, "there", "img", PLACE_STAGE };
    assert_int_equal(stage_plan(&spec, &s, &e), -1);
    assert_string_equal(e.msg, "cannot open the directory 'there': Bad file descriptor");
    assert_null(s.name);
    assert_int_equal(stage_remove(&s, &e), 0); /* there is none yet */
}

static void a_name_that_exists_is_never_accepted(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_stage struct stage s = STAGE_INIT;
    plan(&s);
    assert_int_equal(mkdirat(dir_fd, s.name, 0700), 0);
    assert_int_equal(stage_make(&s, &e), -1);
    assert_int_equal(e.sys, EEXIST);
    assert_string_equal(e.msg, "cannot make a directory of our own in 'there': File exists");
    assert_int_equal(paper.n_mkdirs, 2);
    assert_int_equal(s.fd, -1);
}

static void open_it(int fd, const char *name)
{
    assert_int_equal(fchmodat(fd, name, 0750, 0), 0);
}

static void give_it_away(int fd, const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(fd, name, &st, 0), 0);
    paper.theirs = st.st_ino;
}

static void link_it(int fd, const char *name)
{
    assert_int_equal(unlinkat(fd, name, AT_REMOVEDIR), 0);
    assert_int_equal(symlinkat("/", fd, name), 0);
}

static void a_directory_that_was_exchanged_is_not_accepted(void **state)
{
    (void)state;
    static void (*const tricks[])(int, const char *) = { open_it, give_it_away, link_it };
    static const int code[] = { EPERM, EPERM, ENOTDIR };
    for (size_t i = 0; i < ARRAY_LEN(tricks); i++) {
        auto_err struct err e = { 0 };
        auto_stage struct stage s = STAGE_INIT;
        plan(&s);
        paper.made = tricks[i];
        paper.n_mkdirs = 0;
        assert_int_equal(stage_make(&s, &e), -1);
        assert_int_equal(e.sys, code[i]);
        assert_int_equal(paper.n_mkdirs, 1);
        assert_int_equal(s.fd, -1);
    }
}

static void one_that_is_swept_at_once_is_made_again(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_stage struct stage s = STAGE_INIT;
    plan(&s);
    paper.n_gone = 2;
    make(&s);
    assert_int_equal(paper.n_mkdirs, 3);
    auto_stage struct stage t = STAGE_INIT;
    plan(&t);
    paper.n_gone = 3;
    assert_int_equal(stage_make(&t, &e), -1);
    assert_int_equal(e.sys, ENOENT);
}

static struct stage *in_hand;

static void sweep_it(void)
{
    paper.locked = NULL;
    assert_int_equal(unlinkat(dir_fd, in_hand->name, AT_REMOVEDIR), 0);
}

static void one_that_is_swept_while_it_is_locked_is_made_again(void **state)
{
    (void)state;
    auto_stage struct stage s = STAGE_INIT;
    plan(&s);
    in_hand = &s;
    paper.locked = sweep_it;
    make(&s);
    assert_int_equal(paper.n_mkdirs, 2);
    assert_true(there(s.name));
}

static int held = -1;

static void hold_it(int fd, const char *name) /* a sweep has it, and removes it a moment later */
{
    paper.made = NULL;
    held = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(held, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(unlinkat(fd, name, AT_REMOVEDIR), 0);
    assert_int_equal((int)syscall(SYS_mkdirat, fd, "x", 0700), 0);
}

static void one_that_a_sweep_has_locked_is_made_again(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_stage struct stage s = STAGE_INIT;
    plan(&s);
    paper.made = hold_it;
    make(&s);
    close(held);
    auto_stage struct stage t = STAGE_INIT;
    plan(&t);
    paper.n_flocks = 1;
    paper.flock_errno = EWOULDBLOCK; /* and it stays there: the name is taken then */
    assert_int_equal(stage_make(&t, &e), -1);
    assert_int_equal(e.sys, EEXIST);
}

static void where_there_are_no_locks_it_is_made_all_the_same(void **state)
{
    (void)state;
    auto_stage struct stage s = STAGE_INIT;
    plan(&s);
    paper.n_flocks = 1;
    paper.flock_errno = ENOLCK;
    make(&s);
    assert_true(s.fd >= 0);
}

/* ── removing ── */

static void fill(const struct stage *s)
{
    assert_int_equal(mkdirat(s->fd, "d", 0700), 0);
    auto_close int fd = openat(s->fd, "d/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(symlinkat("/etc/passwd", s->fd, "link"), 0);
    assert_int_equal(fchmodat(s->fd, "d", 0, 0), 0);
}

static void it_goes_with_all_it_holds(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_stage struct stage s = STAGE_INIT;
    plan(&s);
    make(&s);
    fill(&s);
    assert_int_equal(fchmod(s.fd, 0500), 0);
    assert_int_equal(stage_remove(&s, &e), 0);
    assert_false(there(s.name));
}

static void renamed_it_is_emptied_and_what_has_its_name_stays(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_stage struct stage s = STAGE_INIT;
    plan(&s);
    make(&s);
    fill(&s);
    assert_int_equal(renameat(dir_fd, s.name, dir_fd, "gone"), 0);
    assert_int_equal(mkdirat(dir_fd, s.name, 0700), 0);
    assert_int_equal(stage_remove(&s, &e), -1);
    assert_true(strstr(e.msg, "which is empty now") != NULL);
    assert_true(str_starts(e.msg, "'there/.img.hpcc-stage-"));
    assert_true(there(s.name));
    assert_int_equal(unlinkat(dir_fd, "gone", AT_REMOVEDIR), 0);
}

static void another_process_finds_it_by_its_name(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_stage struct stage s = STAGE_INIT;
    plan(&s);
    assert_int_equal(stage_remove(&s, &e), 0); /* none was made */
    make(&s);
    fill(&s);
    cleanup_fd(&s.fd); /* the one that made it is dead */
    s.fd = -1;
    paper.n_flocks = 2;
    paper.flock_errno = EINTR; /* waits on */
    assert_int_equal(stage_remove(&s, &e), 0);
    assert_int_equal(paper.n_flocks, 0);
    assert_false(there(s.name));
}

static void what_is_not_ours_is_not_removed_by_its_name(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_stage struct stage s = STAGE_INIT;
    plan(&s);
    assert_int_equal(mkdirat(dir_fd, s.name, 0755), 0);
    assert_int_equal(stage_remove(&s, &e), -1);
    assert_int_equal(e.sys, EPERM);
    assert_true(there(s.name));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_stage_is_new_ours_and_locked),
        TEST(a_directory_that_cannot_be_kept_is_told),
        TEST(a_name_that_exists_is_never_accepted),
        TEST(a_directory_that_was_exchanged_is_not_accepted),
        TEST(one_that_is_swept_at_once_is_made_again),
        TEST(one_that_is_swept_while_it_is_locked_is_made_again),
        TEST(one_that_a_sweep_has_locked_is_made_again),
        TEST(where_there_are_no_locks_it_is_made_all_the_same),
        TEST(it_goes_with_all_it_holds),
        TEST(renamed_it_is_emptied_and_what_has_its_name_stays),
        TEST(another_process_finds_it_by_its_name),
        TEST(what_is_not_ours_is_not_removed_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
