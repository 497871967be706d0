/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/mem.h"
#include "tests/image/tar_make.h"

static int spill_fd = -1;

static int open_spill(void **state)
{
    (void)state;
    spill_fd = memfd_create("spill", MFD_CLOEXEC);
    return spill_fd < 0 ? -1 : 0;
}

static int close_spill(void **state)
{
    (void)state;
    return close(spill_fd);
}

static struct source *import_limited(const struct str *tar, uint64_t max_bytes, uint32_t max_nodes,
                                     struct err *e)
{
    assert_int_equal(ftruncate(spill_fd, 0), 0);
    struct tar_input in = {
        .fd = -1,
        .data = str_text(tar),
        .data_len = tar->len,
        .spill_fd = spill_fd,
        .max_bytes = max_bytes,
        .max_nodes = max_nodes,
    };
    return source_from_tar(&in, e);
}

static struct source *import(struct str *tar, struct err *e)
{
    tar_end(tar);
    return import_limited(tar, 1 << 30, 100000, e);
}

/* "path[=content|->target] …" of the whole tree. */
static char *listing(struct source *s)
{
    struct str out = { 0 };
    source_sort(s);
    for (struct source_node *n = source_next(s->root, false); n; n = source_next(n, false)) {
        auto_free char *path = source_path(n);
        struct source_node *f = source_file(n);
        str_addf(&out, "%s%s", out.len ? " " : "", path);
        if (S_ISLNK(f->mode))
            str_addf(&out, "->%s", f->target);
        if (S_ISREG(f->mode) && f->size) {
            char buf[64];
            ssize_t len = s->ops->read(s->ctx, f, buf, sizeof buf, 0, NULL);
            assert_true(len >= 0);
            str_add_c(&out, '=');
            str_add_n(&out, buf, (size_t)len);
        }
    }
    if (!out.data)
        str_add(&out, "");
    return str_steal(&out);
}

static void assert_tree(struct str *tar, const char *want)
{
    auto_err struct err e = { 0 };
    auto_source struct source *s = import(tar, &e);
    assert_null(e.msg);
    assert_non_null(s);
    auto_free char *text = listing(s);
    assert_string_equal(text, want);
    str_free(tar);
}

static void assert_refused(struct str *tar, const char *words)
{
    auto_err struct err e = { 0 };
    assert_null(import(tar, &e));
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, words))
        assert_string_equal(e.msg, words);
    str_free(tar);
}

static void file(struct str *tar, const char *name, const char *data)
{
    tar_entry(tar, &(struct entry){ name, '0', .data = data });
}

static void dir(struct str *tar, const char *name)
{
    tar_entry(tar, &(struct entry){ name, '5', .mode = 0755 });
}

static void lnk(struct str *tar, const char *name, char type, const char *target)
{
    tar_entry(tar, &(struct entry){ name, type, .link = target });
}

static void a_plain_archive_gives_its_tree(void **state)
{
    (void)state;
    struct str t = { 0 };
    dir(&t, "./");
    dir(&t, "./bin/");
    file(&t, "./bin/sh", "#!");
    lnk(&t, "./sh", '2', "bin/sh");
    lnk(&t, "./bin/dash", '1', "./bin/sh");
    assert_tree(&t, "/bin /bin/dash=#! /bin/sh=#! /sh->bin/sh");
}

/* B20 */
static void paths_that_climb_out_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = { "../x", "a/../../x", "..", "a/..", "/../x", "./../x" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct str t = { 0 };
        file(&t, names[i], "x");
        assert_refused(&t, "leads out of the archive's root");
    }
}

static void absolute_paths_land_inside(void **state)
{
    (void)state;
    struct str t = { 0 };
    file(&t, "/etc/passwd", "x");
    file(&t, "//a///b", "y");
    assert_tree(&t, "/a /a/b=y /etc /etc/passwd=x");
}

/* B21: CVE-2021-29136 */
static void the_root_cannot_become_a_link(void **state)
{
    (void)state;
    static const char *const names[] = { ".", "/.", "./", "/" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct str t = { 0 };
        lnk(&t, names[i], '2', "/etc");
        file(&t, "x", "x");
        assert_refused(&t, "replace the root");
    }
    struct str t = { 0 };
    lnk(&t, "..", '2', "/etc");
    assert_refused(&t, "leads out");
}

/* B22 */
static void planted_links_lead_only_inside(void **state)
{
    (void)state;
    struct str t = { 0 };
    lnk(&t, "a", '2', "/");
    file(&t, "a/etc/passwd", "x");
    assert_tree(&t, "/a->/ /etc /etc/passwd=x");
    lnk(&t, "up", '2', "../../../..");
    file(&t, "up/etc/shadow", "x");
    assert_tree(&t, "/etc /etc/shadow=x /up->../../../..");
    dir(&t, "usr/lib");
    lnk(&t, "lib", '2', "usr/lib");
    lnk(&t, "lib64", '2', "/lib/./x86");
    file(&t, "lib64/ld.so", "x");
    assert_tree(&t, "/lib->usr/lib /lib64->/lib/./x86 /usr /usr/lib /usr/lib/x86 "
                    "/usr/lib/x86/ld.so=x");
}

