/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/tree_compare.h"
#include "tests/image/by_path.h"

struct spot {
    char *dir, *tree, *img;
};

static void pack(const char *tree, const char *img, uint64_t size_bytes)
{
    auto_err struct err e = { 0 };
    auto_close int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct image_pack_spec spec = { .path = img,
                                    .rootfs_fd = fd,
                                    .size_bytes = size_bytes,
                                    .replace = true,
                                    .mode = 0750,
                                    .owner_uid = -1,
                                    .owner_gid = -1 };
    if (image_pack(&spec, NULL, &e) < 0)
        fail_msg("%s", e.msg);
}

static int set_up(void **state)
{
    struct spot *p = mem_zero(1, sizeof *p);
    p->dir = case_dir_new();
    p->tree = case_tree_new(p->dir);
    p->img = path_join(p->dir, "x.img");
    pack(p->tree, p->img, 64 << 20);
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

/* SUB: the directory to look at; "." for all. */
static void assert_holds_in(const struct spot *p, const char *sub)
{
    auto_err struct err e = { 0 };
    auto_free char *back = path_join(p->dir, "back");
    struct image_info info;
    if (check_path(p->img, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(mkdir(back, 0755), 0);
    auto_close int fd = image_open(p->img, &info, &e);
    auto_close int back_fd = open(back, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || image_unpack(fd, &info, back_fd, &e) < 0)
        fail_msg("%s", e.msg);
    auto_free char *left = path_join(p->tree, sub), *right = path_join(back, sub);
    assert_true(tree_assert_equal(left, right, false) > 400);
    assert_int_equal(fs_remove_tree(AT_FDCWD, back, &e), 0);
}

static void assert_holds(const struct spot *p)
{
    assert_holds_in(p, ".");
}

static void read_at(const char *path, off_t at, void *buf, size_t len)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, buf, len, at), len);
}

static void write_at(const char *path, off_t at, const void *buf, size_t len)
{
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, buf, len, at), len);
}

static void expanding_keeps_content_and_identity(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    static const char hashbang[] = "#!/opt/hpcc/bin/run-hpcc\n";
    uint8_t old[40], new[40];
    write_at(p->img, 0, hashbang, sizeof hashbang);
    write_at(p->img, 1024 + 0x78, "label", 5);
    read_at(p->img, 1024 + 0x68, old, 32); /* UUID and label */
    if (expand_path(p->img, 32ull << 30, &e) < 0)
        fail_msg("%s", e.msg);
    assert_holds(p);
    struct stat st;
    assert_int_equal(stat(p->img, &st), 0);
    assert_int_equal(st.st_size, 32ll << 30);
    assert_int_equal(st.st_mode & 07777, 0750);
    assert_true(st.st_blocks * 512 < 32 << 20);
    read_at(p->img, 1024 + 0x68, new, 32);
    assert_memory_equal(old, new, 32);
    read_at(p->img, 0, new, sizeof hashbang);
    assert_memory_equal(new, hashbang, sizeof hashbang);
}

static void shrinking_to_the_least_and_back(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    assert_int_equal(shrink_path(p->img, 0, &e), 0);
    assert_holds(p);
    struct stat least, again;
    assert_int_equal(stat(p->img, &least), 0);
    assert_true(least.st_size < 32 << 20);
    assert_int_equal(expand_path(p->img, 1 << 30, &e), 0);
    assert_int_equal(shrink_path(p->img, 0, &e), 0);
    assert_int_equal(stat(p->img, &again), 0);
    assert_int_equal(again.st_size, least.st_size);
    assert_holds(p);
}

static void a_shrink_below_the_content_names_the_least(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    unsigned need = 0;
    assert_int_equal(shrink_path(p->img, 6 << 20, &e), -1);
    assert_int_equal(e.code, ERR_FAILED);
    assert_int_equal(sscanf(e.hint, "give --size %uM", &need), 1);
    assert_holds(p);
    assert_int_equal(shrink_path(p->img, (uint64_t)need << 20, NULL), 0);
    assert_holds(p);
}

