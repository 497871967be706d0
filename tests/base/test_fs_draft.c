/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/draft_case.h"

/* ── as it should be ── */

static void a_draft_has_no_name_until_it_is_published(void **state)
{
    (void)state;
    {
        auto_scene struct scene s;
        begin(&s, "img");
        assert_int_equal(n_names(), 0);
        assert_int_equal(fcntl(s.draft.fd, F_GETFD), FD_CLOEXEC);
        publishes(&s, false);
        assert_int_equal(play.n_fsyncs, 2);
    }
    check_text("img", "new");
    assert_int_equal(n_names(), 1);
}

static void a_draft_that_is_dropped_leaves_nothing(void **state)
{
    (void)state;
    static const int lacks[] = { 0, EOPNOTSUPP };
    for (size_t i = 0; i < ARRAY_LEN(lacks); i++) {
        auto_scene struct scene s;
        play.no_tmpfile = lacks[i];
        begin(&s, "img");
        scene_fini(&s);
        assert_int_equal(s.draft.fd, -1);
        assert_int_equal(n_names(), 0);
    }
}

static void what_is_there_is_kept_or_replaced_as_told(void **state)
{
    (void)state;
    put("img", "old");
    auto_scene struct scene s;
    begin(&s, "img");
    assert_int_equal(publish(&s, false), -1);
    assert_int_equal(s.e.sys, EEXIST);
    check_text("img", "old");
    err_clear(&s.e);
    publishes(&s, true);
    check_text("img", "new");
    assert_int_equal(n_names(), 1);
}

static void a_link_stays_and_its_file_is_replaced(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(mkdir("d", 0755), 0);
    put("d/img", "old");
    assert_int_equal(symlink("d/img", "link"), 0);
    auto_scene struct scene s;
    begin(&s, "link");
    publishes(&s, true);
    assert_int_equal(lstat("link", &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    check_text("d/img", "new");
}

static void other_names_of_the_old_file_keep_it(void **state)
{
    (void)state;
    put("img", "old");
    assert_int_equal(link("img", "second"), 0);
    auto_scene struct scene s;
    begin(&s, "img");
    publishes(&s, true);
    check_text("img", "new");
    check_text("second", "old");
}

static void a_renamed_parent_still_gets_its_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir("d", 0755), 0);
    put("d/img", "old");
    auto_scene struct scene s;
    begin(&s, "d/img");
    assert_int_equal(rename("d", "moved"), 0);
    assert_int_equal(mkdir("d", 0755), 0);
    put("d/img", "another");
    publishes(&s, true);
    check_text("moved/img", "new");
    check_text("d/img", "another");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_draft_has_no_name_until_it_is_published),
        TEST(a_draft_that_is_dropped_leaves_nothing),
        TEST(what_is_there_is_kept_or_replaced_as_told),
        TEST(a_link_stays_and_its_file_is_replaced),
        TEST(other_names_of_the_old_file_keep_it),
        TEST(a_renamed_parent_still_gets_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
