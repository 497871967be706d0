/* SPDX-License-Identifier: BSD-3-Clause */
/* Extended attributes: sound ones of every kind, then hostile ones. */
#include "tests/image/hostile_case.h"

enum { XATTR_BLOCK = 104, HEAD = 32 };

static ssize_t get(const struct patient *p, const char *name, void *buf, size_t len)
{
    auto_image_reader struct image_reader *r = case_reader_open(p->fd, 0);
    uint32_t ino;
    assert_int_equal(image_read_path(r, "hello", false, &ino), 0);
    return image_read_xattr(r, ino, name, buf, len);
}

static ssize_t list(const struct patient *p)
{
    char names[4096];
    auto_image_reader struct image_reader *r = case_reader_open(p->fd, 0);
    uint32_t ino;
    assert_int_equal(image_read_path(r, "hello", false, &ino), 0);
    return image_read_xattr_list(r, ino, names, sizeof names);
}

/* Where the block of hello's attributes begins. */
static uint64_t block_at(const struct patient *p)
{
    uint64_t block = get32(p, inode_at(p, ino_of(p, "hello")) + XATTR_BLOCK);
    assert_true(block > 0);
    return block * BS;
}

static void attributes_in_a_block_are_checked_field_by_field(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    char buf[4096];
    struct {
        uint32_t at, value;
        ssize_t result;
    } const bad[] = {
        { 0, 0xea020001, -EUCLEAN },         /* magic */
        { 8, 0, -EUCLEAN },                  /* blocks */
        { 8, 2, -EUCLEAN },                  /* blocks */
        { 4, 0, 5 },                         /* reference count: not ours to mind */
        { 12, 77, 5 },                       /* hash: neither */
        { HEAD, 0x000001ff, -ENODATA },      /* a name that swallows its neighbours */
        { HEAD, 0xffff0103, -EUCLEAN },      /* value outside */
        { HEAD, 0x03fd0103, -EUCLEAN },      /* value runs over the end */
        { HEAD + 4, 1, -EUCLEAN },           /* value in an inode */
        { HEAD + 8, 1024, -EUCLEAN },        /* longer than the block */
        { HEAD + 8, UINT32_MAX, -EUCLEAN },  /* longer than anything */
        { HEAD, 0, -ENODATA },               /* an end before the first */
        { HEAD + 16, 0x00656e00, -ENODATA }, /* NUL in the name */
    };
    uint64_t at = block_at(&p);
    assert_int_equal(get(&p, "user.one", buf, sizeof buf), 5);
    assert_memory_equal(buf, "first", 5);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint32_t was = get32(&p, at + bad[i].at);
        put32(&p, at + bad[i].at, bad[i].value);
        ssize_t got = get(&p, "user.one", buf, sizeof buf);
        if (got != bad[i].result)
            fail_msg("word %u = 0x%x gives %zd", bad[i].at, bad[i].value, got);
        assert_true(list(&p) >= -EUCLEAN);
        put32(&p, at + bad[i].at, was);
    }
    uint32_t first = get32(&p, at + HEAD);
    for (uint64_t x = HEAD; x < BS; x += 272) { /* long names, the last of them over the end */
        put32(&p, at + x, 0x000001ff);
        put32(&p, at + x + 4, 0);
        put32(&p, at + x + 8, 0);
    }
    assert_int_equal(get(&p, "user.none", buf, sizeof buf), -EUCLEAN);
    put32(&p, at + HEAD, first);

    static const uint32_t astray[] = { 1, 600, 601, UINT32_MAX };
    uint64_t inode = inode_at(&p, ino_of(&p, "hello"));
    for (size_t i = 0; i < ARRAY_LEN(astray); i++) {
        put32(&p, inode + XATTR_BLOCK, astray[i]);
        assert_int_equal(get(&p, "user.one", buf, sizeof buf), -EUCLEAN);
        assert_int_equal(list(&p), -EUCLEAN);
    }
    put32(&p, inode + XATTR_BLOCK, 0);
    assert_int_equal(get(&p, "user.one", buf, sizeof buf), -ENODATA);
    assert_int_equal(list(&p), 0);
}

