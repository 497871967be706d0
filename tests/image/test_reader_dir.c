/* SPDX-License-Identifier: BSD-3-Clause */
/* Hostile directories. */
#include "tests/image/hostile_case.h"

#include "image/tree/tree.h"

enum { SIZE = 4, BLOCK = 40 };

static int stat_of(const struct patient *p, uint32_t ino, struct image_stat *st)
{
    auto_image_reader struct image_reader *r = case_reader_open(p->fd, 0);
    return image_read_stat(r, ino, st);
}

struct seen {
    unsigned n;
    uint64_t last;
    struct strv names;
};

static int see(void *ctx, const struct image_dirent *d)
{
    struct seen *s = ctx;
    assert_true(d->next_cookie > s->last);
    s->last = d->next_cookie;
    s->n++;
    strv_take(&s->names, mem_strndup(d->name, d->name_len));
    return 0;
}

static int list_root(const struct patient *p, struct seen *s)
{
    auto_image_reader struct image_reader *r = case_reader_open(p->fd, 0);
    *s = (struct seen){ 0 };
    int rc = image_read_dir(r, IMAGE_ROOT_INO, 0, see, s);
    return rc;
}

static void expect_root(const struct patient *p, int rc, unsigned at_most, const char *absent)
{
    struct seen s;
    assert_int_equal(list_root(p, &s), rc);
    assert_true(s.n <= at_most);
    if (absent)
        assert_false(strv_has(&s.names, absent));
    strv_free(&s.names);
}

/* I17, I25 */
static void damaged_entries_are_skipped_or_end_the_directory(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    uint64_t at = dirent_at(&p, "", "hello");
    uint16_t was = get16(&p, at + 4);
    static const uint16_t bad_len[] = { 0, 3, 4, 8, 13, 14, 1028, 0x7ffc, 0xffff };
    expect_root(&p, 0, 8, NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad_len); i++) {
        put16(&p, at + 4, bad_len[i]);
        expect_root(&p, -EUCLEAN, 7, "hello");
    }
    put16(&p, at + 4, was);
    put8(&p, at + 6, 255); /* a name longer than its entry */
    expect_root(&p, -EUCLEAN, 7, "hello");
    put8(&p, at + 6, 5);
    put8(&p, at + 8, '/');
    expect_root(&p, 0, 7, "/ello");
    put8(&p, at + 8, 0);
    expect_root(&p, 0, 7, NULL);
    put8(&p, at + 6, 0); /* no name */
    expect_root(&p, 0, 7, NULL);
    put8(&p, at + 6, 5);
    put8(&p, at + 8, 'h');
    put8(&p, at + 7, 200); /* a type that does not exist */
    expect_root(&p, 0, 8, NULL);

    static const uint32_t astray[] = { 1, 3, 5, 7, 8, 10, 65, 0x7fffffff, UINT32_MAX, 60 };
    for (size_t i = 0; i < ARRAY_LEN(astray); i++) {
        uint32_t ino = 0;
        struct image_stat st;
        put32(&p, at, astray[i]);
        auto_image_reader struct image_reader *r = case_reader_open(p.fd, 0);
        assert_int_equal(image_read_lookup(r, IMAGE_ROOT_INO, "hello", 5, &ino), 0);
        assert_int_equal(image_read_stat(r, ino, &st), -EUCLEAN);
        assert_int_equal(image_read_path(r, "hello", false, &ino), -EUCLEAN);
    }
    put32(&p, at, 0);
    expect_root(&p, 0, 7, "hello");
}

/* DIR becomes N blocks long, which lie at FIRST, FIRST + STEP, …; a step of 0 repeats one. */
static uint32_t stretch(const struct patient *p, const char *dir, uint32_t n, uint32_t first,
                        uint32_t step)
{
    uint32_t ino = ino_of(p, dir);
    uint64_t inode = inode_at(p, ino);
    uint32_t map = get32(p, inode_at(p, ino_of(p, "file")) + BLOCK + 48);
    for (uint32_t i = 0; i < n; i++)
        put32(p, i < 12 ? inode + BLOCK + i * 4 : (uint64_t)map * BS + (i - 12) * 4,
              first + i * step);
    put32(p, inode + BLOCK + 48, map);
    put32(p, inode + SIZE, n * BS);
    return ino;
}

