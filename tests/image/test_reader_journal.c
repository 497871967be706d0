/* SPDX-License-Identifier: BSD-3-Clause */
/* Images that were not unmounted: the journal is replayed in memory, or refused with the cure. */
#include "tests/image/hostile_case.h"

#include <endian.h>

enum { MARK = 2048 };

static uint32_t be(uint32_t v)
{
    return htobe32(v);
}

/* An ext3 whose journal holds what debugfs wrote there by COMMANDS (%s: a file of two blocks). */
static void dirty(struct patient *p, const char *commands, uint32_t *file_block)
{
    p->dir = case_dir_new();
    auto_free char *tree = path_join(p->dir, "tree"), *blocks = path_join(p->dir, "blocks");
    auto_free char *script = path_join(p->dir, "script");
    uint8_t data[MARK];
    assert_int_equal(mkdir(tree, 0755), 0);
    case_pattern_file(tree, "file", 40000, 3);
    case_file(tree, "hello", "hello\n", 6);
    const char *const words[] = { "-t", "ext3", "-b", "1024", "-J", "size=1", NULL };
    p->path = case_image_new(p->dir, tree, words, "4M");
    p->fd = open(p->path, O_RDWR | O_CLOEXEC);
    assert_true(p->fd >= 0);
    p->inode_bytes = get16(p, SB + 88);
    *file_block = get32(p, inode_at(p, ino_of(p, "file")) + 40);

    memset(data, 'J', sizeof data);
    case_file(p->dir, "blocks", data, sizeof data);
    auto_str struct str text = { 0 };
    for (const char *c = commands; *c; c++)
        if (*c == '%')
            str_add(&text, blocks);
        else if (*c == '@')
            str_addf(&text, "%u,%u", *file_block, *file_block + 1);
        else
            str_add_c(&text, *c);
    case_file(p->dir, "script", text.data, text.len);
    case_run((const char *[]){ "debugfs", "-w", "-f", script, p->path, NULL });
    assert_true(get32(p, SB + 96) & 4); /* needs_recovery */
}

static void read_file(const struct patient *p, uint8_t *buf, size_t len)
{
    auto_image_reader struct image_reader *r = case_reader_open(p->fd, 0);
    uint32_t ino;
    assert_int_equal(image_read_path(r, "file", false, &ino), 0);
    assert_int_equal(image_read_data(r, ino, buf, len, 0), len);
}

static uint64_t checksum(const struct patient *p)
{
    uint64_t sum = 0;
    uint32_t buf[1024];
    for (off_t at = 0; pread(p->fd, buf, sizeof buf, at) == sizeof buf; at += sizeof buf)
        for (size_t i = 0; i < ARRAY_LEN(buf); i++)
            sum = sum * 31 + buf[i];
    return sum;
}

static void what_the_journal_holds_is_read_and_the_image_left_alone(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    uint32_t block;
    uint8_t buf[4096], want[4096];
    dirty(&p, "jo\njw -b @ %\njc\n", &block);
    uint64_t before = checksum(&p);
    case_pattern(want, sizeof want, 0, 3);
    memset(want, 'J', MARK);
    read_file(&p, buf, sizeof buf);
    assert_memory_equal(buf, want, sizeof want);
    assert_true(checksum(&p) == before);

    /* e2fsck's own replay comes to the same */
    int status = 0;
    const char *const argv[] = { "e2fsck", "-fy", p.path, NULL };
    const struct proc_spec spec = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1
    };
    assert_int_equal(proc_run(&spec, &status, NULL), 0);
    assert_true(status <= 1);
    assert_false(get32(&p, SB + 96) & 4);
    read_file(&p, buf, sizeof buf);
    assert_memory_equal(buf, want, sizeof want);
}

static void what_was_revoked_later_does_not_come_back(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    uint32_t block;
    uint8_t buf[4096], want[4096];
    dirty(&p, "jo\njw -b @ %\njw -r @\njc\n", &block);
    case_pattern(want, sizeof want, 0, 3);
    read_file(&p, buf, sizeof buf);
    assert_memory_equal(buf, want, sizeof want);
}

