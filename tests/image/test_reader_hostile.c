/* SPDX-License-Identifier: BSD-3-Clause */
/* Hostile inodes, maps and links. */
#include "tests/image/hostile_case.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    MODE = 0,
    SIZE = 4,
    DTIME = 20,
    NLINK = 26,
    FLAGS = 32,
    BLOCK = 40,
    XATTR_BLOCK = 104,
    SIZE_HIGH = 108
};

static int stat_of(const struct patient *p, uint32_t ino, struct image_stat *st)
{
    auto_image_reader struct image_reader *r = case_reader_open(p->fd, 0);
    return image_read_stat(r, ino, st);
}

static ssize_t read_of(const struct patient *p, uint32_t ino, uint64_t at)
{
    uint8_t buf[3000];
    auto_image_reader struct image_reader *r = case_reader_open(p->fd, 0);
    return image_read_data(r, ino, buf, sizeof buf, at);
}

static ssize_t link_of(const struct patient *p, uint32_t ino)
{
    char buf[8192];
    auto_image_reader struct image_reader *r = case_reader_open(p->fd, 0);
    return image_read_link(r, ino, buf, sizeof buf);
}

/* I03, I04 */
static void inode_flags_without_their_feature_make_the_inode_unreadable(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    struct image_stat st;
    static const uint32_t harmless = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x400 |
                                     0x1000 | 0x4000 | 0x8000 | 0x10000 | 0x20000 | 0x400000 |
                                     0x2000000 | 0x20000000;
    uint32_t ino = ino_of(&p, "file");
    assert_int_equal(read_of(&p, ino, 0), 3000);
    for (unsigned b = 0; b < 32; b++) {
        put32(&p, inode_at(&p, ino) + FLAGS, 1u << b);
        if (harmless & 1u << b) {
            assert_int_equal(stat_of(&p, ino, &st), 0);
            assert_int_equal(read_of(&p, ino, 0), 3000);
        } else {
            assert_int_equal(stat_of(&p, ino, &st), -EUCLEAN);
            assert_int_equal(read_of(&p, ino, 0), -EUCLEAN);
        }
    }
    put32(&p, inode_at(&p, ino) + FLAGS, 0x10000000); /* inline data of 100 kB */
    put32(&p, inode_at(&p, ino) + SIZE, 100000);
    assert_int_equal(read_of(&p, ino, 0), -EUCLEAN);
}

/* I20, I21 */
static void maps_that_lead_astray_end_with_an_error(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    uint32_t ino = ino_of(&p, "file");
    uint64_t inode = inode_at(&p, ino), indirect = get32(&p, inode + BLOCK + 48);
    static const uint32_t astray[] = { 600, 601, 0x7fffffff, UINT32_MAX, 1 };
    assert_int_equal(read_of(&p, ino, 0), 3000);
    assert_int_equal(read_of(&p, ino, 20000), 3000);
    for (size_t i = 0; i < ARRAY_LEN(astray); i++) {
        uint32_t was = get32(&p, inode + BLOCK);
        put32(&p, inode + BLOCK, astray[i]);
        assert_int_equal(read_of(&p, ino, 0), -EUCLEAN);
        put32(&p, inode + BLOCK, was);
        put32(&p, inode + BLOCK + 48, astray[i]);
        assert_int_equal(read_of(&p, ino, 20000), -EUCLEAN);
        put32(&p, inode + BLOCK + 48, (uint32_t)indirect);
    }
    /* A triple-indirect block that is all levels at once: every read is bounded by its length. */
    for (uint64_t i = 0; i < BS / 4; i++)
        put32(&p, indirect * BS + i * 4, (uint32_t)indirect);
    for (unsigned level = 12; level < 15; level++)
        put32(&p, inode + BLOCK + level * 4, (uint32_t)indirect);
    put32(&p, inode + SIZE_HIGH, 3);
    assert_int_equal(read_of(&p, ino, 20000), 3000);
    assert_int_equal(read_of(&p, ino, 3ull << 32), 3000);
    auto_image_reader struct image_reader *r = case_reader_open(p.fd, 0);
    assert_int_equal(image_read_seek(r, ino, 0, true), (3ll << 32) + 40000);
}

static void sizes_beyond_the_map_are_damage_and_holes_cost_nothing(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    uint32_t ino = ino_of(&p, "file");
    uint64_t inode = inode_at(&p, ino);
    struct image_stat st;
    static const uint32_t high[] = { 0x7fffffff, 0x80000000, UINT32_MAX, 5 };
    for (size_t i = 0; i < ARRAY_LEN(high); i++) {
        put32(&p, inode + SIZE_HIGH, high[i]);
        assert_int_equal(stat_of(&p, ino, &st), -EUCLEAN);
    }
    put32(&p, inode + SIZE_HIGH, 3); /* 16 GiB, nothing behind the first blocks */
    assert_int_equal(stat_of(&p, ino, &st), 0);
    assert_int_equal(read_of(&p, ino, 3ull << 32), 3000);
    auto_image_reader struct image_reader *r = case_reader_open(p.fd, 0);
    assert_int_equal(image_read_seek(r, ino, 50000, false), -ENXIO);
    assert_int_equal(image_read_seek(r, ino, 0, true), 40960);
}

