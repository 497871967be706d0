/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <malloc.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/strv.h"

static void sizes_are_read_as_users_type_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        { "1", 1ull << 20 },        { "768", 768ull << 20 },   { "32G", 32ull << 30 },
        { "512MiB", 512ull << 20 }, { "512mb", 512ull << 20 }, { "1.5T", 3ull << 39 },
        { "0.5G", 1ull << 29 },     { "4096B", 4096 },         { "64k", 65536 },
        { "1.25GiB", 5ull << 28 },  { "4096P", 1ull << 62 },
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        uint64_t n = 0;
        assert_int_equal(str_parse_size(good[i].text, &n, NULL), 0);
        assert_true(n == good[i].bytes);
    }
}

static void nonsense_sizes_are_refused_with_the_accepted_forms(void **state)
{
    (void)state;
    static const char *const bad[] = { "",       "0",
                                       "-1",     "+1",
                                       "1.5",    " 1",
                                       "1 ",     "0G",
                                       "12Q",    "9999P",
                                       "abc",    "1.G",
                                       ".5G",    "1e3",
                                       "0x10",   "1.5B",
                                       "1Gi",    "GiB",
                                       "1GG",    "1,5G",
                                       "1.5.5G", "99999999999999999999999",
                                       "1\n" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_err struct err e = { 0 };
        uint64_t n = 77;
        assert_int_equal(str_parse_size(bad[i], &n, &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        assert_non_null(strstr(e.hint, "32G"));
        assert_true(n == 77);
    }
}

static void numbers_are_digits_only_and_bounded(void **state)
{
    (void)state;
    static const char *const bad[] = { "", " 1", "+1", "-1", "0x0", "4294967296", "1a", "1 " };
    uint64_t n;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(str_parse_u64(bad[i], UINT32_MAX, &n), -1);
    assert_int_equal(str_parse_u64("4294967295", UINT32_MAX, &n), 0);
    assert_true(n == UINT32_MAX);
    assert_int_equal(str_parse_u64("18446744073709551615", UINT64_MAX, &n), 0);
    assert_int_equal(str_parse_u64("18446744073709551616", UINT64_MAX, &n), -1);
}

static void sizes_are_printed_for_people(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        { 17, "17 B" }, { 12288, "12 KiB" }, { 3650722202, "3.4 GiB" }, { 32ull << 30, "32 GiB" }
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *s = str_human_size(cases[i].bytes);
        assert_string_equal(s, cases[i].text);
    }
}

static void the_nearest_name_is_found_and_nothing_far(void **state)
{
    (void)state;
    static const char *const names[] = {
        "environment", "labels", "post", "runscript", "test", NULL
    };
    assert_string_equal(str_nearest("enviroment", names), "environment");
    assert_string_equal(str_nearest("label", names), "labels");
    assert_string_equal(str_nearest("pots", names), "post");
    assert_string_equal(str_nearest("run", names), "runscript");
    assert_null(str_nearest("configure", names));
    assert_null(str_nearest("xy", names));
}

static void hostile_text_is_printed_harmless(void **state)
{
    (void)state;
    auto_free char *s = str_printable("a\x1b[31m\x07 \xc3\xa9 \xff \xc2\x9b\n");
    assert_string_equal(s, "a\\x1b[31m\\x07 \xc3\xa9 \\xff \\xc2\\x9b\n");
}

static void names_forge_no_lines_and_turn_no_text(void **state)
{
    (void)state;
    auto_free char *line = str_printable_line("a\nb\tc\x7f");
    assert_string_equal(line, "a\\x0ab\\x09c\\x7f");
    auto_free char *turned =
        str_printable("\u202egnp.exe \u2066x\u2069 \u202a \u2065 \u206a \u2029");
    assert_string_equal(turned, "\\xe2\\x80\\xaegnp.exe \\xe2\\x81\\xa6x\\xe2\\x81\\xa9 "
                                "\\xe2\\x80\\xaa \u2065 \u206a \u2029");
}

static void utf8_is_what_the_standard_says(void **state)
{
    (void)state;
    const struct {
        const char *text;
        size_t len;
        uint32_t code;
    } cases[] = {
        { "", 1, 0 },
        { "\x7f", 1, 0x7f },
        { "\x80", 0, 0 },
        { "\xbf", 0, 0 },
        { "\xc1\xbf", 0, 0 }, /* over-long */
        { "\xc2\x80", 2, 0x80 },
        { "\xdf\xbf", 2, 0x7ff },
        { "\xc2", 0, 0 },
        { "\xc2\x7f", 0, 0 },
        { "\xc2\xc0", 0, 0 },
        { "\xe0\x9f\xbf", 0, 0 },
        { "\xe0\xa0\x80", 3, 0x800 },
        { "\xed\x9f\xbf", 3, 0xd7ff },
        { "\xed\xa0\x80", 0, 0 }, /* a surrogate */
        { "\xed\xbf\xbf", 0, 0 },
        { "\xee\x80\x80", 3, 0xe000 },
        { "\xef\xbf\xbf", 3, 0xffff },
        { "\xef\xbf", 0, 0 },
        { "\xf0\x8f\xbf\xbf", 0, 0 },
        { "\xf0\x90\x80\x80", 4, 0x10000 },
        { "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
        { "\xf4\x90\x80\x80", 0, 0 },
        { "\xf5\x80\x80\x80", 0, 0 },
        { "\xff", 0, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t code = 0;
        if (str_utf8(cases[i].text, &code) != cases[i].len || code != cases[i].code)
            fail_msg("case %zu", i);
    }
}

static void only_what_a_terminal_shows_is_harmless(void **state)
{
    (void)state;
    static const uint32_t bad[] = {
        0, 0x1b, 0x1f, 0x7f, 0x80, 0x9f, 0x202a, 0x202e, 0x2066, 0x2069
    };
    static const uint32_t good[] = { 0x20, 0x7e, 0xa0, 0xe9, 0x2029, 0x202f, 0x2065, 0x206a };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(str_code_harmless(bad[i]));
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(str_code_harmless(good[i]));
}

static void shell_quoting_keeps_one_word(void **state)
{
    (void)state;
    auto_free char *s = str_shell_quote("it's $x");
    assert_string_equal(s, "'it'\\''s $x'");
}

static void vectors_hold_environments(void **state)
{
    (void)state;
    auto_strv struct strv v = { 0 };
    strv_env_set(&v, "A", "1");
    strv_env_set(&v, "AB", "2");
    strv_env_set(&v, "A", "3");
    assert_int_equal(v.n, 2);
    assert_string_equal(strv_env_get(&v, "A"), "3");
    strv_env_unset(&v, "A");
    assert_null(strv_env_get(&v, "A"));
    assert_string_equal(strv_env_get(&v, "AB"), "2");
    assert_null(v.v[v.n]);
}

static void the_first_value_of_a_name_counts_in_any_list(void **state)
{
    (void)state;
    const char *const envp[] = { "AB=1", "A", "A=2", "A=3", "=4", "B=", NULL };
    assert_string_equal(strv_env_value(envp, "A"), "2");
    assert_string_equal(strv_env_value(envp, "AB"), "1");
    assert_string_equal(strv_env_value(envp, "B"), "");
    assert_null(strv_env_value(envp, "C"));
    assert_null(strv_env_value(NULL, "A"));
    assert_null(strv_env_get(&(struct strv){ 0 }, "A"));
}

static void an_array_grows_by_doubling(void **state)
{
    (void)state;
    auto_free size_t *list = NULL;
    size_t moved = 0;
    enum { MANY = 1000 };
    for (size_t n = 0; n < MANY; n++) {
        const size_t *before = list;
        list = mem_grow(list, n, sizeof *list);
        moved += list != before;
        bool doubles = n == 0 || (n >= MEM_FIRST && (n & (n - 1)) == 0);
        assert_true(malloc_usable_size(list) >= (doubles && n ? 2 * n : n + 1) * sizeof *list);
        list[n] = n;
    }
    for (size_t n = 0; n < MANY; n++)
        assert_int_equal(list[n], n);
    assert_true(moved <= 9); /* 4, 8, 16 … 1024 */
}

static void passwords_are_taken_out_of_addresses(void **state)
{
    static const char *const cases[][2] = {
        { "", "" },
        { "http://h/p@q", "http://h/p@q" },
        { "http://u:p@h/x", "http://h/x" },
        { "http://u:p@s@h", "http://h" },
        { "a: http://u@h/ b: https://v:w@i/\nc@d", "a: http://h/ b: https://i/\nc@d" },
        { "://@", "://" },
        { "x@y http://h x@y", "x@y http://h x@y" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *got = str_without_passwords(cases[i][0]);
        assert_string_equal(got, cases[i][1]);
    }
}

static void a_vector_is_a_list_after_each_word(void **state)
{
    (void)state;
    auto_strv struct strv v = { 0 };
    for (size_t n = 1; n <= 100; n++) {
        strv_add(&v, "x");
        assert_int_equal(v.n, n);
        assert_null(v.v[n]);
    }
}

static void splitting_leaves_out_empty_words(void **state)
{
    (void)state;
    auto_strv struct strv v = { 0 };
    strv_split(&v, ",,a,b,,c,", ",");
    assert_int_equal(v.n, 3);
    auto_free char *j = strv_join(&v, "-");
    assert_string_equal(j, "a-b-c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read_as_users_type_them),
        cmocka_unit_test(nonsense_sizes_are_refused_with_the_accepted_forms),
        cmocka_unit_test(numbers_are_digits_only_and_bounded),
        cmocka_unit_test(sizes_are_printed_for_people),
        cmocka_unit_test(the_nearest_name_is_found_and_nothing_far),
        cmocka_unit_test(hostile_text_is_printed_harmless),
        cmocka_unit_test(names_forge_no_lines_and_turn_no_text),
        cmocka_unit_test(utf8_is_what_the_standard_says),
        cmocka_unit_test(only_what_a_terminal_shows_is_harmless),
        cmocka_unit_test(shell_quoting_keeps_one_word),
        cmocka_unit_test(vectors_hold_environments),
        cmocka_unit_test(the_first_value_of_a_name_counts_in_any_list),
        cmocka_unit_test(an_array_grows_by_doubling),
        cmocka_unit_test(passwords_are_taken_out_of_addresses),
        cmocka_unit_test(a_vector_is_a_list_after_each_word),
        cmocka_unit_test(splitting_leaves_out_empty_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