/* Byte offset of block N of the journal, which lies in one piece after its first indirect block. */
static uint64_t log_at(const struct patient *p, uint32_t n)
{
    uint64_t inode = inode_at(p, 8);
    assert_true(n < 12);
    return (uint64_t)get32(p, inode + 40 + n * 4) * BS;
}

static void what_was_not_committed_does_not_count(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    uint32_t block;
    uint8_t buf[4096], want[4096];
    dirty(&p, "jo\njw -b @ %\njc\n", &block);
    put32(&p, log_at(&p, 4) + 8, be(99)); /* descriptor, two blocks, then the commit */
    case_pattern(want, sizeof want, 0, 3);
    read_file(&p, buf, sizeof buf);
    assert_memory_equal(buf, want, sizeof want);
}

static void a_hostile_journal_is_refused_with_the_cure(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    uint32_t block;
    dirty(&p, "jo\njw -b @ %\njw -r 30,31\njc\n", &block);
    uint64_t sb = log_at(&p, 0);
    struct {
        uint64_t at;
        uint32_t value;
    } const bad[] = {
        { sb, be(1) },             /* magic */
        { sb + 4, be(7) },         /* kind of block */
        { sb + 12, be(4096) },     /* block size */
        { sb + 16, be(1u << 30) }, /* length */
        { sb + 20, 0 },            /* first */
        { sb + 20, be(5000) },
        { sb + 28, be(5000) }, /* start */
        { sb + 36, be(1) },    /* features */
        { sb + 40, be(8) },
        { sb + 40, be(16) },
        { sb + 40, be(1u << 31) },
        { log_at(&p, 1) + 12, be(UINT32_MAX) }, /* a block outside of the image */
        { inode_at(&p, 8), 0 },                 /* no journal */
        { inode_at(&p, 8) + 40, 0 },            /* a hole */
        { inode_at(&p, 8) + 40, UINT32_MAX },
        { SB + 224, 12 }, /* another inode */
        { SB + 224, UINT32_MAX },
    };
    accepted(&p);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_err struct err e = { 0 };
        auto_image_reader struct image_reader *r = NULL;
        uint32_t was = get32(&p, bad[i].at);
        put32(&p, bad[i].at, bad[i].value);
        if (image_reader_open(p.fd, 0, &r, &e) == 0)
            fail_msg("case %zu opens", i);
        assert_int_equal(e.code, ERR_INPUT);
        assert_non_null(strstr(e.hint, "hpcc check --repair"));
        put32(&p, bad[i].at, was);
    }
    accepted(&p);
    put32(&p, sb + 28, 0); /* nothing in it after all */
    accepted(&p);
}

/* Nothing but descriptors of one transaction: each is followed by the next, and no commit comes. */
static void a_log_that_runs_in_a_circle_is_refused(void **state)
{
    (void)state;
    auto_patient struct patient p = { .fd = -1 };
    uint32_t block;
    uint8_t descriptor[BS];
    dirty(&p, "jo\njw -b @ %\njc\n", &block);
    accepted(&p);
    assert_int_equal(pread(p.fd, descriptor, BS, (off_t)log_at(&p, 1)), BS);
    for (uint32_t n = 2; n < 9; n++)
        assert_int_equal(pwrite(p.fd, descriptor, BS, (off_t)log_at(&p, n)), BS);
    put32(&p, log_at(&p, 0) + 16, be(9));
    refused(&p, "its journal is damaged");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_journal_holds_is_read_and_the_image_left_alone),
        cmocka_unit_test(what_was_revoked_later_does_not_come_back),
        cmocka_unit_test(what_was_not_committed_does_not_count),
        cmocka_unit_test(a_hostile_journal_is_refused_with_the_cure),
        cmocka_unit_test(a_log_that_runs_in_a_circle_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