/* I22 */
static void links_that_lie_about_their_length_are_refused(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    uint32_t fast = ino_of(&p, "fast"), slow = ino_of(&p, "slow");
    assert_int_equal(link_of(&p, fast), 8);
    assert_int_equal(link_of(&p, slow), 199);
    static const uint32_t bad_fast[] = { 0, 9, 59, 60, 61, 4095, 4096, 64 << 20, UINT32_MAX };
    static const uint32_t bad_slow[] = { 0, 200, 1024, 4095, 4096, 64 << 20, UINT32_MAX };
    for (size_t i = 0; i < ARRAY_LEN(bad_fast); i++) {
        put32(&p, inode_at(&p, fast) + SIZE, bad_fast[i]);
        assert_int_equal(link_of(&p, fast), -EUCLEAN);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_slow); i++) {
        put32(&p, inode_at(&p, slow) + SIZE, bad_slow[i]);
        assert_int_equal(link_of(&p, slow), -EUCLEAN);
    }
    put32(&p, inode_at(&p, fast) + SIZE, 8);
    put8(&p, inode_at(&p, fast) + BLOCK + 3, 0);
    assert_int_equal(link_of(&p, fast), -EUCLEAN);
}

/* I26, I27, I28 */
static void odd_fields_of_an_inode_do_no_harm(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_init(&p, (const char *[]){ "-t", "ext2", "-b", "1024", "-I", "256", "-N", "64", NULL });
    uint32_t ino = ino_of(&p, "file");
    uint64_t inode = inode_at(&p, ino);
    struct image_stat st;

    put32(&p, inode + DTIME, 12345);
    put32(&p, inode + 16, 0x80000000);  /* mtime */
    put32(&p, inode + 136, UINT32_MAX); /* its extension */
    put16(&p, inode + 2, 0xffff);
    put16(&p, inode + 120, 0xffff); /* uid */
    assert_int_equal(stat_of(&p, ino, &st), 0);
    assert_int_equal(st.uid, UINT32_MAX);
    assert_int_equal(st.mtime, (int64_t)INT32_MIN + (3ll << 32));
    assert_int_equal(st.mtime_nsec, 999999999);

    static const uint16_t modes[] = { S_IFIFO | 0644, S_IFSOCK | 0644, S_IFCHR | 0644,
                                      S_IFBLK | 0644 };
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        put16(&p, inode + MODE, modes[i]);
        assert_int_equal(stat_of(&p, ino, &st), 0);
        assert_int_equal(st.size, 0);
        assert_int_equal(read_of(&p, ino, 0), -EINVAL);
    }
    static const uint16_t no_modes[] = { 0, 0644, 0x3000, 0x5000, 0x7000, 0xe000, 0xf000 };
    for (size_t i = 0; i < ARRAY_LEN(no_modes); i++) {
        put16(&p, inode + MODE, no_modes[i]);
        assert_int_equal(stat_of(&p, ino, &st), -EUCLEAN);
    }
    put16(&p, inode + MODE, S_IFREG | 0644);
    put16(&p, inode + NLINK, 0);
    assert_int_equal(stat_of(&p, ino, &st), -EUCLEAN);
    put16(&p, inode + NLINK, 1);
    static const uint16_t extra[] = { 1, 30, 129, 132, 0xfffc };
    for (size_t i = 0; i < ARRAY_LEN(extra); i++) {
        put16(&p, inode + 128, extra[i]);
        assert_int_equal(stat_of(&p, ino, &st), -EUCLEAN);
    }
}

/* Extent trees that lie. */
static void extents_are_checked_node_by_node(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_init(&p, (const char *[]){ "-t", "ext4", "-b", "1024", "-N", "64", "-O",
                                       "^has_journal,^64bit,^metadata_csum", NULL });
    uint32_t ino = ino_of(&p, "file");
    uint64_t x = inode_at(&p, ino) + BLOCK;
    struct {
        uint32_t at, value;
        ssize_t result;
    } const bad[] = {
        { 0, 0x0001f30b, -EUCLEAN },  /* magic */
        { 0, 0x0005f30a, -EUCLEAN },  /* more entries than fit */
        { 4, 0x00000100, -EUCLEAN },  /* a maximum that does not fit */
        { 4, 0x00060004, -EUCLEAN },  /* too deep */
        { 4, 0x00010004, -EUCLEAN },  /* an index that is none */
        { 12, 1, 3000 },              /* begins later: a hole before it */
        { 16, 0x00000000, 3000 },     /* no length: a hole */
        { 16, 0x0000ffff, 3000 },     /* never written: zeros, or past the end */
        { 16, 0x00008000, -EUCLEAN }, /* longer than the image */
        { 16, 0xffff0028, -EUCLEAN }, /* far away */
        { 20, 599, -EUCLEAN },
        { 20, 0, -EUCLEAN },
        { 20, UINT32_MAX, -EUCLEAN },
    };
    assert_int_equal(read_of(&p, ino, 0), 3000);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint32_t was = get32(&p, x + bad[i].at);
        put32(&p, x + bad[i].at, bad[i].value);
        ssize_t got = read_of(&p, ino, 0);
        if (got != bad[i].result && !(bad[i].value == 0xffff && got == -EUCLEAN))
            fail_msg("extent word %u = 0x%x gives %zd", bad[i].at, bad[i].value, got);
        put32(&p, x + bad[i].at, was);
    }
    assert_int_equal(read_of(&p, ino, 0), 3000);
}