static int listed(const struct image_reader *r, uint32_t dir)
{
    struct seen s = { 0 };
    int rc = image_read_dir(r, dir, 0, see, &s);
    int n = (int)s.n;
    strv_free(&s.names);
    return rc < 0 ? rc : n;
}

static int claimed(const struct image_reader *r, uint32_t dir)
{
    auto_image_claims struct image_claims c = { 0 };
    return image_read_claim(r, dir, &c);
}

/* I18: one block of entries, named by every pointer of a large directory. Small ones are read to
 * their end, as that costs little; who walks over many refuses these too. */
static void a_directory_holds_a_block_once(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    uint32_t block = get32(&p, inode_at(&p, ino_of(&p, "sub")) + BLOCK), ino;
    uint32_t sub = stretch(&p, "sub", 64, block, 0);
    auto_image_reader struct image_reader *r = case_reader_open(p.fd, 0);
    assert_int_equal(listed(r, sub), 64 * 3);
    assert_int_equal(image_read_lookup(r, sub, "absent", 6, &ino), -ENOENT);
    assert_int_equal(claimed(r, sub), -EUCLEAN);
    stretch(&p, "sub", 65, block, 0);
    auto_image_reader struct image_reader *large = case_reader_open(p.fd, 0);
    for (unsigned i = 0; i < 2; i++) { /* found, and remembered */
        assert_int_equal(listed(large, sub), -EUCLEAN);
        assert_int_equal(image_read_lookup(large, sub, "deep", 4, &ino), -EUCLEAN);
    }
    assert_int_equal(claimed(large, sub), -EUCLEAN);
}

static void a_large_directory_of_its_own_blocks_is_read(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    uint32_t sub = stretch(&p, "sub", 200, 300, 1), ino;
    for (uint64_t b = 300; b < 500; b++) {
        put32(&p, b * BS, 0);
        put16(&p, b * BS + 4, BS); /* one entry, unused */
    }
    auto_image_reader struct image_reader *r = case_reader_open(p.fd, 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(listed(r, sub), 0);
        assert_int_equal(image_read_lookup(r, sub, "absent", 6, &ino), -ENOENT);
    }
    assert_int_equal(claimed(r, sub), 0);
    put32(&p, inode_at(&p, sub) + BLOCK + 4 * 5, 499); /* the last one, in two places */
    auto_image_reader struct image_reader *twice = case_reader_open(p.fd, 0);
    assert_int_equal(listed(twice, sub), -EUCLEAN);
    put32(&p, inode_at(&p, sub) + BLOCK + 4 * 5, 0);
    auto_image_reader struct image_reader *hole = case_reader_open(p.fd, 0);
    assert_int_equal(listed(hole, sub), -EUCLEAN);
    assert_int_equal(claimed(hole, sub), -EUCLEAN);
    put32(&p, inode_at(&p, sub) + BLOCK + 4 * 5, 600); /* outside */
    auto_image_reader struct image_reader *outside = case_reader_open(p.fd, 0);
    assert_int_equal(claimed(outside, sub), -EUCLEAN);
    struct image_stat st;
    put32(&p, inode_at(&p, sub) + SIZE, 600 * BS); /* the whole image, and more than that */
    assert_int_equal(stat_of(&p, sub, &st), 0);
    put32(&p, inode_at(&p, sub) + SIZE, 601 * BS);
    assert_int_equal(stat_of(&p, sub, &st), -EUCLEAN);
}

