/* SPDX-License-Identifier: BSD-3-Clause */
/* Random trees in images of random shape: the reader sees what the kernel's own mount shows (what
 * the tree itself shows, without root). 20 images, or: test_reader_random COUNT SEED. */
#include "tests/image/tree_case.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>

static uint64_t state_of_dice;
static unsigned count = 20;

static unsigned dice(unsigned sides)
{
    state_of_dice = state_of_dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state_of_dice >> 33) % sides;
}

static void random_name(char *name, unsigned serial)
{
    unsigned len = dice(20) == 0 ? 200 + dice(50) : 1 + dice(20);
    int at = snprintf(name, 256, "%u", serial);
    for (unsigned i = 0; i < len && at < 255; i++) {
        char c = (char)(1 + dice(255));
        name[at++] = c == '/' ? '_' : c;
    }
    name[at] = '\0';
}

static void random_file(const char *path)
{
    static const unsigned sizes[] = { 0, 1, 60, 1000, 5000, 40000, 300000 };
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    uint64_t at = 0;
    for (unsigned pieces = dice(6) ? 1 : 12; pieces > 0; pieces--) {
        unsigned len = dice(sizes[dice(ARRAY_LEN(sizes))] + 1);
        auto_free uint8_t *buf = mem_alloc(len + 1);
        case_pattern(buf, len, at, dice(256));
        assert_int_equal(fs_pwrite_full(fd, buf, len, at), 0);
        at += len + (pieces > 1 ? dice(1 << (4 + dice(18))) : 0);
    }
    if (dice(8) == 0)
        assert_int_equal(ftruncate(fd, (off_t)(at + dice(1 << 22))), 0);
}

static void random_xattrs(const char *path)
{
    char value[300];
    memset(value, 'v', sizeof value);
    for (unsigned n = dice(4); n > 0; n--) {
        auto_free char *name = mem_printf("user.%u-%u", dice(1000), dice(10));
        /* a small file system may have no room for more: the tree then simply has fewer */
        if (setxattr(path, name, value, dice(150), 0) < 0 && errno != ENOSPC)
            fail_msg("setxattr: %d", errno);
    }
}

static void random_tree(const char *tree)
{
    auto_strv struct strv dirs = { 0 }, files = { 0 };
    strv_add(&dirs, tree);
    assert_int_equal(mkdir(tree, 0755), 0);
    for (unsigned i = 0, n = 5 + dice(60); i < n; i++) {
        char name[256], target[700];
        random_name(name, i);
        auto_free char *path = path_join(dirs.v[dice((unsigned)dirs.n)], name);
        struct timespec times[2] = { { dice(INT32_MAX), 0 },
                                     { dice(INT32_MAX), dice(1000000000) } };
        switch (dice(8)) {
        case 0:
        case 1:
            assert_int_equal(mkdir(path, 0700 | dice(0100)), 0);
            if (strlen(path) < 1500)
                strv_add(&dirs, path);
            break;
        case 2:
            memset(target, 't', sizeof target);
            target[1 + dice(dice(3) ? 70 : 698)] = '\0';
            assert_int_equal(symlink(target, path), 0);
            break;
        case 3:
            if (files.n && link(files.v[dice((unsigned)files.n)], path) == 0)
                break;
            /* fall through */
        default:
            random_file(path);
            random_xattrs(path);
            strv_add(&files, path);
            assert_int_equal(chmod(path, dice(010000)), 0);
        }
        assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
    }
    if (dice(3) == 0)
        for (unsigned i = 0, n = dice(500); i < n; i++) {
            auto_free char *path = mem_printf("%s/many-%u", dirs.v[dirs.n - 1], i * 7919);
            case_file("", path, "", 0);
        }
}

/* Words for mke2fs: a random shape. */
static void random_shape(struct strv *words)
{
    static const char *const types[] = { "ext2", "ext3", "ext4" };
    static const char *const blocks[] = { "1024", "2048", "4096" };
    static const char *const inodes[] = { "128", "256", "512", "1024" };
    static const char *const features[] = { "dir_index",     "^dir_index",
                                            "sparse_super",  "^sparse_super,^resize_inode",
                                            "^resize_inode", "filetype",
                                            "^filetype",     "flex_bg",
                                            "^large_file" };
    static const char *const more[] = { "^metadata_csum",
                                        "metadata_csum",
                                        "^64bit,^metadata_csum",
                                        "uninit_bg,^metadata_csum",
                                        "^huge_file",
                                        "^extents,^64bit",
                                        "meta_bg,^resize_inode",
                                        "^flex_bg",
                                        "sparse_super2,^resize_inode",
                                        "^has_journal",
                                        "quota" };
    unsigned type = dice(3);
    strv_add(words, "-t");
    strv_add(words, types[type]);
    strv_add(words, "-b");
    strv_add(words, blocks[dice(3)]);
    strv_add(words, "-I");
    strv_add(words, inodes[dice(4)]);
    strv_add(words, "-O");
    strv_add(words, type == 2 ? more[dice(ARRAY_LEN(more))] : features[dice(ARRAY_LEN(features))]);
    if (dice(2)) {
        strv_add(words, "-E");
        strv_add(words, "root_owner=0:0");
    }
}

static void compare(const char *dir, const char *image, const char *tree)
{
    auto_close int fd = open(image, O_RDONLY | O_CLOEXEC);
    auto_image_reader struct image_reader *r = case_reader_open(fd, 0);
    if (geteuid() != 0) {
        assert_true(same_tree(r, tree, 0) > 0);
        return;
    }
    auto_free char *mnt = path_join(dir, "mnt");
    assert_true(mkdir(mnt, 0755) == 0 || errno == EEXIST);
    case_run((const char *[]){ "mount", "-o", "loop,ro", image, mnt, NULL });
    assert_true(same_tree(r, mnt, SAME_AS_MOUNTED) > 0);
    assert_int_equal(umount2(mnt, 0), 0);
}

static void random_images_read_as_the_kernel_reads_them(void **state)
{
    (void)state;
    for (unsigned i = 0; i < count; i++) {
        auto_case_dir char *dir = case_dir_new();
        auto_free char *tree = path_join(dir, "tree");
        auto_strv struct strv words = { 0 };
        random_tree(tree);
        random_shape(&words);
        auto_free char *line = strv_join(&words, " ");
        print_message("image %u: %s\n", i, line);
        auto_free char *image = case_image_new(dir, tree, (const char *const *)words.v, "24M");
        compare(dir, image, tree);
    }
}

int main(int argc, char **argv)
{
    state_of_dice = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    if (argc > 1)
        count = (unsigned)strtoul(argv[1], NULL, 10);
    /* mounts of our own: whatever happens, none is left */
    if (geteuid() == 0 &&
        (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_images_read_as_the_kernel_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
