/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/place_case.h"

/* ── finding ── */

static void check_found(const char *path, const char *dir, const char *name, bool exists)
{
    auto_place struct place p = PLACE_INIT;
    struct stat st;
    opens(path, &p);
    assert_string_equal(p.path, path);
    assert_string_equal(p.name, name);
    assert_int_equal(p.exists, exists);
    struct stat own;
    bool linked = !str_ends(path, "/") && lstat(path, &own) == 0 && S_ISLNK(own.st_mode);
    assert_int_equal(p.linked, linked || str_eq(path, "dirlink/"));
    assert_int_equal(fstat(p.dir_fd, &st), 0);
    assert_int_equal(st.st_ino, ino_of(dir));
    assert_int_equal(fcntl(p.dir_fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(p.found_fd >= 0, exists);
    if (exists) {
        assert_int_equal(fstatat(p.dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(st.st_ino, p.st.st_ino);
    }
}

static void a_place_is_a_directory_and_a_name_with_all_links_followed(void **state)
{
    const struct fixture *f = *state;
    check_found("file", ".", "file", true);
    check_found("none", ".", "none", false);
    check_found("./d//img", "d", "img", true);
    check_found("link", "d", "img", true);
    check_found("d/up", "d", "img", true);
    check_found("dangling", "d", "none", false);
    check_found("dirlink/e/../img", "d", "img", true);
    check_found("dirlink/e", "d", "e", true);
    check_found("dirlink/", ".", "d", true);
    check_found("d/e/.", "d/e", ".", true);
    check_found("d/e/..", "d", ".", true);
    check_found("/", "/", ".", true);
    auto_free char *absolute = path_join(f->top, "d/img");
    check_found(absolute, "d", "img", true);
    assert_int_equal(symlink(absolute, "absolute"), 0);
    check_found("absolute", "d", "img", true);
}

static void check_refused(const char *path, enum err_code code, int sys, const char *words)
{
    auto_err struct err e = { 0 };
    auto_place struct place p = PLACE_INIT;
    assert_int_equal(place_open(path, &p, &e), -1);
    assert_int_equal(e.code, code);
    assert_int_equal(e.sys, sys);
    if (!strstr(e.msg, words))
        fail_msg("'%s' says '%s'", path, e.msg);
    assert_int_equal(p.dir_fd, -1);
}

static void what_cannot_be_a_place_is_told(void **state)
{
    (void)state;
    check_refused("", ERR_INPUT, 0, "'' does not name a file");
    check_refused("none/x", ERR_FAILED, ENOENT,
                  "cannot find 'none/x': cannot open directory 'none'");
    check_refused("file/x", ERR_FAILED, ENOTDIR, "cannot follow 'file'");
    check_refused("loop", ERR_FAILED, ELOOP, "cannot follow 'loop'");
    check_refused("loop/x", ERR_FAILED, ELOOP, "cannot follow 'loop'");
    check_refused("file/", ERR_INPUT, 0, "'file' is no directory");
    check_refused("none/", ERR_INPUT, 0, "'none' is no directory");
    auto_free char *name = mem_alloc(301);
    memset(name, 'x', 300);
    name[300] = 0;
    check_refused(name, ERR_FAILED, ENAMETOOLONG, "cannot look at");
}

static void forty_links_are_followed_and_no_more(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_place struct place p = PLACE_INIT;
    assert_int_equal(symlink("file", "l1"), 0);
    for (unsigned i = 2; i <= 41; i++) {
        auto_free char *from = mem_printf("l%u", i - 1);
        auto_free char *name = mem_printf("l%u", i);
        assert_int_equal(symlink(from, name), 0);
    }
    opens("l40", &p);
    assert_string_equal(p.name, "file");
    check_refused("l41", ERR_FAILED, ELOOP, "cannot follow");
}

/* ── whose links ── */

enum { ROOT = 0, WE = 1000, OTHER = 1001, THIRD = 1002 };

struct link_case {
    const char *what;
    uid_t me, dir_owner, link_owner;
    mode_t dir_mode;
    nlink_t nlink;
    bool followed;
};

static const struct link_case link_cases[] = {
    { "root, in root's directory", ROOT, ROOT, OTHER, 0755, 1, true },
    { "root, in one its group may write", ROOT, ROOT, OTHER, 0775, 1, false },
    { "root, in one all may write", ROOT, ROOT, OTHER, 01777, 1, false },
    { "root, all but the group", ROOT, ROOT, OTHER, 0757, 1, false },
    { "root, a user's link in his directory", ROOT, OTHER, OTHER, 0700, 1, false },
    { "root, own link in /tmp", ROOT, ROOT, ROOT, 01777, 1, true },
    { "root, own link in a user's directory", ROOT, OTHER, ROOT, 0755, 1, true },
    { "root, own link with a second name there", ROOT, OTHER, ROOT, 0755, 2, false },
    { "root, own link with a second name in its own", ROOT, ROOT, ROOT, 0755, 2, true },
    { "a user, own link in his directory", WE, WE, WE, 0755, 1, true },
    { "a user, another's link in his directory", WE, WE, OTHER, 0755, 1, true },
    { "a user, another's link in root's directory", WE, ROOT, OTHER, 0755, 1, true },
    { "a user, root's link in /tmp", WE, ROOT, ROOT, 01777, 1, true },
    { "a user, own link in /tmp", WE, ROOT, WE, 01777, 1, true },
    { "a user, own link with a second name in /tmp", WE, ROOT, WE, 01777, 2, false },
    { "a user, another's link in /tmp", WE, ROOT, OTHER, 01777, 1, false },
    { "a user, the owner's link in a directory like /tmp", WE, OTHER, OTHER, 01777, 1, true },
    { "a user, a third one's there", WE, OTHER, THIRD, 01777, 1, false },
    { "a user, another's link in a shared directory", WE, OTHER, THIRD, 0777, 1, true },
    { "a user, another's link in a group's directory", WE, OTHER, THIRD, 01775, 1, true },
    { "a user, another's link in another's directory", WE, OTHER, OTHER, 0755, 1, true },
};

static void links_are_followed_by_who_can_lay_them(void **state)
{
    (void)state;
    paper.ino = ino_of("link");
    paper.dir_ino = ino_of(".");
    for (size_t i = 0; i < ARRAY_LEN(link_cases); i++) {
        const struct link_case *c = &link_cases[i];
        auto_err struct err e = { 0 };
        auto_place struct place p = PLACE_INIT;
        paper.me = c->me;
        paper.owner = c->link_owner;
        paper.nlink = c->nlink;
        paper.dir_owner = c->dir_owner;
        paper.dir_mode = S_IFDIR | c->dir_mode;
        int rc = place_open("link", &p, &e);
        if ((rc == 0) != c->followed)
            fail_msg("%s: %s", c->what, rc == 0 ? "followed" : e.msg);
        if (rc < 0) {
            assert_non_null(strstr(e.msg, "'link' is a symbolic link of another user"));
            assert_string_equal(e.hint, "give the path that it leads to");
        }
    }
}

static void links_on_the_way_are_judged_too(void **state)
{
    (void)state;
    paper.ino = ino_of("dirlink");
    paper.dir_ino = ino_of(".");
    paper.me = ROOT;
    paper.owner = paper.dir_owner = OTHER;
    paper.dir_mode = S_IFDIR | 0755;
    check_refused("dirlink/img", ERR_FAILED, 0, "'dirlink' is a symbolic link of another user");
}

/* ── afterwards ── */

static void the_name_is_checked_against_what_was_found(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_place struct place p = PLACE_INIT;
    auto_place struct place none = PLACE_INIT;
    opens("d/img", &p);
    assert_int_equal(place_check(&p, &e), 0);
    assert_int_equal(rename("d", "moved"), 0); /* the directory is the same under any name */
    assert_int_equal(place_check(&p, &e), 0);
    assert_int_equal(rename("moved/img", "moved/away"), 0);
    assert_int_equal(place_check(&p, &e), -1);
    assert_int_equal(e.sys, ENOENT);
    assert_int_equal(symlink("away", "moved/img"), 0);
    assert_int_equal(place_check(&p, &e), -1);
    assert_non_null(strstr(e.msg, "'d/img' was just replaced by another process"));
    opens("none", &none);
    assert_int_equal(place_check(&none, &e), 0);
    put("none", "now");
    assert_int_equal(place_check(&none, &e), -1);
    assert_int_equal(e.sys, EEXIST);
    assert_int_equal(place_look(&none, &e), 0);
    assert_true(none.exists);
    assert_int_equal(place_check(&none, &e), 0);
    assert_int_equal(unlink("none"), 0);
    assert_int_equal(place_look(&none, &e), 0);
    assert_false(none.exists);
}

static void only_what_was_found_is_opened(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_place struct place p = PLACE_INIT;
    auto_place struct place dir = PLACE_INIT;
    opens("file", &p);
    auto_close int fd = place_open_found(&p, O_RDWR, &e);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    opens("d", &dir);
    auto_close int dir_fd = place_open_found(&dir, O_RDONLY | O_DIRECTORY, &e);
    assert_true(dir_fd >= 0);
    assert_int_equal(rename("file", "away"), 0);
    assert_int_equal(place_open_found(&p, O_RDONLY, &e), -1);
    assert_int_equal(e.sys, ENOENT);
    put("file", "other");
    assert_int_equal(place_open_found(&p, O_RDONLY, &e), -1);
    assert_non_null(strstr(e.msg, "was just replaced"));
    assert_int_equal(rename("file", "other"), 0);
    assert_int_equal(symlink("away", "file"), 0); /* the right inode, by a link: no */
    assert_int_equal(place_open_found(&p, O_RDONLY, &e), -1);
    assert_non_null(strstr(e.msg, "was just replaced"));
}

static void what_is_no_file_is_not_opened(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_place struct place none = PLACE_INIT;
    auto_place struct place fifo = PLACE_INIT;
    opens("none", &none);
    assert_int_equal(place_open_found(&none, O_RDONLY, &e), -1);
    assert_int_equal(e.sys, ENOENT);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    opens("fifo", &fifo);
    assert_int_equal(place_open_found(&fifo, O_RDONLY, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    auto_place struct place p = PLACE_INIT;
    opens("file", &p);
    assert_int_equal(unlink("file"), 0); /* a FIFO that comes later is not waited for */
    assert_int_equal(mkfifo("file", 0600), 0);
    assert_int_equal(place_open_found(&p, O_RDONLY, &e), -1);
    assert_non_null(strstr(e.msg, "was just replaced"));
}

static void the_place_beside_lies_in_the_same_directory_and_follows_nothing(void **state)
{
    const struct fixture *f = *state;
    auto_err struct err e = { 0 };
    auto_place struct place p = PLACE_INIT;
    auto_place struct place log = PLACE_INIT;
    auto_place struct place other = PLACE_INIT;
    opens("link", &p);
    assert_int_equal(symlink("../file", "d/img.log"), 0);
    assert_int_equal(place_beside(&p, ".log", &log, &e), 0);
    auto_free char *told = path_join(f->top, "d/img.log"); /* where it really lies */
    assert_string_equal(log.path, told);
    assert_string_equal(log.name, "img.log");
    assert_int_not_equal(log.dir_fd, p.dir_fd);
    assert_true(log.exists);
    assert_true(S_ISLNK(log.st.st_mode));
    assert_int_equal(place_beside(&p, ".none", &other, &e), 0);
    assert_false(other.exists);
    struct place closed = PLACE_INIT;
    closed.path = closed.name = p.name;
    auto_place struct place never = PLACE_INIT;
    assert_int_equal(place_beside(&closed, ".x", &never, &e), -1);
    assert_int_equal(e.sys, EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_place_is_a_directory_and_a_name_with_all_links_followed),
        TEST(what_cannot_be_a_place_is_told),
        TEST(forty_links_are_followed_and_no_more),
        TEST(links_are_followed_by_who_can_lay_them),
        TEST(links_on_the_way_are_judged_too),
        TEST(the_name_is_checked_against_what_was_found),
        TEST(only_what_was_found_is_opened),
        TEST(what_is_no_file_is_not_opened),
        TEST(the_place_beside_lies_in_the_same_directory_and_follows_nothing),
    };
    paper.me = (uid_t)-1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
