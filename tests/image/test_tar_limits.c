/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/tar_case.h"

/* B26 */
static void lying_headers_are_refused(void **state)
{
    (void)state;
    struct str t = { 0 };
    tar_pax(&t, "size", "9223372036854775808");
    file(&t, "big", "x");
    assert_refused(&t, "");
    tar_entry(&t,
              &(struct entry){ "big", '0', .size = "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff" });
    assert_refused(&t, "");
    tar_entry(&t, &(struct entry){ "neg", '0',
                                   .size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" });
    assert_refused(&t, "");
    tar_entry(&t, &(struct entry){ "old", '0', .mtime = "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0" });
    assert_refused(&t, "time");
    tar_pax(&t, "mtime", "99999999999999999999");
    file(&t, "late", "x");
    assert_refused(&t, "time");
    tar_pax(&t, "uid", "-5");
    file(&t, "who", "x");
    assert_refused(&t, "");
    tar_pax(&t, "uid", "4294967295");
    file(&t, "who", "x");
    assert_refused(&t, "user or group");
}

static void long_names_are_bounded(void **state)
{
    (void)state;
    struct str t = { 0 };
    auto_free char *path = mem_zero(1, 900001);
    for (size_t i = 0; i < 900000; i++)
        path[i] = i % 2 ? '/' : 'd';
    tar_pax(&t, "path", path);
    file(&t, "x", "x");
    assert_refused(&t, "longer than 4095");
    memset(path, 'n', 300);
    path[300] = 0;
    tar_pax(&t, "path", path);
    file(&t, "x", "x");
    assert_refused(&t, "longer than 255");
    path[255] = 0;
    tar_pax(&t, "path", path);
    file(&t, "x", NULL);
    auto_free char *want = mem_printf("/%s", path);
    assert_tree(&t, want);
    tar_pax(&t, "linkpath", "");
    lnk(&t, "l", '2', "");
    assert_refused(&t, "without a usable target");
}

/* An archive with one file of GNU.sparse 1.0, with MAP before its data. */
static void sparse(struct str *tar, const char *map, const char *size)
{
    char body[1024] = { 0 };
    snprintf(body, 512, "%s", map);
    memset(body + 512, 'd', 512);
    struct str pax = { 0 };
    str_addf(&pax, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n");
    str_addf(&pax, "%zu GNU.sparse.realsize=%s\n", strlen(size) + 24, size);
    tar_entry(tar, &(struct entry){ "pax", 'x', .data = pax.data, .data_len = pax.len });
    tar_entry(tar, &(struct entry){ "s", '0', .data = body, .data_len = sizeof body });
    str_free(&pax);
}

static void holes_are_kept(void **state)
{
    (void)state;
    struct str t = { 0 };
    sparse(&t, "2\n65536\n512\n1048576\n0\n", "1048576");
    auto_err struct err e = { 0 };
    auto_source struct source *s = import(&t, &e);
    assert_null(e.msg);
    struct source_node *n = source_find(s, s->root, "s", 1);
    assert_int_equal(n->size, 1048576);
    assert_int_equal(s->ops->seek(s->ctx, n, 0, false, NULL), 65536);
    assert_int_equal(s->ops->seek(s->ctx, n, 0, true, NULL), 0);
    assert_int_equal(s->ops->seek(s->ctx, n, 65600, true, NULL), 66048);
    assert_int_equal(s->ops->seek(s->ctx, n, 66048, false, NULL), 1048576);
    char buf[4] = "????";
    assert_int_equal(s->ops->read(s->ctx, n, buf, 4, 65534, NULL), 4);
    assert_memory_equal(buf, "\0\0dd", 4);
    assert_int_equal(s->ops->read(s->ctx, n, buf, 4, 1048574, NULL), 2);
    str_free(&t);
}

static void sparse_maps_that_lie_are_refused(void **state)
{
    (void)state;
    static const char *const maps[] = {
        "2\n0\n300\n100\n212\n",         /* overlap */
        "2\n900\n256\n0\n256\n",         /* descending */
        "1\n1048000\n512\n",             /* beyond the size */
        "1\n9223372036854775000\n512\n", /* far beyond it */
        "1\n-1\n512\n",
        "junk\n",
        "9999999999\n0\n512\n",
    };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        struct str t = { 0 };
        sparse(&t, maps[i], "1048064");
        assert_refused(&t, "");
    }
    struct str t = { 0 };
    sparse(&t, "1\n0\n512\n", "9223372036854775807");
    assert_refused(&t, "larger than the 2 TiB");
}

/* A map of N holes costs four bytes each in the archive, and twelve times that in memory. */
static void add_map(struct str *tar, size_t n)
{
    auto_str struct str body = { 0 }, pax = { 0 };
    str_addf(&body, "%zu\n", n);
    for (size_t i = 0; i < n; i++)
        str_add(&body, "0\n0\n");
    while (body.len % 512)
        str_add_c(&body, 0);
    str_addf(&pax, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
                   "31 GNU.sparse.realsize=1048576\n");
    tar_entry(tar, &(struct entry){ "pax", 'x', .data = pax.data, .data_len = pax.len });
    tar_entry(tar, &(struct entry){ "s", '0', .data = body.data, .data_len = body.len });
}

static void a_header_has_at_most_16_mib(void **state)
{
    (void)state;
    struct str t = { 0 };
    add_map(&t, 2 << 20);
    tar_end(&t);
    auto_err struct err e = { 0 };
    auto_source struct source *s = import_limited(&t, 1ull << 40, 1000, &e);
    assert_null(e.msg);
    assert_non_null(s);
    str_free(&t);
    add_map(&t, 5 << 20);
    tar_end(&t);
    auto_err struct err why = { 0 };
    assert_null(import_limited(&t, 1ull << 40, 1000, &why));
    assert_int_equal(why.code, ERR_INPUT);
    assert_non_null(strstr(why.msg, "too long"));
    err_clear(&why);
    assert_null(import_limited(&t, 1 << 20, 1000, &why)); /* what is allowed in all comes first */
    assert_non_null(strstr(why.msg, "unpacks to more than"));
    str_free(&t);
}

/* Contents have no such bound: only headers are kept in memory. */
static void contents_may_be_larger_than_any_header(void **state)
{
    (void)state;
    struct str t = { 0 };
    enum { LARGE = 20 << 20 };
    auto_free char *data = mem_zero(1, LARGE);
    tar_entry(&t, &(struct entry){ "a", '0', .data = data, .data_len = LARGE });
    tar_entry(&t, &(struct entry){ "b", '0', .data = data, .data_len = LARGE });
    file(&t, "c", NULL);
    tar_end(&t);
    auto_err struct err e = { 0 };
    auto_source struct source *s = import_limited(&t, 1ull << 40, 1000, &e);
    assert_null(e.msg);
    assert_non_null(s);
    assert_int_equal(source_find(s, s->root, "b", 1)->size, LARGE);
    str_free(&t);
}

static void add_acl(struct str *tar, size_t value_bytes)
{
    auto_str struct str value = { 0 };
    for (unsigned i = 1; value.len < value_bytes; i++)
        str_addf(&value, "user:%u:r--:%u,", i, i);
    value.data[value_bytes] = 0;
    tar_pax(tar, "SCHILY.acl.access", value.data);
    file(tar, "a", NULL);
}

/* Each entry of an access list is compared with all before it: a megabyte of them costs minutes. */
static void an_access_list_has_at_most_64_kib(void **state)
{
    (void)state;
    struct str t = { 0 };
    for (size_t shift = 0; shift < 50; shift++) { /* however the pieces are cut */
        auto_free char *data = mem_zero(1, (1 << 18) - 512 * 3 - 512 * shift / 8);
        tar_entry(&t, &(struct entry){ "f", '0', .data = data,
                                       .data_len = (1 << 18) - 512 * 3 - 512 * shift / 8 });
        add_acl(&t, 70000);
        assert_refused(&t, "access list that is too long");
    }
    add_acl(&t, 60000);
    auto_err struct err e = { 0 };
    auto_source struct source *s = import(&t, &e);
    assert_null(s); /* ours takes 500 entries */
    assert_non_null(strstr(e.msg, "access list longer than 500"));
    str_free(&t);
    file(&t, "x", "100000 SCHILY.acl"); /* text about it is none */
    file(&t, "y", "x SCHILY.acl.access");
    file(&t, "z", "SCHILY.acl. 65536 SCHILY.acl.access=");
    assert_tree(&t, "/x=100000 SCHILY.acl /y=x SCHILY.acl.access "
                    "/z=SCHILY.acl. 65536 SCHILY.acl.access=");
    file(&t, "z", "65537 SCHILY.acl.");
    assert_refused(&t, "access list that is too long");
}

static void directories_that_paths_imply_count(void **state)
{
    (void)state;
    struct str t = { 0 };
    file(&t, "a/b/c/d", NULL);
    tar_end(&t);
    auto_err struct err e = { 0 };
    auto_source struct source *s = import_limited(&t, 1 << 20, 5, &e);
    assert_null(e.msg);
    assert_non_null(s);
    assert_null(import_limited(&t, 1 << 20, 4, &e));
    assert_non_null(strstr(e.msg, "more than 4 files"));
    err_clear(&e);
    assert_null(import_limited(&t, 1 << 20, 3, &e));
    assert_non_null(strstr(e.msg, "more than 3 files"));
    str_free(&t);
}

static void duplicates_count_last(void **state)
{
    (void)state;
    struct str t = { 0 };
    file(&t, "a", "one");
    file(&t, "a", "two");
    tar_entry(&t, &(struct entry){ "pax", 'x', .data = "14 path=never\n10 path=b\n" });
    file(&t, "x", "x");
    assert_tree(&t, "/a=two /b=x");
    dir(&t, "d");
    file(&t, "d/x", "x");
    file(&t, "d", "file");
    assert_refused(&t, "as a directory and as a file");
}

static void truncated_archives_are_refused(void **state)
{
    (void)state;
    struct str t = { 0 };
    auto_free char *data = mem_zero(1, 3001);
    memset(data, 'x', 3000);
    file(&t, "a", data);
    size_t whole = t.len;
    for (size_t cut = 1; cut < whole; cut += 97) {
        auto_err struct err e = { 0 };
        struct str part = { .data = t.data, .len = cut };
        assert_null(import_limited(&part, 1 << 20, 100, &e));
        assert_int_equal(e.code, ERR_INPUT);
    }
    auto_err struct err e = { 0 };
    file(&t, "b", "last"); /* between two files, or before the mark at the end */
    for (size_t cut = whole; cut <= t.len; cut += t.len - whole) {
        struct str part = { .data = t.data, .len = cut };
        assert_null(import_limited(&part, 1 << 20, 100, &e));
        assert_string_equal(e.msg, "the archive is truncated: it has no end mark");
    }
    str_free(&t);
}

static void what_is_no_archive_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = { "", "hello", "PK\3\4", "070701", "!<arch>\n" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        auto_err struct err e = { 0 };
        struct str t = { .data = (char *)(uintptr_t)texts[i], .len = strlen(texts[i]) };
        assert_null(import_limited(&t, 1 << 20, 100, &e));
        assert_int_equal(e.code, ERR_INPUT);
    }
    struct str t = { 0 };
    assert_refused(&t, "empty");
}

/* B27 */
static void limits_of_count_and_depth_hold(void **state)
{
    (void)state;
    auto_str struct str t = { 0 };
    for (int i = 0; i < 200; i++) {
        auto_free char *name = mem_printf("f%d", i);
        file(&t, name, NULL);
    }
    tar_end(&t);
    auto_err struct err e = { 0 };
    assert_null(import_limited(&t, 1 << 20, 100, &e));
    assert_string_equal(e.msg, "the archive holds more than 100 files");
    struct str deep = { 0 };
    auto_free char *path = mem_zero(1, 4097);
    for (size_t i = 0; i < 4095; i++)
        path[i] = i % 2 ? '/' : 'd';
    path[4095] = 0;
    tar_pax(&deep, "path", path);
    file(&deep, "x", NULL);
    auto_source struct source *s = import(&deep, &e);
    assert_non_null(s);
    str_free(&deep);
}

/* B29 */
static void bombs_stop_at_the_cap(void **state)
{
    (void)state;
    auto_str struct str t = { 0 };
    auto_free char *data = mem_zero(1, 1 << 20);
    tar_entry(&t, &(struct entry){ "zeros", '0', .data = data, .data_len = 1 << 20 });
    tar_end(&t);
    auto_err struct err e = { 0 };
    assert_null(import_limited(&t, 1 << 19, 100, &e));
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.msg, "the archive unpacks to more than the 512 KiB allowed");
    struct stat st;
    assert_int_equal(fstat(spill_fd, &st), 0);
    assert_true(st.st_size <= 1 << 20);
}

