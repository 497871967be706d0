/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/tree_case.h"

static const char *const shapes[][12] = {
    { "-t", "ext3", "-b", "4096" },
    { "-t", "ext3", "-b", "1024", "-I", "128" },
    { "-t", "ext2", "-b", "2048", "-I", "256" },
    { "-t", "ext2", "-b", "1024", "-r", "0" },
    { "-t", "ext2", "-b", "1024", "-O", "^filetype,^dir_index", "-g", "256" },
    { "-t", "ext4" },
    { "-t", "ext4", "-b", "1024", "-O", "^64bit,^metadata_csum,uninit_bg" },
    { "-t", "ext4", "-b", "2048", "-I", "1024", "-O", "meta_bg,^resize_inode,64bit" },
    { "-t", "ext4", "-b", "1024", "-O", "meta_bg,^resize_inode,^flex_bg", "-g", "512" },
    { "-t", "ext4", "-b", "4096", "-O", "sparse_super2,^resize_inode,metadata_csum_seed" },
};

static void every_shape_of_image_reads_as_the_tree_it_was_made_of(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *tree = case_tree_new(dir);
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        auto_free char *path = case_image_new(dir, tree, shapes[i], "48M");
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        auto_image_reader struct image_reader *r = case_reader_open(fd, 0);
        bool old = str_eq(shapes[i][4], "-r"); /* revision 0 has no xattrs */
        assert_true(same_tree(r, tree, old ? SAME_NO_XATTRS : 0) > 410);
    }
}

static void an_image_behind_launcher_lines_is_read_at_its_offset(void **state)
{
    (void)state;
    static const char line[] = "#!/usr/bin/env run-singularity\n";
    auto_case_dir char *dir = case_dir_new();
    auto_free char *tree = case_tree_new(dir);
    auto_free char *path = case_image_new(dir, tree, (const char *[]){ "-t", "ext3", NULL }, "48M");
    auto_free char *shifted = path_join(dir, "shifted");
    for (unsigned k = 1; k <= 3; k++) {
        auto_str struct str all = { 0 };
        auto_err struct err e = { 0 };
        struct image_info info;
        for (unsigned i = 0; i < k; i++)
            str_add(&all, line);
        assert_int_equal(fs_read_file(path, 64 << 20, &all, &e), 0);
        case_file(dir, "shifted", all.data, all.len);
        auto_close int fd = image_open(shifted, &info, &e);
        if (k == 3) {
            assert_int_equal(fd, -1);
            assert_int_equal(e.code, ERR_INPUT);
            continue;
        }
        assert_true(fd >= 0);
        assert_int_equal(info.kind, IMAGE_EXT);
        assert_int_equal(info.fs_offset, k * 31);
        auto_image_reader struct image_reader *r = case_reader_open(fd, info.fs_offset);
        assert_true(same_tree(r, tree, 0) > 410);
    }
}