static void sizes_on_the_wrong_side_are_refused(void **state)
{
    const struct spot *p = *state;
    static const struct {
        int (*change)(const char *path, uint64_t size_bytes, struct err *e);
        uint64_t size;
    } wrong[] = {
        { expand_path, 64 << 20 }, { expand_path, 1 << 20 }, { expand_path, 1ull << 60 },
        { shrink_path, 64 << 20 }, { shrink_path, 1 << 30 }, { shrink_path, 1 << 20 },
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        auto_err struct err e = { 0 };
        assert_int_equal(wrong[i].change(p->img, wrong[i].size, &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        assert_non_null(e.hint);
    }
}

static void an_image_in_use_is_refused_with_its_holder(void **state)
{
    const struct spot *p = *state;
    auto_close int fd = open(p->img, O_RDONLY | O_CLOEXEC);
    assert_int_equal(image_lock(fd, p->img, IMAGE_LOCK_READ, NULL), 0);
    auto_free char *pid = mem_printf("%ld", (long)getpid());
    uint64_t freed;
    bool changed;
    for (int i = 0; i < 4; i++) {
        auto_err struct err e = { 0 };
        int rc = i == 0   ? expand_path(p->img, 1 << 30, &e)
                 : i == 1 ? shrink_path(p->img, 0, &e)
                 : i == 2 ? compact_path(p->img, &freed, &e)
                          : repair_path(p->img, &changed, &e);
        assert_int_equal(rc, -1);
        assert_int_equal(e.code, ERR_FAILED);
        assert_non_null(strstr(e.msg, "in use"));
        assert_non_null(strstr(e.msg, pid));
    }
}

static void compacting_frees_what_is_not_used(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    auto_free char *mke2fs = proc_find("mke2fs");
    auto_free uint8_t *junk = mem_alloc(8 << 20);
    struct stat st;
    if (!mke2fs)
        return;
    /* Junk where no block is in use: the end of the image. */
    memset(junk, 'x', 8 << 20);
    write_at(p->img, 56 << 20, junk, 8 << 20);
    memset(junk, 0, 8 << 20);
    write_at(p->img, 40 << 20, junk, 8 << 20);
    uint64_t freed = 0;
    if (compact_path(p->img, &freed, &e) < 0)
        fail_msg("%s", e.msg);
    assert_in_range(freed, 16 << 20, 17 << 20);
    assert_int_equal(stat(p->img, &st), 0);
    assert_int_equal(st.st_size, 64 << 20);
    assert_holds(p);
    assert_int_equal(compact_path(p->img, &freed, &e), 0);
    assert_int_equal(freed, 0);
}

static void damage_is_found_and_repaired(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    auto_free char *e2fsck = proc_find("e2fsck");
    if (!e2fsck)
        return;
    uint8_t at[4];
    read_at(p->img, 4096, at, 4); /* where the first block bitmap is */
    write_at(p->img, (off_t)(at[0] | at[1] << 8 | at[2] << 16) * 4096, "\0\0\0", 3);
    assert_int_equal(check_path(p->img, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.hint, "--repair"));
    uint64_t freed;
    assert_int_equal(compact_path(p->img, &freed, NULL), -1);
    bool changed = false;
    err_clear(&e);
    if (repair_path(p->img, &changed, &e) < 0)
        fail_msg("%s", e.msg);
    assert_true(changed);
    assert_holds(p);
    assert_int_equal(repair_path(p->img, &changed, &e), 0);
    assert_false(changed);
}

static void an_image_of_mke2fs_becomes_one_of_ours(void **state)
{
    const struct spot *p = *state;
    auto_err struct err e = { 0 };
    auto_free char *mke2fs = proc_find("mke2fs");
    if (!mke2fs || geteuid() != 0)
        return;
    static const char *const words[] = { "-t", "ext4", "-O", "^metadata_csum", NULL };
    /* mke2fs 1.47 copies whole seconds, and leaves the root's out. */
    case_run((const char *const[]){ "find", p->tree, "-exec", "touch", "-hd", "2020-02-02 02:02",
                                    "{}", "+", NULL });
    auto_free char *img = case_image_new(p->dir, p->tree, words, "64M");
    assert_int_equal(rename(img, p->img), 0);
    if (expand_path(p->img, 128 << 20, &e) < 0)
        fail_msg("%s", e.msg);
    assert_holds_in(p, "many");
    uint8_t incompat[4];
    read_at(p->img, 1024 + 0x60, incompat, 4);
    assert_int_equal(incompat[0], 2); /* filetype alone: no extents any more */
}

static void what_is_no_image_is_refused(void **state)
{
    const struct spot *p = *state;
    auto_free char *text = path_join(p->dir, "text");
    case_file(p->dir, "text", "hello\n", 6);
    uint64_t freed;
    bool changed;
    auto_err struct err e = { 0 };
    assert_int_equal(expand_path(text, 1 << 30, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(check_path(text, NULL), -1);
    assert_int_equal(compact_path(text, &freed, NULL), -1);
    assert_int_equal(repair_path(text, &changed, NULL), -1);
    assert_int_equal(expand_path(p->dir, 1 << 30, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        T(expanding_keeps_content_and_identity),
        T(shrinking_to_the_least_and_back),
        T(a_shrink_below_the_content_names_the_least),
        T(sizes_on_the_wrong_side_are_refused),
        T(an_image_in_use_is_refused_with_its_holder),
        T(compacting_frees_what_is_not_used),
        T(damage_is_found_and_repaired),
        T(an_image_of_mke2fs_becomes_one_of_ours),
        T(what_is_no_image_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
