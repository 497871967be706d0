/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/tree_compare.h"

#include "image/writer/writer.h"
#include "tests/image/by_path.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

enum { EPOCH = 1700000000 };

struct spot {
    char *dir, *tree, *img;
};

static int set_up(void **state)
{
    struct spot *p = mem_zero(1, sizeof *p);
    p->dir = case_dir_new();
    p->tree = path_join(p->dir, "tree");
    p->img = path_join(p->dir, "x.img");
    assert_int_equal(mkdir(p->tree, 0755), 0);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct spot *p = *state;
    case_dir_free(p->dir);
    free(p->tree);
    free(p->img);
    free(p);
    return 0;
}

static struct image_pack_spec spec_for(const char *img)
{
    return (struct image_pack_spec){ .path = img,
                                     .deterministic = true,
                                     .epoch = EPOCH,
                                     .replace = true,
                                     .mode = 0755,
                                     .owner_uid = -1,
                                     .owner_gid = -1 };
}

static int pack_with(struct image_pack_spec spec, const char *tree, struct image_pack_report *r,
                     struct err *e)
{
    auto_close int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    spec.rootfs_fd = fd;
    return image_pack(&spec, r, e);
}

static void pack(const char *tree, const char *img)
{
    auto_err struct err e = { 0 };
    if (pack_with(spec_for(img), tree, NULL, &e) < 0)
        fail_msg("%s", e.msg);
}

static void assert_clean(const char *img)
{
    auto_err struct err e = { 0 };
    if (check_path(img, &e) < 0)
        fail_msg("%s", e.msg);
}

static void assert_same_bytes(const char *a, const char *b)
{
    case_run((const char *const[]){ "cmp", a, b, NULL });
}

static void unpack(const char *img, const char *to)
{
    auto_err struct err e = { 0 };
    struct image_info info;
    assert_int_equal(mkdir(to, 0755), 0);
    auto_close int fd = image_open(img, &info, &e);
    auto_close int to_fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || image_unpack(fd, &info, to_fd, &e) < 0)
        fail_msg("%s", e.msg);
}

/* A tree with one of everything; its times lie before EPOCH, so that clamping changes nothing. */
static char *full_tree(const char *dir)
{
    char *tree = case_tree_new(dir);
    case_run((const char *const[]){ "find", tree, "-exec", "touch", "-hd", "2020-02-02 02:02:02.5",
                                    "{}", "+", NULL });
    return tree;
}

static void one_of_everything_comes_back(void **state)
{
    const struct spot *p = *state;
    assert_int_equal(rmdir(p->tree), 0);
    auto_free char *tree = full_tree(p->dir), *back = path_join(p->dir, "back");
    pack(tree, p->img);
    assert_clean(p->img);
    unpack(p->img, back);
    assert_true(tree_assert_equal(tree, back, false) > 400);
}

static void a_copy_of_the_tree_gives_the_same_bytes(void **state)
{
    const struct spot *p = *state;
    assert_int_equal(rmdir(p->tree), 0);
    auto_free char *tree = full_tree(p->dir), *other = path_join(p->dir, "y.img");
    auto_free char *deep = path_join(p->dir, "another/place");
    auto_free char *copy = path_join(deep, "tree");
    case_run((const char *const[]){ "mkdir", "-p", deep, NULL });
    case_run((const char *const[]){ "cp", "-a", "--sparse=never", tree, copy, NULL });
    pack(tree, p->img);
    mode_t before = umask(0777);
    pack(copy, other);
    umask(before);
    assert_same_bytes(p->img, other);
}

static void the_order_of_making_does_not_matter(void **state)
{
    const struct spot *p = *state;
    auto_free char *other_tree = path_join(p->dir, "other"), *other = path_join(p->dir, "y.img");
    assert_int_equal(mkdir(other_tree, 0755), 0);
    for (int i = 0; i < 300; i++) {
        auto_free char *a = mem_printf("file-%03d", i), *b = mem_printf("file-%03d", 299 - i);
        case_file(p->tree, a, a, strlen(a));
        case_file(other_tree, b, b, strlen(b));
    }
    pack(p->tree, p->img); /* all times lie after EPOCH, and are clamped */
    pack(other_tree, other);
    assert_same_bytes(p->img, other);
}

