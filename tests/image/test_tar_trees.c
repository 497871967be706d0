/* SPDX-License-Identifier: BSD-3-Clause */
/* Trees by chance through archives: image and directory export alike, an archive gives the image
 * that its directory gives, and GNU tar's archive of it does too. An argument is the number of
 * trees, a second one the first seed. */
#include "tests/image/image_case.h"
#include "tests/image/tree_random.h"

#include <sys/mman.h>

static void assert_same_files(const char *a, const char *b)
{
    const char *const argv[] = { "cmp", a, b, NULL };
    case_run(argv);
}

static struct image_pack_spec spec_for(const char *path)
{
    return (struct image_pack_spec){
        .path = path,
        .deterministic = true,
        .epoch = 10000000000,
        .mode = 0644,
        .owner_uid = -1,
        .owner_gid = -1,
        .replace = true,
    };
}

/* The archive of what is at PATH, in the file ARCHIVE. */
static void export_to(const char *path, const char *archive)
{
    auto_err struct err e = { 0 };
    struct image_info info;
    auto_close int fd = image_open(path, &info, &e);
    auto_close int out = open(archive, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || out < 0 || image_export(fd, &info, out, &e) < 0)
        fail_msg("%s: %s", path, e.msg);
}

static void import_from(const char *from, const char *image)
{
    auto_err struct err e = { 0 };
    auto_close int fd = open(from, O_RDONLY | O_CLOEXEC);
    struct image_pack_spec spec = spec_for(image);
    if (fd < 0 || image_import(fd, 0, &spec, NULL, &e) < 0)
        fail_msg("%s: %s", from, e.msg);
}

static void one_tree(const char *dir, uint64_t seed)
{
    auto_err struct err e = { 0 };
    auto_free char *tree = path_join(dir, "tree"), *image = path_join(dir, "image");
    auto_free char *again = path_join(dir, "again"), *a = path_join(dir, "a.tar");
    auto_free char *b = path_join(dir, "b.tar"), *gnu = path_join(dir, "gnu.tar");
    assert_int_equal(mkdir(tree, 0755), 0);
    tree_random_make(tree, seed, seed % 10 == 0 ? 700 : 60);
    const char *const sockets[] = { "find", tree, "-type", "s", "-delete", NULL };
    case_run(sockets); /* tar has no form for them */
    const char *const second[] = { "find",
                                   tree,
                                   "-newermt",
                                   "1969-12-31 23:59:58.9 UTC",
                                   "!",
                                   "-newermt",
                                   "1970-01-01 UTC",
                                   "-exec",
                                   "touch",
                                   "-hd",
                                   "@0",
                                   "{}",
                                   "+",
                                   NULL };
    case_run(second); /* libarchive reads -0.25 as 0.25 */
    import_from(tree, image);
    export_to(tree, a);
    export_to(image, b);
    assert_same_files(a, b);
    import_from(a, again);
    assert_same_files(image, again);
    const char *const tar[] = { "tar",
                                "-C",
                                tree,
                                "--format=pax",
                                "--sparse",
                                "--xattrs",
                                "--xattrs-include=*",
                                "--numeric-owner",
                                "-cf",
                                gnu,
                                ".",
                                NULL };
    case_run(tar);
    import_from(gnu, again);
    assert_same_files(image, again);
    assert_int_equal(fs_remove_tree(AT_FDCWD, tree, &e), 0);
}

static void archives_hold_what_directories_hold(void **state)
{
    const struct campaign *c = *state;
    auto_case_dir char *dir = case_dir_new();
    campaign_run(c, one_tree, dir);
}

int main(int argc, char **argv)
{
    struct campaign c = campaign_read(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(archives_hold_what_directories_hold, &c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