struct vandal {
    const struct patient *p;
    atomic_bool stop;
};

static void *vandalise(void *arg)
{
    struct vandal *v = arg;
    unsigned seed = 5;
    static const uint32_t fields[] = { SIZE, BLOCK, BLOCK + 4, BLOCK + 48, XATTR_BLOCK };
    uint64_t table = inode_at(v->p, 11);
    for (unsigned i = 0; !atomic_load(&v->stop); i++) {
        uint64_t at = 1024 + (uint64_t)rand_r(&seed) % (598 * 1024);
        if (i % 64) /* most of it is where it matters, in what leads to more */
            at = table + (uint64_t)rand_r(&seed) % 53 * 128 +
                 fields[(size_t)rand_r(&seed) % ARRAY_LEN(fields)];
        put32(v->p, at, (uint32_t)rand_r(&seed) % 700);
    }
    return NULL;
}

/* I34 */
static void an_image_that_changes_under_the_reader_crashes_nothing(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    auto_image_reader struct image_reader *r = case_reader_open(p.fd, 0);
    struct vandal v = { .p = &p };
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, vandalise, &v), 0);
    char buf[5000];
    int ok = 0;
    for (unsigned i = 0; i < 4000; i++) {
        struct image_reader *fresh = NULL;
        if (i % 53 == 0 && image_reader_open(p.fd, 0, &fresh, NULL) == 0) {
            image_reader_close(r); /* or all that it asks for comes from its cache */
            r = fresh;
        }
        uint32_t ino = 11 + i % 53;
        struct image_stat st;
        ok += image_read_stat(r, ino, &st) == 0;
        ok += image_read_data(r, ino, buf, sizeof buf, i * 7) > 0;
        ok += image_read_link(r, ino, buf, sizeof buf) > 0;
        ok += image_read_path(r, "sub/deep/../../hello", true, &ino) == 0;
        ok += image_read_xattr_list(r, ino, buf, sizeof buf) > 0;
    }
    atomic_store(&v.stop, true);
    pthread_join(thread, NULL);
    assert_true(ok > 0);
}

/* I35: a buffer is filled whole with what the image says, or the call fails. */
static void what_was_not_read_is_never_shown(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    uint64_t table = inode_at(&p, 1);
    unsigned seed = 3, n_read = 0;
    put32(&p, inode_at(&p, ino_of(&p, "file")) + BLOCK + 4, 0); /* a hole, which is no read */
    for (unsigned round = 0; round < 300; round++) {
        uint64_t at = table + (uint64_t)rand_r(&seed) % (64 * 128 - 4);
        uint32_t was = get32(&p, at);
        put32(&p, at, round % 2 ? (uint32_t)rand_r(&seed) % 700 : (uint32_t)rand_r(&seed));
        auto_image_reader struct image_reader *r = NULL;
        if (image_reader_open(p.fd, 0, &r, NULL) == 0)
            for (uint32_t ino = 11; ino <= 30; ino++) {
                uint8_t a[5000], b[5000];
                memset(a, 0xa5, sizeof a);
                memset(b, 0x5a, sizeof b);
                ssize_t n = image_read_data(r, ino, a, sizeof a, round * 31);
                assert_int_equal(image_read_data(r, ino, b, sizeof b, round * 31), n);
                if (n > 0)
                    assert_memory_equal(a, b, (size_t)n);
                n_read += n > 0;
                n = image_read_link(r, ino, (char *)a, sizeof a);
                assert_int_equal(image_read_link(r, ino, (char *)b, sizeof b), n);
                if (n > 0)
                    assert_memory_equal(a, b, (size_t)n);
            }
        put32(&p, at, was);
    }
    assert_true(n_read > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inode_flags_without_their_feature_make_the_inode_unreadable),
        cmocka_unit_test(maps_that_lead_astray_end_with_an_error),
        cmocka_unit_test(sizes_beyond_the_map_are_damage_and_holes_cost_nothing),
        cmocka_unit_test(links_that_lie_about_their_length_are_refused),
        cmocka_unit_test(odd_fields_of_an_inode_do_no_harm),
        cmocka_unit_test(extents_are_checked_node_by_node),
        cmocka_unit_test(an_image_that_changes_under_the_reader_crashes_nothing),
        cmocka_unit_test(what_was_not_read_is_never_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
