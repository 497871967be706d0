/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/tar_case.h"

static void a_plain_archive_gives_its_tree(void **state)
{
    (void)state;
    struct str t = { 0 };
    dir(&t, "./");
    dir(&t, "./bin/");
    file(&t, "./bin/sh", "#!");
    lnk(&t, "./sh", '2', "bin/sh");
    lnk(&t, "./bin/dash", '1', "./bin/sh");
    assert_tree(&t, "/bin /bin/dash=#! /bin/sh=#! /sh->bin/sh");
}

/* B20 */
static void paths_that_climb_out_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = { "../x", "a/../../x", "..", "a/..", "/../x", "./../x" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct str t = { 0 };
        file(&t, names[i], "x");
        assert_refused(&t, "leads out of the archive's root");
    }
}

static void absolute_paths_land_inside(void **state)
{
    (void)state;
    struct str t = { 0 };
    file(&t, "/etc/passwd", "x");
    file(&t, "//a///b", "y");
    assert_tree(&t, "/a /a/b=y /etc /etc/passwd=x");
}

/* B21: CVE-2021-29136 */
static void the_root_cannot_become_a_link(void **state)
{
    (void)state;
    static const char *const names[] = { ".", "/.", "./", "/" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct str t = { 0 };
        lnk(&t, names[i], '2', "/etc");
        file(&t, "x", "x");
        assert_refused(&t, "replace the root");
    }
    struct str t = { 0 };
    lnk(&t, "..", '2', "/etc");
    assert_refused(&t, "leads out");
}

/* B22 */
static void planted_links_lead_only_inside(void **state)
{
    (void)state;
    struct str t = { 0 };
    lnk(&t, "a", '2', "/");
    file(&t, "a/etc/passwd", "x");
    assert_tree(&t, "/a->/ /etc /etc/passwd=x");
    lnk(&t, "up", '2', "../../../..");
    file(&t, "up/etc/shadow", "x");
    assert_tree(&t, "/etc /etc/shadow=x /up->../../../..");
    dir(&t, "usr/lib");
    lnk(&t, "lib", '2', "usr/lib");
    lnk(&t, "lib64", '2', "/lib/./x86");
    file(&t, "lib64/ld.so", "x");
    assert_tree(&t, "/lib->usr/lib /lib64->/lib/./x86 /usr /usr/lib /usr/lib/x86 "
                    "/usr/lib/x86/ld.so=x");
}

static void links_in_a_circle_are_refused(void **state)
{
    (void)state;
    struct str t = { 0 };
    lnk(&t, "a", '2', "b");
    lnk(&t, "b", '2', "a");
    file(&t, "a/x", "x");
    assert_refused(&t, "leads in a circle");
    lnk(&t, "s", '2', "s/s");
    file(&t, "s/x", "x");
    assert_refused(&t, "leads in a circle");
}

static void a_link_to_a_file_is_no_directory(void **state)
{
    (void)state;
    struct str t = { 0 };
    file(&t, "f", "x");
    lnk(&t, "l", '2', "f");
    file(&t, "l/x", "x");
    assert_refused(&t, "not a directory");
    file(&t, "f", "x");
    file(&t, "f/x", "x");
    assert_refused(&t, "not a directory");
}

static void a_file_replaces_a_link_instead_of_writing_through_it(void **state)
{
    (void)state;
    struct str t = { 0 };
    file(&t, "target", "old");
    lnk(&t, "l", '2', "target");
    file(&t, "l", "new");
    assert_tree(&t, "/l=new /target=old");
}

/* B23 */
static void hard_links_stay_inside(void **state)
{
    (void)state;
    struct str t = { 0 };
    lnk(&t, "h", '1', "../../etc/shadow");
    assert_refused(&t, "leads out");
    lnk(&t, "h", '1', "/etc/shadow");
    assert_refused(&t, "not there before");
    lnk(&t, "h", '1', "h");
    assert_refused(&t, "not there before");
    dir(&t, "d");
    lnk(&t, "h", '1', "d");
    assert_refused(&t, "hard link to a directory");
    lnk(&t, "h", '1', ".");
    assert_refused(&t, "not there before");
    lnk(&t, "s", '2', "/etc/shadow");
    lnk(&t, "h", '1', "s"); /* one more name of the link, not of where it leads */
    assert_tree(&t, "/h->/etc/shadow /s->/etc/shadow");
    lnk(&t, "out", '2', "/");
    file(&t, "etc/shadow", "ours");
    lnk(&t, "h", '1', "out/etc/shadow");
    assert_tree(&t, "/etc /etc/shadow=ours /h=ours /out->/");
}

/* B24 */
static void devices_and_modes_are_recorded_not_made(void **state)
{
    (void)state;
    struct str t = { 0 };
    lnk(&t, "null", '3', NULL);
    lnk(&t, "sda", '4', NULL);
    lnk(&t, "fifo", '6', NULL);
    tar_entry(&t, &(struct entry){ "su", '0', .data = "x", .mode = 06755 });
    auto_source struct source *s = import(&t, NULL);
    assert_non_null(s);
    struct source_node *n = source_find(s, s->root, "null", 4);
    assert_int_equal(n->mode, S_IFCHR | 0644);
    assert_int_equal(n->rdev_major, 1);
    assert_int_equal(n->rdev_minor, 3);
    assert_true(S_ISBLK(source_find(s, s->root, "sda", 3)->mode));
    assert_true(S_ISFIFO(source_find(s, s->root, "fifo", 4)->mode));
    assert_int_equal(source_find(s, s->root, "su", 2)->mode, S_IFREG | 06755);
    str_free(&t);
}

/* B25 */
static void whiteouts_are_names_like_others(void **state)
{
    (void)state;
    struct str t = { 0 };
    file(&t, "etc/keep", "x");
    file(&t, ".wh..", NULL);
    file(&t, ".wh./etc", NULL);
    file(&t, ".wh..wh..opq", NULL);
    assert_tree(&t, "/.wh. /.wh./etc /.wh.. /.wh..wh..opq /etc /etc/keep=x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_archive_gives_its_tree),
        cmocka_unit_test(paths_that_climb_out_are_refused),
        cmocka_unit_test(absolute_paths_land_inside),
        cmocka_unit_test(the_root_cannot_become_a_link),
        cmocka_unit_test(planted_links_lead_only_inside),
        cmocka_unit_test(links_in_a_circle_are_refused),
        cmocka_unit_test(a_link_to_a_file_is_no_directory),
        cmocka_unit_test(a_file_replaces_a_link_instead_of_writing_through_it),
        cmocka_unit_test(hard_links_stay_inside),
        cmocka_unit_test(devices_and_modes_are_recorded_not_made),
        cmocka_unit_test(whiteouts_are_names_like_others),
    };
    return cmocka_run_group_tests(tests, open_spill, close_spill);
}