static void names_are_bytes_in_any_locale(void **state)
{
    (void)state;
    struct str t = { 0 };
    tar_pax(&t, "path", "e\xcc\x81"); /* decomposed: must not be composed */
    file(&t, "x", NULL);
    tar_pax(&t, "path", "\xc3\xa9");
    file(&t, "x", NULL);
    file(&t, "\xff\xfe", NULL);
    tar_pax(&t, "linkpath", "o\xcc\x88");
    lnk(&t, "l", '2', "x");
    assert_tree(&t, "/e\xcc\x81 /l->o\xcc\x88 /\xc3\xa9 /\xff\xfe");
}

static void xattrs_are_kept_by_kind(void **state)
{
    (void)state;
    struct str t = { 0 };
    tar_pax(&t, "SCHILY.xattr.user.note", "hello");
    file(&t, "a", "x");
    tar_pax(&t, "SCHILY.xattr.com.apple.x", "hello");
    file(&t, "b", "x");
    auto_source struct source *s = import(&t, NULL);
    assert_non_null(s);
    struct source_node *a = source_find(s, s->root, "a", 1);
    assert_int_equal(a->n_xattrs, 1);
    assert_string_equal(a->xattrs[0].name, "user.note");
    assert_memory_equal(a->xattrs[0].value, "hello", 5);
    assert_int_equal(source_find(s, s->root, "b", 1)->n_xattrs, 0);
    str_free(&t);
}

