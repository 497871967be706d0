/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include "base/mem.h"
#include "bootstrap/deb/index.h"
#include "bootstrap/deb/deb.h"

static void read_list(struct deb_index *x, const char *text)
{
    struct str s = { 0 };
    str_add(&s, text);
    assert_int_equal(deb_index_read(x, &s, NULL), 0);
    assert_int_equal(s.len, 0);
}

/* Names chosen from the N lists for the blank-separated ROOTS and priority "required". */
static char *chosen(struct deb_index *lists, size_t n, const char *roots)
{
    static const char *const required[] = { "required", NULL };
    auto_strv struct strv names = { 0 };
    auto_strv struct strv out = { 0 };
    strv_split(&names, roots, " ");
    deb_index_choose(lists, n, &names, required);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < lists[i].n; j++)
            if (lists[i].all[j].chosen)
                strv_take(&out, mem_strndup(lists[i].all[j].name.text, lists[i].all[j].name.len));
    strv_sort(&out);
    return strv_join(&out, " ");
}

#define LIST                                                                                       \
    "Package: base\nPriority: required\nVersion: 1:2-3\nArchitecture: amd64\n"                     \
    "Depends: libc6 (>= 2.1), virtual | other, awk:any\nSize: 12\n"                                \
    "Filename: pool/base.deb\nSHA256: ab\n\n"                                                      \
    "Package: libc6\nPre-Depends: gcc-base\nPriority: optional\n\n"                                \
    "Package: gcc-base\nDescription: x\n more\n .\n Depends: trap\n\n"                             \
    "Package: other\n\n"                                                                           \
    "Package: awk\nDepends: base, usrmerge\n\n"                                                    \
    "Package: usrmerge\n\n"                                                                        \
    "Package: trap\n\n"                                                                            \
    "Package: wanted\nDepends:  other|trap ,\n"

static void closure_is_what_debootstrap_takes(void **state)
{
    (void)state;
    auto_deb_index struct deb_index x = { 0 };
    read_list(&x, LIST);
    assert_int_equal(x.n, 8);
    auto_free char *base = chosen(&x, 1, "");
    assert_string_equal(base, "awk base gcc-base libc6");
    auto_free char *more = chosen(&x, 1, "wanted nosuch");
    assert_string_equal(more, "awk base gcc-base libc6 other wanted");
}

static void a_list_has_at_most_400000_packages(void **state)
{
    (void)state;
    for (unsigned over = 0; over < 2; over++) {
        auto_err struct err e = { 0 };
        auto_deb_index struct deb_index x = { 0 };
        struct str s = { 0 };
        for (unsigned i = 0; i < DEB_MAX_PACKAGES + over; i++)
            str_addf(&s, "Package: %u\n\n", i);
        assert_int_equal(deb_index_read(&x, &s, &e), over ? -1 : 0);
        assert_int_equal(e.code, over ? ERR_INPUT : ERR_NONE);
    }
}

/* In the square of their number this would take minutes. */
static void a_name_that_all_packages_have_is_found_in_their_order(void **state)
{
    (void)state;
    enum { MANY = 300000 };
    auto_deb_index struct deb_index x = { 0 };
    struct str s = { 0 };
    for (unsigned i = 0; i < MANY; i++)
        str_addf(&s, "Package: x\nVersion: %u\n\n", i);
    assert_int_equal(deb_index_read(&x, &s, NULL), 0);
    const struct deb_package *p = deb_index_find(&x, "x", 1);
    for (unsigned i = 0; i < MANY; i++) {
        assert_ptr_equal(p, &x.all[i]);
        p = p->next ? &x.all[p->next - 1] : NULL;
    }
    assert_null(p);
}

static void fields_are_found(void **state)
{
    (void)state;
    auto_deb_index struct deb_index x = { 0 };
    read_list(&x, LIST);
    const struct deb_package *p = deb_index_find(&x, "base", 4);
    assert_non_null(p);
    assert_int_equal(p->size_bytes, 12);
    assert_memory_equal(p->version.text, "1:2-3", 5);
    assert_memory_equal(p->stanza.text + p->stanza.len - 11, "SHA256: ab\n", 11);
    assert_null(deb_index_find(&x, "bas", 3));
    assert_null(deb_index_find(&x, "", 0));
}

static void several_of_one_name_are_all_taken(void **state)
{
    (void)state;
    struct deb_index two[2] = { 0 };
    read_list(&two[0],
              "Package: a\nVersion: 1\nDepends: b\n\nPackage: a\nVersion: 2\nDepends: c\n");
    read_list(&two[1], "Package: b\n\nPackage: c\nDepends: a\n\nPackage: d\n\n\n\n");
    auto_free char *names = chosen(two, 2, "a");
    assert_string_equal(names, "a a b c");
    deb_index_fini(&two[0]);
    deb_index_fini(&two[1]);
}

static void nonsense_is_skipped(void **state)
{
    (void)state;
    static const char *const texts[] = { "",
                                         "\n\n\n",
                                         "Package:",
                                         "Package: \nDepends: ,,|(:\n\n",
                                         "no colon\n:\n\n",
                                         "Size: 99999999999999999999999999\nPackage: a\n",
                                         "Package: a\nDepends: (((\n\nPackage: a" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        auto_deb_index struct deb_index x = { 0 };
        read_list(&x, texts[i]);
        auto_free char *names = chosen(&x, 1, "a");
        assert_true(str_eq(names, "") || str_eq(names, "a") || str_eq(names, "a a"));
    }
}

static void release_names_its_files(void **state)
{
    (void)state;
#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    struct deb_release r = { 0 };
    str_add(&r.text,
            "Suite: x\nMD5Sum:\n 00 5 main/Packages\nSHA256:\n " SUM "  77 main/Packages.xz\n " SUM
            " 99 main/Packages\nOther: y\n " SUM " 1 late\n");
    struct deb_entry en;
    assert_true(deb_release_entry(&r, "main/Packages", &en));
    assert_int_equal(en.size_bytes, 99);
    assert_string_equal(en.sha256, SUM);
    assert_true(deb_release_entry(&r, "main/Packages.xz", &en));
    assert_false(deb_release_entry(&r, "Packages", &en));
    assert_false(deb_release_entry(&r, "late", &en));
    deb_release_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_has_at_most_400000_packages),
        cmocka_unit_test(a_name_that_all_packages_have_is_found_in_their_order),
        cmocka_unit_test(closure_is_what_debootstrap_takes),
        cmocka_unit_test(fields_are_found),
        cmocka_unit_test(several_of_one_name_are_all_taken),
        cmocka_unit_test(nonsense_is_skipped),
        cmocka_unit_test(release_names_its_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