static void links_in_a_circle_are_refused(void **state)
{
    (void)state;
    struct str t = { 0 };
    lnk(&t, "a", '2', "b");
    lnk(&t, "b", '2', "a");
    file(&t, "a/x", "x");
    assert_refused(&t, "leads in a circle");
    lnk(&t, "s", '2', "s/s");
    file(&t, "s/x", "x");
    assert_refused(&t, "leads in a circle");
}

static void a_link_to_a_file_is_no_directory(void **state)
{
    (void)state;
    struct str t = { 0 };
    file(&t, "f", "x");
    lnk(&t, "l", '2', "f");
    file(&t, "l/x", "x");
    assert_refused(&t, "not a directory");
    file(&t, "f", "x");
    file(&t, "f/x", "x");
    assert_refused(&t, "not a directory");
}

static void a_file_replaces_a_link_instead_of_writing_through_it(void **state)
{
    (void)state;
    struct str t = { 0 };
    file(&t, "target", "old");
    lnk(&t, "l", '2', "target");
    file(&t, "l", "new");
    assert_tree(&t, "/l=new /target=old");
}

/* B23 */
static void hard_links_stay_inside(void **state)
{
    (void)state;
    struct str t = { 0 };
    lnk(&t, "h", '1', "../../etc/shadow");
    assert_refused(&t, "leads out");
    lnk(&t, "h", '1', "/etc/shadow");
    assert_refused(&t, "not there before");
    lnk(&t, "h", '1', "h");
    assert_refused(&t, "not there before");
    dir(&t, "d");
    lnk(&t, "h", '1', "d");
    assert_refused(&t, "hard link to a directory");
    lnk(&t, "h", '1', ".");
    assert_refused(&t, "not there before");
    lnk(&t, "s", '2', "/etc/shadow");
    lnk(&t, "h", '1', "s"); /* one more name of the link, not of where it leads */
    assert_tree(&t, "/h->/etc/shadow /s->/etc/shadow");
    lnk(&t, "out", '2', "/");
    file(&t, "etc/shadow", "ours");
    lnk(&t, "h", '1', "out/etc/shadow");
    assert_tree(&t, "/etc /etc/shadow=ours /h=ours /out->/");
}

/* B24 */
static void devices_and_modes_are_recorded_not_made(void **state)
{
    (void)state;
    struct str t = { 0 };
    lnk(&t, "null", '3', NULL);
    lnk(&t, "sda", '4', NULL);
    lnk(&t, "fifo", '6', NULL);
    tar_entry(&t, &(struct entry){ "su", '0', .data = "x", .mode = 06755 });
    auto_source struct source *s = import(&t, NULL);
    assert_non_null(s);
    struct source_node *n = source_find(s, s->root, "null", 4);
    assert_int_equal(n->mode, S_IFCHR | 0644);
    assert_int_equal(n->rdev_major, 1);
    assert_int_equal(n->rdev_minor, 3);
    assert_true(S_ISBLK(source_find(s, s->root, "sda", 3)->mode));
    assert_true(S_ISFIFO(source_find(s, s->root, "fifo", 4)->mode));
    assert_int_equal(source_find(s, s->root, "su", 2)->mode, S_IFREG | 06755);
    str_free(&t);
}

/* B25 */
static void whiteouts_are_names_like_others(void **state)
{
    (void)state;
    struct str t = { 0 };
    file(&t, "etc/keep", "x");
    file(&t, ".wh..", NULL);
    file(&t, ".wh./etc", NULL);
    file(&t, ".wh..wh..opq", NULL);
    assert_tree(&t, "/.wh. /.wh./etc /.wh.. /.wh..wh..opq /etc /etc/keep=x");
}

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
        cmocka_unit_test(a_plain_archive_gives_its_tree),
        cmocka_unit_test(paths_that_climb_out_are_refused),
        cmocka_unit_test(absolute_paths_land_inside),
        cmocka_unit_test(the_root_cannot_become_a_link),
        cmocka_unit_test(planted_links_lead_only_inside),
        cmocka_unit_test(links_in_a_circle_are_refused),
        cmocka_unit_test(a_link_to_a_file_is_no_directory),
        cmocka_unit_test(a_file_replaces_a_link_instead_of_writing_through_it),
        cmocka_unit_test(hard_links_stay_inside),
        cmocka_unit_test(devices_and_modes_are_recorded_not_made),
        cmocka_unit_test(whiteouts_are_names_like_others),
        cmocka_unit_test(lying_headers_are_refused),
        cmocka_unit_test(long_names_are_bounded),
        cmocka_unit_test(holes_are_kept),
        cmocka_unit_test(sparse_maps_that_lie_are_refused),
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