static void the_user_who_packs_does_not_matter(void **state)
{
    const struct spot *p = *state;
    if (geteuid() != 0)
        skip();
    auto_free char *theirs = path_join(p->dir, "theirs"), *other = path_join(theirs, "y.img");
    case_pattern_file(p->tree, "data", 50000, 3);
    assert_int_equal(mkdir(theirs, 0700), 0);
    assert_int_equal(chown(theirs, 65534, 65534), 0);
    pack(p->tree, p->img);
    pid_t pid = fork();
    if (pid == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(2);
        auto_close int fd = open(p->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct image_pack_spec spec = spec_for(other);
        spec.rootfs_fd = fd;
        _exit(image_pack(&spec, NULL, NULL) < 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_same_bytes(p->img, other);
}

static void other_content_gives_another_uuid(void **state)
{
    const struct spot *p = *state;
    uint8_t uuid[2][16];
    for (int i = 0; i < 2; i++) {
        case_file(p->tree, "f", i ? "b" : "a", 1);
        pack(p->tree, p->img);
        auto_close int fd = open(p->img, O_RDONLY | O_CLOEXEC);
        assert_int_equal(pread(fd, uuid[i], 16, 1024 + 0x68), 16);
    }
    assert_memory_not_equal(uuid[0], uuid[1], 16);
}

static void a_size_too_small_names_the_need(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    auto_free uint8_t *data = mem_alloc(30 << 20);
    case_pattern(data, 30 << 20, 0, 1);
    case_file(p->tree, "data", data, 30 << 20);
    struct image_pack_spec spec = spec_for(p->img);
    spec.size_bytes = 20 << 20;
    assert_int_equal(pack_with(spec, p->tree, NULL, &e), -1);
    assert_int_equal(e.code, ERR_FAILED);
    assert_int_equal(access(p->img, F_OK), -1);
    unsigned need = 0;
    assert_int_equal(sscanf(e.hint, "give --size %uM", &need), 1);
    assert_in_range(need, 31, 45);

    spec.size_bytes = (uint64_t)need << 20;
    assert_int_equal(pack_with(spec, p->tree, NULL, NULL), 0);
    assert_clean(p->img);

    struct image_pack_report r;
    spec.size_bytes = 20 << 20;
    spec.grow = true;
    assert_int_equal(pack_with(spec, p->tree, &r, NULL), 0);
    assert_true(r.grew);
    assert_int_equal(r.size_bytes, (uint64_t)need << 20);
    assert_clean(p->img);
}

static void a_directory_of_long_names_gets_two_levels_of_index(void **state)
{
    const struct spot *p = *state;
    auto_free char *many = path_join(p->tree, "many"), *back = path_join(p->dir, "back");
    assert_int_equal(mkdir(many, 0755), 0);
    auto_close int fd = open(many, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char name[256];
    memset(name, 'n', 255);
    name[255] = 0;
    for (int i = 0; i < 9000; i++) {
        memcpy(name + 100,
               (char[]){ (char)('0' + i / 1000), (char)('0' + i / 100 % 10),
                         (char)('0' + i / 10 % 10), (char)('0' + i % 10) },
               4);
        assert_int_equal(mknodat(fd, name, S_IFREG | 0644, 0), 0);
    }
    pack(p->tree, p->img);
    assert_clean(p->img); /* e2fsck checks the order of hashes */
    unpack(p->img, back);
    auto_free char *copied = path_join(back, "many");
    auto_strv struct strv names = { 0 };
    tree_names(copied, ".", false, &names);
    assert_int_equal(names.n, 9000);
}

static void a_file_beyond_two_gigabytes_keeps_its_holes(void **state)
{
    const struct spot *p = *state;
    auto_free char *path = path_join(p->tree, "large"), *back = path_join(p->dir, "back");
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(fs_pwrite_full(fd, "end", 3, 5ull << 30), 0);
    struct image_pack_report r;
    assert_int_equal(pack_with(spec_for(p->img), p->tree, &r, NULL), 0);
    assert_true(r.size_bytes < 64 << 20); /* sized by what is not a hole */
    assert_true(r.disk_bytes < 8 << 20);
    assert_clean(p->img);
    unpack(p->img, back);
    tree_compare_content(&(struct tree_compare){ .left = p->tree, .right = back }, "large",
                         (5ull << 30) + 3);
}

static void a_file_beyond_the_format_is_refused(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    auto_free char *path = path_join(p->tree, "giant");
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (ftruncate(fd, (off_t)3 << 40) < 0)
        return; /* nor can this host's file system */
    assert_int_equal(pack_with(spec_for(p->img), p->tree, NULL, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.msg, "'/giant' is larger than the 2 TiB of an ext3 file");
}

static void attributes_beyond_a_block_are_refused(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    static const uint8_t value[3000] = { 1 };
    auto_source struct source *src = source_new(NULL, NULL);
    struct source_node *f = source_add(src, src->root, "f", 1, S_IFREG | 0644, &e);
    assert_int_equal(source_xattr_set(f, "user.a", value, sizeof value, &e), 0);
    assert_int_equal(source_xattr_set(f, "user.b", value, sizeof value, &e), 0);
    struct image_pack_spec spec = spec_for(p->img);
    const struct pack_from from = { .source = src };
    assert_int_equal(pack_source(&spec, &from, NULL, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.msg,
                        "the extended attributes of '/f' are larger than the 4 KiB of an ext3");
}

static void a_source_can_be_packed_twice(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    auto_free char *a = path_join(p->tree, "a"), *b = path_join(p->tree, "b");
    auto_free char *other = path_join(p->dir, "y.img");
    case_file(p->tree, "a", "x", 1);
    assert_int_equal(link(a, b), 0);
    auto_close int fd = open(p->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_source struct source *s = source_from_dir(fd, NULL, &e);
    const struct pack_from from = { .source = s };
    struct image_pack_spec first = spec_for(p->img), second = spec_for(other);
    assert_int_equal(pack_source(&first, &from, NULL, &e), 0);
    assert_int_equal(pack_source(&second, &from, NULL, &e), 0);
    assert_same_bytes(p->img, other);
    assert_clean(p->img);
}

static void what_changed_since_it_was_seen_is_told(void **state)
{
    const struct spot *p = *state;
    static const char *const news[] = { "longer than it was", "s", NULL };
    auto_free char *f = path_join(p->tree, "f"), *was = path_join(p->tree, "was");
    for (size_t i = 0; i < 3; i++) {
        auto_err struct err e = { 0 };
        case_file(p->tree, "f", "same", 4);
        auto_close int fd = open(p->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        auto_source struct source *s = source_from_dir(fd, NULL, &e);
        if (news[i]) {
            case_file(p->tree, "f", news[i], strlen(news[i]));
        } else { /* another file of that name and size */
            assert_int_equal(rename(f, was), 0);
            case_file(p->tree, "f", "same", 4);
        }
        struct image_pack_spec spec = spec_for(p->img);
        const struct pack_from from = { .source = s };
        assert_int_equal(pack_source(&spec, &from, NULL, &e), -1);
        assert_int_equal(e.code, ERR_FAILED);
        assert_string_equal(e.msg, "'/f' changed while it was read");
        assert_int_equal(access(p->img, F_OK), -1);
    }
}

static void a_directory_that_became_a_link_is_not_followed(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    static const char *const names[] = { "d", "e" }; /* one of them is open no longer */
    for (size_t i = 0; i < 2; i++) {
        auto_free char *d = path_join(p->tree, names[i]);
        assert_int_equal(mkdir(d, 0755), 0);
        case_file(d, "f", "same", 4);
    }
    auto_close int fd = open(p->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_source struct source *s = source_from_dir(fd, NULL, &e);
    for (size_t i = 0; i < 2; i++) {
        auto_free char *d = path_join(p->tree, names[i]), *moved = path_join(p->dir, names[i]);
        assert_int_equal(rename(d, moved), 0);
        assert_int_equal(symlink(moved, d), 0);
    }
    struct image_pack_spec spec = spec_for(p->img);
    const struct pack_from from = { .source = s };
    assert_int_equal(pack_source(&spec, &from, NULL, &e), -1);
    assert_int_equal(e.sys, ENOTDIR); /* not the file that is still the same behind the link */
}

static void a_deep_tree_needs_no_more_descriptors(void **state)
{
    const struct spot *p = *state;
    enum { DEPTH = 700 };
    int fd = open(p->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < DEPTH; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        assert_int_equal(mknodat(fd, "file", S_IFREG | 0644, 0), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(close(fd), 0);
        fd = next;
    }
    assert_int_equal(fs_write_full(fd, "x", 0), 0);
    assert_int_equal(close(fd), 0);
    struct image_pack_report r;
    assert_int_equal(pack_with(spec_for(p->img), p->tree, &r, NULL), 0);
    assert_int_equal(r.n_dirs, DEPTH + 1);
    assert_int_equal(r.n_files, DEPTH);
    assert_clean(p->img);
}

static void lost_and_found_is_kept_when_the_tree_has_one(void **state)
{
    const struct spot *p = *state;
    auto_free char *lf = path_join(p->tree, "lost+found"), *back = path_join(p->dir, "back");
    auto_free char *found = path_join(back, "lost+found/found");
    assert_int_equal(mkdir(lf, 0711), 0);
    case_file(lf, "found", "x", 1);
    pack(p->tree, p->img);
    assert_clean(p->img);
    unpack(p->img, back);
    assert_int_equal(access(found, F_OK), 0);

    auto_err struct err e = { 0 };
    assert_int_equal(fs_remove_tree(AT_FDCWD, lf, &e), 0);
    case_file(p->tree, "lost+found", "x", 1);
    assert_int_equal(pack_with(spec_for(p->img), p->tree, NULL, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
}

static void a_mount_point_is_an_empty_directory(void **state)
{
    const struct spot *p = *state;
    if (geteuid() != 0)
        skip();
    auto_free char *at = path_join(p->tree, "mnt"), *back = path_join(p->dir, "back");
    auto_free char *seen = path_join(back, "mnt/inside"), *there = path_join(back, "mnt");
    assert_int_equal(mkdir(at, 0755), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("none", at, "tmpfs", 0, NULL) < 0)
            _exit(77);
        auto_free char *inside = path_join(at, "inside");
        if (mknod(inside, S_IFREG | 0644, 0) < 0)
            _exit(2);
        _exit(pack_with(spec_for(p->img), p->tree, NULL, NULL) < 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == 77)
        return; /* no mounts here */
    assert_int_equal(status, 0);
    unpack(p->img, back);
    assert_int_equal(access(there, F_OK), 0);
    assert_int_equal(access(seen, F_OK), -1);
}

static void a_tree_that_cannot_be_read_leaves_the_old_image(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    case_file(p->dir, "x.img", "old", 3);
    struct image_pack_spec spec = spec_for(p->img);
    spec.rootfs_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(image_pack(&spec, NULL, &e), -1);
    close(spec.rootfs_fd);
    struct stat st;
    assert_int_equal(stat(p->img, &st), 0);
    assert_int_equal(st.st_size, 3);
}

static void the_estimate_holds_the_tree(void **state)
{
    const struct spot *p = *state;
    for (int i = 0; i < 500; i++) {
        auto_free char *name = mem_printf("f%d", i);
        case_file(p->tree, name, name, strlen(name));
    }
    auto_close int fd = open(p->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t size = 0;
    assert_int_equal(image_estimate(fd, &size, NULL), 0);
    struct image_pack_spec spec = spec_for(p->img);
    spec.size_bytes = size;
    struct image_pack_report r;
    assert_int_equal(pack_with(spec, p->tree, &r, NULL), 0);
    assert_int_equal(r.size_bytes, size);
}

/* What tests/bench/image.sh measures. */
static int pack_only(const char *tree, const char *img)
{
    auto_err struct err e = { 0 };
    struct image_pack_spec spec = spec_for(img);
    spec.deterministic = false;
    if (pack_with(spec, tree, NULL, &e) == 0)
        return 0;
    fprintf(stderr, "%s\n", e.msg);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return pack_only(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        T(one_of_everything_comes_back),
        T(a_copy_of_the_tree_gives_the_same_bytes),
        T(the_order_of_making_does_not_matter),
        T(the_user_who_packs_does_not_matter),
        T(other_content_gives_another_uuid),
        T(a_size_too_small_names_the_need),
        T(a_directory_of_long_names_gets_two_levels_of_index),
        T(a_file_beyond_two_gigabytes_keeps_its_holes),
        T(a_file_beyond_the_format_is_refused),
        T(attributes_beyond_a_block_are_refused),
        T(a_source_can_be_packed_twice),
        T(what_changed_since_it_was_seen_is_told),
        T(a_directory_that_became_a_link_is_not_followed),
        T(a_deep_tree_needs_no_more_descriptors),
        T(lost_and_found_is_kept_when_the_tree_has_one),
        T(a_mount_point_is_an_empty_directory),
        T(a_tree_that_cannot_be_read_leaves_the_old_image),
        T(the_estimate_holds_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
