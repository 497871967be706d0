/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/image_case.h"

#include <dirent.h>

struct entries {
    const struct image_reader *r;
    struct strv names;
    struct strv paths; /* directories still to do */
    const char *path;
};

static int add_entry(void *ctx, const struct image_dirent *d)
{
    struct entries *x = ctx;
    strv_take(&x->names, mem_strndup(d->name, d->name_len));
    return 0;
}

static void same_data(const struct image_reader *r, uint32_t ino, int fd, uint64_t size)
{
    enum { STEP = 1 << 20 };
    auto_free uint8_t *a = mem_alloc(STEP), *b = mem_alloc(STEP);
    for (uint64_t at = 0; at < size; at += STEP) {
        ssize_t n = pread(fd, a, STEP, (off_t)at);
        assert_int_equal(image_read_data(r, ino, b, STEP, at), n);
        assert_memory_equal(a, b, (size_t)n);
    }
    assert_int_equal(image_read_data(r, ino, b, STEP, size), 0);
    assert_int_equal(image_read_data(r, ino, b, STEP, UINT64_MAX), 0);
}

static void same_xattrs(const struct image_reader *r, uint32_t ino, const char *path)
{
    char want[4096], have[4096], value[8192], mine[8192];
    ssize_t n = llistxattr(path, want, sizeof want);
    assert_true(n >= 0);
    assert_int_equal(image_read_xattr_list(r, ino, have, sizeof have), n);
    assert_int_equal(image_read_xattr_list(r, ino, NULL, 0), n);
    for (const char *name = have; name < have + n; name += strlen(name) + 1) {
        ssize_t len = lgetxattr(path, name, value, sizeof value);
        assert_true(len >= 0);
        assert_int_equal(image_read_xattr(r, ino, name, mine, sizeof mine), len);
        assert_memory_equal(value, mine, (size_t)len);
        assert_int_equal(image_read_xattr(r, ino, name, NULL, 0), len);
        if (len > 1)
            assert_int_equal(image_read_xattr(r, ino, name, mine, 1), -ERANGE);
    }
    assert_int_equal(image_read_xattr(r, ino, "user.none", mine, sizeof mine), -ENODATA);
}

static void same_node(const struct image_reader *r, uint32_t ino, const char *path, bool xattrs)
{
    struct image_stat have;
    struct stat want;
    assert_int_equal(image_read_stat(r, ino, &have), 0);
    assert_int_equal(lstat(path, &want), 0);
    assert_int_equal(have.mode, want.st_mode);
    assert_int_equal(have.uid, want.st_uid);
    assert_int_equal(have.gid, want.st_gid);
    assert_int_equal(have.mtime, want.st_mtime);
    if (!S_ISDIR(want.st_mode)) {
        assert_int_equal(have.nlink, want.st_nlink);
        assert_int_equal(have.rdev_major, major(want.st_rdev));
        assert_int_equal(have.rdev_minor, minor(want.st_rdev));
    }
    if (xattrs)
        same_xattrs(r, ino, path);
    if (S_ISREG(want.st_mode)) {
        assert_int_equal(have.size, want.st_size);
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        same_data(r, ino, fd, have.size);
    } else if (S_ISLNK(want.st_mode)) {
        char a[4096], b[4096];
        ssize_t n = readlink(path, a, sizeof a);
        assert_int_equal(image_read_link(r, ino, b, sizeof b), n);
        assert_memory_equal(a, b, (size_t)n);
        assert_int_equal(image_read_link(r, ino, b, (size_t)n - 1), -ERANGE);
    }
}

static size_t count_dir(const char *path)
{
    auto_dir DIR *d = opendir(path);
    size_t n = 0;
    assert_non_null(d);
    while (readdir(d))
        n++;
    return n;
}

/* Everything below the directory PATH is in the image and nothing else. */
static size_t same_tree(const struct image_reader *r, const char *root, bool xattrs)
{
    auto_strv struct strv dirs = { 0 };
    size_t n = 0;
    strv_add(&dirs, "");
    for (size_t i = 0; i < dirs.n; i++) {
        auto_strv struct strv names = { 0 };
        struct entries x = { .r = r };
        uint32_t dir;
        auto_free char *host_dir = path_join(root, dirs.v[i]);
        assert_int_equal(image_read_path(r, dirs.v[i], false, &dir), 0);
        assert_int_equal(image_read_dir(r, dir, 0, add_entry, &x), 0);
        names = x.names;
        strv_sort(&names);
        size_t extra = strv_has(&names, "lost+found");
        assert_int_equal(names.n - extra, count_dir(host_dir));
        for (size_t k = 0; k < names.n; k++) {
            uint32_t ino;
            struct image_stat st;
            if (str_eq(names.v[k], ".") || str_eq(names.v[k], "..") ||
                str_eq(names.v[k], "lost+found"))
                continue;
            auto_free char *path = path_join(dirs.v[i], names.v[k]);
            auto_free char *host = path_join(root, path);
            assert_int_equal(image_read_lookup(r, dir, names.v[k], strlen(names.v[k]), &ino), 0);
            same_node(r, ino, host, xattrs);
            assert_int_equal(image_read_stat(r, ino, &st), 0);
            if (S_ISDIR(st.mode))
                strv_add(&dirs, path);
            n++;
        }
    }
    return n;
}

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
        assert_true(same_tree(r, tree, !old) > 410);
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
        assert_true(same_tree(r, tree, true) > 410);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_of_image_reads_as_the_tree_it_was_made_of),
        cmocka_unit_test(an_image_behind_launcher_lines_is_read_at_its_offset),
        cmocka_unit_test(paths_follow_links_inside_the_image_only),
        cmocka_unit_test(holes_and_data_are_found_where_they_are),
        cmocka_unit_test(a_directory_can_be_read_in_pieces_from_any_cookie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