static void acls_become_their_xattr(void **state)
{
    (void)state;
    struct str t = { 0 };
    tar_pax(&t, "SCHILY.acl.access", "user::rw-,user:root:r--:7,group::r--,mask::r--,other::---");
    file(&t, "a", "x");
    auto_err struct err e = { 0 };
    auto_source struct source *s = import(&t, &e);
    assert_non_null(s);
    struct source_node *a = source_find(s, s->root, "a", 1);
    assert_int_equal(a->n_xattrs, 1);
    assert_string_equal(a->xattrs[0].name, "system.posix_acl_access");
    static const unsigned char want[] = {
        2,    0,    0,    0, /* version */
        1,    0,    6,    0,    0xff, 0xff, 0xff, 0xff, 2,    0,    4,    0,    7, 0,
        0,    0,    4,    0,    4,    0,    0xff, 0xff, 0xff, 0xff, 16,   0,    4, 0,
        0xff, 0xff, 0xff, 0xff, 32,   0,    0,    0,    0xff, 0xff, 0xff, 0xff,
    };
    assert_int_equal(a->xattrs[0].len, sizeof want);
    assert_memory_equal(a->xattrs[0].value, want, sizeof want);
    str_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lying_headers_are_refused),
        cmocka_unit_test(long_names_are_bounded),
        cmocka_unit_test(holes_are_kept),
        cmocka_unit_test(sparse_maps_that_lie_are_refused),
        cmocka_unit_test(a_header_has_at_most_16_mib),
        cmocka_unit_test(contents_may_be_larger_than_any_header),
        cmocka_unit_test(an_access_list_has_at_most_64_kib),
        cmocka_unit_test(directories_that_paths_imply_count),
        cmocka_unit_test(duplicates_count_last),
        cmocka_unit_test(truncated_archives_are_refused),
        cmocka_unit_test(what_is_no_archive_is_refused),
        cmocka_unit_test(limits_of_count_and_depth_hold),
        cmocka_unit_test(bombs_stop_at_the_cap),
        cmocka_unit_test(names_are_bytes_in_any_locale),
        cmocka_unit_test(xattrs_are_kept_by_kind),
        cmocka_unit_test(acls_become_their_xattr),
    };
    return cmocka_run_group_tests(tests, open_spill, close_spill);
}
