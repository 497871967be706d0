/* SPDX-License-Identifier: BSD-3-Clause */
/* Trees by chance through image_pack, then held against what the kernel shows of the image, what
 * our reader makes of it, and what is left after a resize. An argument is the number of trees, a
 * second one the first seed: tests/long/image-differential.sh runs a thousand. */
#include "tests/image/tree_compare.h"
#include "tests/image/tree_random.h"
#include "tests/image/by_path.h"

#include <sched.h>
#include <sys/mount.h>

static void assert_clean(const char *img)
{
    auto_err struct err e = { 0 };
    if (check_path(img, &e) < 0) /* runs e2fsck -fn too */
        fail_msg("%s", e.msg);
}

static void assert_unpacks_equal(const char *dir, const char *img, const char *tree)
{
    auto_err struct err e = { 0 };
    auto_free char *out = path_join(dir, "unpacked");
    assert_int_equal(mkdir(out, 0755), 0);
    struct image_info info;
    auto_close int fd = image_open(img, &info, &e);
    auto_close int out_fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || image_unpack(fd, &info, out_fd, &e) < 0)
        fail_msg("%s", e.msg);
    tree_assert_equal(tree, out, false);
    assert_int_equal(fs_remove_tree(AT_FDCWD, out, &e), 0);
}

static void assert_mounts_equal(const char *dir, const char *img, const char *tree)
{
    auto_err struct err e = { 0 };
    char name[32];
    auto_free char *at = path_join(dir, "mnt");
    auto_close int fd = open(img, O_RDONLY | O_CLOEXEC);
    auto_close int loop =
        image_loop_attach(&(struct image_loop_spec){ .fd = fd, .read_only = true }, name, &e);
    if (loop < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(mkdir(at, 0755), 0);
    if (mount(name, at, "ext3", MS_RDONLY, "noload") < 0)
        fail_msg("cannot mount %s: %s", name, strerror(errno));
    assert_true(tree_assert_equal(tree, at, true) > 10); /* there was something to compare */
    assert_int_equal(umount2(at, MNT_DETACH), 0);
    assert_int_equal(rmdir(at), 0);
}

static void one_tree(const char *dir, uint64_t seed)
{
    auto_err struct err e = { 0 };
    auto_free char *tree = path_join(dir, "tree"), *img = path_join(dir, "image");
    assert_int_equal(mkdir(tree, 0755), 0);
    tree_random_make(tree, seed, seed % 10 == 0 ? 700 : 60);
    auto_close int tree_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct image_pack_spec spec = {
        .path = img, .rootfs_fd = tree_fd, .mode = 0755, .owner_uid = -1, .owner_gid = -1
    };
    if (image_pack(&spec, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    assert_clean(img);
    assert_mounts_equal(dir, img, tree);
    assert_unpacks_equal(dir, img, tree);
    if (shrink_path(img, 0, &e) < 0 || expand_path(img, 300 << 20, &e) < 0)
        fail_msg("%s", e.msg);
    assert_clean(img);
    assert_mounts_equal(dir, img, tree);
    assert_int_equal(unlink(img), 0);
    assert_int_equal(fs_remove_tree(AT_FDCWD, tree, &e), 0);
}

static void packed_trees_are_what_they_were(void **state)
{
    const struct campaign *c = *state;
    if (geteuid() != 0)
        skip();
    /* A mount namespace of our own: nothing stays mounted when a comparison fails. */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        skip();
    auto_case_dir char *dir = case_dir_new();
    campaign_run(c, one_tree, dir);
}

int main(int argc, char **argv)
{
    struct campaign c = campaign_read(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(packed_trees_are_what_they_were, &c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
