/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/draft_case.h"

/* ── file systems that cannot ── */

static void without_exchange_the_name_is_looked_at_before_the_rename(void **state)
{
    (void)state;
    static const int errors[] = { EINVAL, ENOSYS };
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        play.no_exchange = errors[i];
        put("img", "old");
        auto_scene struct scene s;
        begin(&s, "img");
        publishes(&s, true);
        check_text("img", "new");
        scene_fini(&s);
        begin(&s, "img");
        play.n_renames = 0;
        play.before_rename = swap_file;
        assert_int_equal(publish(&s, true), -1);
        play.before_rename = NULL;
        check_text("img", "another");
        check_text("away", "new");
        scene_fini(&s);
        assert_int_equal(n_names(), 2);
        assert_int_equal(unlink("away"), 0);
    }
    play.no_exchange = EPERM;
    auto_scene struct scene s;
    begin(&s, "img");
    assert_int_equal(publish(&s, true), -1);
    assert_int_equal(s.e.sys, EPERM);
    check_text("img", "another");
}

static void without_nameless_files_the_draft_is_hidden_and_locked(void **state)
{
    (void)state;
    static const int errors[] = { EOPNOTSUPP, EISDIR, ENOENT, EINVAL };
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        play.no_tmpfile = errors[i];
        auto_scene struct scene s;
        begin(&s, "img");
        assert_non_null(s.draft.temp);
        auto_close int fd = open(s.draft.temp, O_RDONLY | O_CLOEXEC);
        assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
        publishes(&s, i > 0);
        assert_null(s.draft.temp);
        assert_int_equal(n_names(), 1);
    }
    play.no_tmpfile = 0;
    play.no_noreplace = EINVAL;
    assert_int_equal(unlink("img"), 0);
    play.no_tmpfile = EOPNOTSUPP;
    auto_scene struct scene s;
    begin(&s, "img");
    publishes(&s, false);
    assert_int_equal(n_names(), 1);
}

static void a_directory_that_cannot_be_written_is_told(void **state)
{
    (void)state;
    auto_place struct place p = PLACE_INIT;
    auto_err struct err e = { 0 };
    auto_draft struct fs_draft d = FS_DRAFT_INIT;
    assert_int_equal(place_open("img", &p, &e), 0);
    play.no_tmpfile = EACCES;
    assert_int_equal(fs_draft_open(&p, &d, &e), -1);
    assert_int_equal(e.sys, EACCES);
    assert_non_null(strstr(e.msg, "cannot make a new file beside 'img'"));
    play.no_tmpfile = EOPNOTSUPP;
    play.n_taken = 100;
    assert_int_equal(fs_draft_open(&p, &d, &e), -1);
    assert_int_equal(e.sys, EEXIST);
    assert_int_equal(n_names(), 0);
}

static void hidden_names_that_are_taken_do_not_stop_us(void **state)
{
    (void)state;
    put("img", "old");
    auto_scene struct scene s;
    begin(&s, "img");
    play.n_taken = 8;
    publishes(&s, true);
    scene_fini(&s);
    begin(&s, "img");
    play.n_taken = 9;
    assert_int_equal(publish(&s, true), -1);
    assert_int_equal(s.e.sys, EEXIST);
    check_text("img", "new");
    scene_fini(&s);
    play.no_tmpfile = EOPNOTSUPP;
    play.n_taken = 8;
    begin(&s, "img");
    publishes(&s, true);
}

static void a_failed_sync_is_an_error(void **state)
{
    (void)state;
    auto_scene struct scene s;
    begin(&s, "img");
    play.fsync_fails[0] = EIO;
    assert_int_equal(publish(&s, false), -1);
    assert_int_equal(n_names(), 0); /* of the file: it is not published */
    err_clear(&s.e);
    play.n_fsyncs = 0;
    play.fsync_fails[0] = 0;
    play.fsync_fails[1] = EIO;
    assert_int_equal(publish(&s, false), -1);
    assert_non_null(strstr(s.e.msg, "cannot sync the directory of 'img'"));
    err_clear(&s.e);
    scene_fini(&s);
    begin(&s, "other");
    play.n_fsyncs = 0;
    play.fsync_fails[1] = EINVAL; /* there are no syncs of directories here */
    publishes(&s, false);
}

static void a_directory_that_cannot_be_read_is_not_synced(void **state)
{
    (void)state;
    auto_scene struct scene s;
    begin(&s, "img");
    play.no_read_dir = EACCES;
    publishes(&s, false);
    scene_fini(&s);
    play.no_read_dir = 0;
    begin(&s, "other");
    play.no_read_dir = EIO;
    assert_int_equal(publish(&s, false), -1);
    assert_int_equal(s.e.sys, EIO);
}

static void a_dead_writers_draft_is_swept(void **state)
{
    (void)state;
    put(".img.hpcc-new-1", "dead");
    auto_scene struct scene s;
    begin(&s, "img");
    assert_int_equal(n_names(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_exchange_the_name_is_looked_at_before_the_rename),
        TEST(without_nameless_files_the_draft_is_hidden_and_locked),
        TEST(a_directory_that_cannot_be_written_is_told),
        TEST(hidden_names_that_are_taken_do_not_stop_us),
        TEST(a_failed_sync_is_an_error),
        TEST(a_directory_that_cannot_be_read_is_not_synced),
        TEST(a_dead_writers_draft_is_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
