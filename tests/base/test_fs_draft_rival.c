/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/draft_case.h"

/* ── as others would have it ── */

static void a_file_that_appears_meanwhile_stays(void **state)
{
    (void)state;
    static const int lacks[] = { 0, EOPNOTSUPP };
    for (size_t i = 0; i < ARRAY_LEN(lacks); i++)
        for (int replace = 0; replace < 2; replace++) {
            auto_scene struct scene s;
            play.no_tmpfile = lacks[i];
            play.no_noreplace = replace ? EINVAL : 0;
            begin(&s, "img");
            put("img", "another");
            assert_int_equal(publish(&s, replace), -1);
            assert_int_equal(s.e.sys, EEXIST);
            check_text("img", "another");
            scene_fini(&s);
            assert_int_equal(unlink("img"), 0);
            assert_int_equal(n_names(), 0);
        }
}

static void swap_link(void)
{
    if (play.n_renames > 1)
        return;
    assert_int_equal(rename("img", "away"), 0);
    assert_int_equal(symlink("victim", "img"), 0);
}

static void swap_dir(void)
{
    if (play.n_renames > 1)
        return;
    assert_int_equal(rename("img", "away"), 0);
    assert_int_equal(mkdir("img", 0755), 0);
}

static void take_away(void)
{
    if (play.n_renames == 1)
        assert_int_equal(rename("img", "away"), 0);
}

static void (*const swaps[])(void) = { swap_file, swap_link, swap_dir, take_away };

/* In the very moment before the exchange, after every look that could be taken. */
static void another_file_in_its_place_stays_whatever_it_is(void **state)
{
    (void)state;
    static const mode_t kinds[] = { S_IFREG, S_IFLNK, S_IFDIR, 0 };
    for (size_t i = 0; i < ARRAY_LEN(swaps); i++) {
        struct stat st;
        put("img", "old");
        put("victim", "root's");
        auto_scene struct scene s;
        begin(&s, "img");
        play.n_renames = 0;
        play.before_rename = swaps[i];
        assert_int_equal(publish(&s, true), -1);
        play.before_rename = NULL;
        assert_true(kinds[i] ? strstr(s.e.msg, "'img' was just replaced") != NULL
                             : s.e.sys == ENOENT);
        check_text("away", "old");
        check_text("victim", "root's");
        assert_int_equal(lstat("img", &st), kinds[i] ? 0 : -1);
        if (kinds[i])
            assert_int_equal(st.st_mode & S_IFMT, kinds[i]);
        scene_fini(&s);
        assert_int_equal(n_names(), kinds[i] ? 3 : 2);
        assert_int_equal(fs_remove_tree(AT_FDCWD, "img", NULL), 0);
        assert_int_equal(unlink("away"), 0);
    }
}

static void swap_twice(void)
{
    if (play.n_renames == 1)
        swap_file();
    else if (play.n_renames == 2) { /* ours has the name for a moment */
        put("third", "a third one");
        assert_int_equal(rename("third", "img"), 0);
    }
}

static void who_swaps_twice_loses_nothing_either(void **state)
{
    (void)state;
    put("img", "old");
    auto_scene struct scene s;
    begin(&s, "img");
    play.n_renames = 0;
    play.before_rename = swap_twice;
    assert_int_equal(publish(&s, true), -1);
    play.before_rename = NULL;
    check_text("img", "another");
    check_text("away", "old");
    const char *kept = strstr(s.e.hint, ".img.hpcc-new-");
    assert_non_null(kept);
    auto_free char *name = mem_strndup(kept, strlen(".img.hpcc-new-") + 16);
    check_text(name, "a third one");
    scene_fini(&s);
    check_text(name, "a third one");
}

static void steal_draft(void)
{
    if (play.n_renames > 1)
        return;
    auto_dir DIR *d = opendir(".");
    struct dirent *de;
    while ((de = readdir(d)))
        if (str_starts(de->d_name, ".img.hpcc-new-")) {
            put("forged", "forged");
            assert_int_equal(rename("forged", de->d_name), 0);
            return;
        }
    fail_msg("no draft");
}

static void what_took_the_drafts_hidden_name_is_not_published(void **state)
{
    (void)state;
    put("img", "old");
    auto_scene struct scene s;
    begin(&s, "img");
    play.n_renames = 0;
    play.before_rename = steal_draft;
    assert_int_equal(publish(&s, true), -1);
    play.before_rename = NULL;
    check_text("img", "old");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_appears_meanwhile_stays),
        TEST(another_file_in_its_place_stays_whatever_it_is),
        TEST(who_swaps_twice_loses_nothing_either),
        TEST(what_took_the_drafts_hidden_name_is_not_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