static void two_directories_share_no_block(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    uint32_t sub = ino_of(&p, "sub"), deep = ino_of(&p, "sub/deep"), file = ino_of(&p, "file");
    auto_image_reader struct image_reader *r = case_reader_open(p.fd, 0);
    auto_image_claims struct image_claims c = { 0 };
    assert_int_equal(image_read_claim(r, sub, &c), 0);
    assert_int_equal(image_read_claim(r, deep, &c), 0);
    assert_int_equal(image_read_claim(r, sub, &c), -EUCLEAN);
    assert_int_equal(image_read_claim(r, file, &c), -ENOTDIR);
    assert_int_equal(image_read_claim(r, 65, &c), -EUCLEAN); /* no such inode */
    put32(&p, inode_at(&p, deep) + BLOCK, get32(&p, inode_at(&p, sub) + BLOCK));
    auto_err struct err e = { 0 };
    auto_image_reader struct image_reader *again = case_reader_open(p.fd, 0);
    auto_source struct source *s = source_from_reader(again, IMAGE_ROOT_INO, NULL, &e);
    assert_null(s);
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.msg, "the entries of '/sub/deep' in the image: damaged"));
}

/* The root's is looked at when an image is opened: root's kernel would meet it without our reader.
 */
static void a_root_that_is_no_sound_directory_is_refused(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    uint64_t root = inode_at(&p, IMAGE_ROOT_INO);
    uint32_t block = get32(&p, root + BLOCK);
    stretch(&p, "/", 64, block, 0);
    accepted(&p);
    stretch(&p, "/", 65, block, 0);
    refused(&p, "root directory");
    static const uint32_t bad[] = { 0, 1, 1023, 1025, 601 * BS, 0xfffffc00 };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        put32(&p, root + SIZE, bad[i]);
        refused(&p, "root directory");
    }
}

/* A directory of 1 GiB and one block is longer than any index can be. */
static void a_directory_has_at_most_a_gibibyte(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *path = path_join(dir, "large.img");
    struct image_create_spec spec = { .path = path, .size_bytes = 1200ull << 20 };
    assert_int_equal(image_create(&spec, NULL), 0);
    struct patient p = { .fd = open(path, O_RDWR | O_CLOEXEC) };
    enum { LARGE = 4096 };
    uint64_t root = (uint64_t)get32(&p, LARGE + 8) * LARGE + get16(&p, SB + 88);
    put32(&p, root + SIZE, 1u << 30);
    refused(&p, "root directory"); /* it has holes */
    struct image_stat st;
    put32(&p, root + SIZE, LARGE);
    auto_image_reader struct image_reader *r = case_reader_open(p.fd, 0);
    uint32_t ino = 0;
    assert_int_equal(image_read_lookup(r, IMAGE_ROOT_INO, "lost+found", 10, &ino), 0);
    root += (uint64_t)(ino - IMAGE_ROOT_INO) * get16(&p, SB + 88);
    put32(&p, root + SIZE, 1u << 30);
    assert_int_equal(stat_of(&p, ino, &st), 0);
    put32(&p, root + SIZE, (1u << 30) + LARGE);
    assert_int_equal(stat_of(&p, ino, &st), -EUCLEAN);
    close(p.fd);
}

/* I16 */
static void a_directory_that_contains_its_parent_can_be_walked(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    put32(&p, dirent_at(&p, "sub", "deep"), IMAGE_ROOT_INO);
    auto_image_reader struct image_reader *r = case_reader_open(p.fd, 0);
    auto_str struct str path = { 0 };
    uint32_t ino, hello;
    for (int i = 0; i < 400; i++)
        str_add(&path, "sub/deep/");
    assert_int_equal(image_read_path(r, "hello", false, &hello), 0);
    str_add(&path, "hello");
    assert_int_equal(image_read_path(r, path.data, false, &ino), 0);
    assert_int_equal(ino, hello);
    assert_int_equal(image_read_path(r, "sub/deep/../..", false, &ino), 0);
    assert_int_equal(ino, IMAGE_ROOT_INO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_entries_are_skipped_or_end_the_directory),
        cmocka_unit_test(a_directory_holds_a_block_once),
        cmocka_unit_test(a_large_directory_of_its_own_blocks_is_read),
        cmocka_unit_test(two_directories_share_no_block),
        cmocka_unit_test(a_root_that_is_no_sound_directory_is_refused),
        cmocka_unit_test(a_directory_has_at_most_a_gibibyte),
        cmocka_unit_test(a_directory_that_contains_its_parent_can_be_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