static void attributes_in_the_inode_are_checked_too(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_init(&p, (const char *[]){ "-t", "ext2", "-b", "1024", "-I", "512", "-N", "64", NULL });
    char buf[4096];
    assert_int_equal(get(&p, "user.one", buf, sizeof buf), 5);
    assert_int_equal(get(&p, "user.two", buf, sizeof buf), 190);
    assert_int_equal(list(&p), 18);
    uint64_t inode = inode_at(&p, ino_of(&p, "hello"));
    uint64_t at = inode + 128 + get16(&p, inode + 128) + 4;
    uint32_t was = get32(&p, at + 8);
    static const uint32_t sizes[] = { 400, 512, 0x7fffffff, UINT32_MAX };
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        put32(&p, at + 8, sizes[i]);
        assert_int_equal(get(&p, "user.two", buf, sizeof buf), -EUCLEAN);
        assert_int_equal(list(&p), -EUCLEAN);
    }
    put32(&p, at + 8, was);
    put32(&p, at - 4, 0); /* no magic: no attributes */
    assert_int_equal(list(&p), 0);
}

/* A block whose first attribute is an ACL of N bytes, as ext stores it. */
static void put_acl(const struct patient *p, const uint8_t *acl, size_t n)
{
    uint64_t at = block_at(p);
    put32(p, at + HEAD, 0x03000200); /* access ACL: no name, value at 0x300 */
    put32(p, at + HEAD + 4, 0);
    put32(p, at + HEAD + 8, (uint32_t)n);
    put32(p, at + HEAD + 16, 0);
    assert_int_equal(pwrite(p->fd, acl, n, (off_t)(at + 0x300)), n);
}

static void acls_are_given_in_the_form_of_the_system_calls_or_not_at_all(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    patient_ext2(&p);
    static const char name[] = "system.posix_acl_access";
    uint8_t buf[4096];
    const uint8_t sound[] = { 1, 0, 0, 0,              /* version */
                              1, 0, 6, 0,              /* owner rw */
                              2, 0, 4, 0, 7,  0, 0, 0, /* user 7 r */
                              4, 0, 4, 0, 16, 0, 4, 0, 32, 0, 0, 0 };
    const uint8_t wanted[] = { 2,    0,    0,    0,    1,    0,    6,  0,    0xff, 0xff, 0xff,
                               0xff, 2,    0,    4,    0,    7,    0,  0,    0,    4,    0,
                               4,    0,    0xff, 0xff, 0xff, 0xff, 16, 0,    4,    0,    0xff,
                               0xff, 0xff, 0xff, 32,   0,    0,    0,  0xff, 0xff, 0xff, 0xff };
    put_acl(&p, sound, sizeof sound);
    assert_int_equal(get(&p, name, buf, sizeof buf), sizeof wanted);
    assert_memory_equal(buf, wanted, sizeof wanted);
    assert_int_equal(get(&p, name, buf, 10), -ERANGE);
    assert_int_equal(list(&p), sizeof name);

    static const struct {
        size_t at;
        uint8_t value;
    } bad[] = { { 0, 2 }, { 0, 0 }, { 3, 1 }, { 4, 3 }, { 4, 0 }, { 5, 1 }, { 6, 8 }, { 7, 1 } };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t acl[sizeof sound];
        memcpy(acl, sound, sizeof acl);
        acl[bad[i].at] = bad[i].value;
        put_acl(&p, acl, sizeof acl);
        assert_int_equal(get(&p, name, buf, sizeof buf), -EUCLEAN);
    }
    static const size_t cut[] = { 0, 1, 3, 5, 10, 13, 15, 27 };
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        put_acl(&p, sound, cut[i]);
        assert_int_equal(get(&p, name, buf, sizeof buf), -EUCLEAN);
    }
    put_acl(&p, sound, sizeof sound);
    put32(&p, block_at(&p) + HEAD, 0x03000900); /* a kind of name that is not known */
    assert_int_equal(list(&p), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_in_a_block_are_checked_field_by_field),
        cmocka_unit_test(attributes_in_the_inode_are_checked_too),
        cmocka_unit_test(acls_are_given_in_the_form_of_the_system_calls_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