static void paths_follow_links_inside_the_image_only(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *tree = case_tree_new(dir);
    auto_free char *loop = path_join(tree, "loop"), *up = path_join(tree, "up");
    assert_int_equal(symlink("loop", loop), 0);
    assert_int_equal(symlink("../../../../sub", up), 0);
    auto_free char *path = case_image_new(dir, tree, (const char *[]){ "-t", "ext3", NULL }, "48M");
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    auto_image_reader struct image_reader *r = case_reader_open(fd, 0);
    uint32_t hello, ino;

    assert_int_equal(image_read_path(r, "hello", false, &hello), 0);
    assert_int_equal(image_read_path(r, "fast", true, &ino), 0);
    assert_int_equal(ino, hello);
    assert_int_equal(image_read_path(r, "fast", false, &ino), 0);
    assert_int_not_equal(ino, hello);
    assert_int_equal(image_read_path(r, "//abs", true, &ino), 0);
    assert_int_equal(ino, hello);
    assert_int_equal(image_read_path(r, "up/../up/./hard", true, &ino), 0);
    assert_int_equal(ino, hello);
    assert_int_equal(image_read_path(r, "../..", true, &ino), 0);
    assert_int_equal(ino, IMAGE_ROOT_INO);
    assert_int_equal(image_read_path(r, "loop", true, &ino), -ELOOP);
    assert_int_equal(image_read_path(r, "hello/", true, &ino), -ENOTDIR);
    assert_int_equal(image_read_path(r, "hello/x", true, &ino), -ENOTDIR);
    assert_int_equal(image_read_path(r, "none", true, &ino), -ENOENT);
    char name[257];
    memset(name, '\xff', sizeof name);
    assert_int_equal(image_read_lookup(r, IMAGE_ROOT_INO, name, 255, &ino), -ENOENT);
    assert_int_equal(image_read_lookup(r, IMAGE_ROOT_INO, name, 256, &ino), -ENAMETOOLONG);

    auto_str struct str text = { 0 };
    auto_err struct err e = { 0 };
    assert_int_equal(image_read_file(r, "abs", 100, &text, &e), 0);
    assert_string_equal(text.data, "hello\n");
    assert_int_equal(image_read_file(r, "abs", 5, &text, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(image_read_file(r, "none", 5, &text, &e), -1);
    assert_int_equal(e.sys, ENOENT);
}

static void holes_and_data_are_found_where_they_are(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *tree = case_tree_new(dir);
    static const char *const types[][3] = { { "-t", "ext3" }, { "-t", "ext4" } };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        auto_free char *path = case_image_new(dir, tree, types[i], "48M");
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        auto_image_reader struct image_reader *r = case_reader_open(fd, 0);
        uint32_t ino;
        assert_int_equal(image_read_path(r, "sparse", false, &ino), 0);
        assert_int_equal(image_read_seek(r, ino, 0, false), 4096);
        assert_int_equal(image_read_seek(r, ino, 0, true), 0);
        assert_int_equal(image_read_seek(r, ino, 4096, true), 8192);
        assert_int_equal(image_read_seek(r, ino, 9000, false), 65536 + 4096);
        assert_int_equal(image_read_seek(r, ino, 120 << 20, false), -ENXIO);
        assert_int_equal(image_read_seek(r, ino, 120 << 20, true), 120 << 20);
        assert_int_equal(image_read_seek(r, ino, 140 << 20, true), -ENXIO);
    }
}

struct pages {
    struct strv names;
    uint64_t cookie;
    unsigned left;
};

static int three_entries(void *ctx, const struct image_dirent *d)
{
    struct pages *p = ctx;
    if (p->left-- == 0)
        return 1;
    strv_take(&p->names, mem_strndup(d->name, d->name_len));
    p->cookie = d->next_cookie;
    return 0;
}

static void a_directory_can_be_read_in_pieces_from_any_cookie(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *tree = case_tree_new(dir);
    auto_free char *path = case_image_new(dir, tree, (const char *[]){ "-t", "ext3", NULL }, "48M");
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    auto_image_reader struct image_reader *r = case_reader_open(fd, 0);
    uint32_t many;
    struct pages p = { 0 };
    assert_int_equal(image_read_path(r, "many", false, &many), 0);
    for (size_t before = SIZE_MAX; before != p.names.n;) {
        before = p.names.n;
        p.left = 3;
        assert_int_equal(image_read_dir(r, many, p.cookie, three_entries, &p), 0);
    }
    assert_int_equal(p.names.n, 402);
    strv_free(&p.names);
    for (uint64_t cookie = 0; cookie < 20000; cookie++) {
        p = (struct pages){ .left = 3 };
        assert_int_equal(image_read_dir(r, many, cookie, three_entries, &p), 0);
        strv_free(&p.names);
    }
    assert_int_equal(image_read_dir(r, many, UINT64_MAX, three_entries, &p), 0);
    assert_int_equal(image_read_dir(r, many + 1, 0, three_entries, &p), -ENOTDIR);
}

/* I19: the index of a hashed directory is not looked at, so it may say what it likes. */
static void a_hashed_directory_is_read_whatever_its_index_says(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *tree = case_tree_new(dir);
    const char *const words[] = { "-t", "ext3", "-b", "1024", NULL };
    auto_free char *path = case_image_new(dir, tree, words, "48M");
    int status = 0;
    const char *const argv[] = { "e2fsck", "-fyD", path, NULL };
    const struct proc_spec spec = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1
    };
    assert_int_equal(proc_run(&spec, &status, NULL), 0);
    assert_true(status <= 1);
    auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    uint32_t many, ino, block, flags;
    {
        auto_image_reader struct image_reader *r = case_reader_open(fd, 0);
        assert_int_equal(image_read_path(r, "many", false, &many), 0);
    }
    uint32_t table, n;
    uint16_t inode_bytes;
    assert_int_equal(pread(fd, &n, 4, 1024 + 40), 4); /* inodes of a group */
    assert_int_equal(pread(fd, &table, 4, 2048 + (many - 1) / n * 32 + 8), 4);
    assert_int_equal(pread(fd, &inode_bytes, 2, 1024 + 88), 2);
    off_t inode = (off_t)table * 1024 + (off_t)((many - 1) % n) * inode_bytes;
    assert_int_equal(pread(fd, &flags, 4, inode + 32), 4);
    assert_true(flags & 0x1000); /* it really has one */
    assert_int_equal(pread(fd, &block, 4, inode + 40), 4);
    for (unsigned lie = 0; lie < 3; lie++) {
        uint8_t junk[1000];
        memset(junk, lie == 0 ? 0 : lie == 1 ? 0xff : 0x01, sizeof junk);
        assert_int_equal(pwrite(fd, junk, sizeof junk, (off_t)block * 1024 + 24), sizeof junk);
        auto_image_reader struct image_reader *r = case_reader_open(fd, 0);
        struct entries x = { .r = r };
        assert_int_equal(image_read_dir(r, many, 0, add_entry, &x), 0);
        assert_int_equal(x.names.n, 402);
        strv_free(&x.names);
        assert_int_equal(image_read_lookup(r, many, "entry-with-a-name-399", 21, &ino), 0);
        assert_int_equal(image_read_lookup(r, many, "entry-with-a-name-400", 21, &ino), -ENOENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_of_image_reads_as_the_tree_it_was_made_of),
        cmocka_unit_test(an_image_behind_launcher_lines_is_read_at_its_offset),
        cmocka_unit_test(paths_follow_links_inside_the_image_only),
        cmocka_unit_test(holes_and_data_are_found_where_they_are),
        cmocka_unit_test(a_directory_can_be_read_in_pieces_from_any_cookie),
        cmocka_unit_test(a_hashed_directory_is_read_whatever_its_index_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
