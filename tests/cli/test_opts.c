/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/opts.h"

#include "base/str.h"
#include "tests/base/test.h"

static const struct opt table[] = {
    { .name = "size", .letter = 's', .arg = "SIZE", .help = "how large", .env = "SIZE" },
    { .name = "bind",
      .letter = 'B',
      .arg = "SPEC",
      .help = "what to bind",
      .env = "BIND BINDPATH",
      .many = true },
    { .name = "force", .letter = 'F', .help = "replace", .env = "FORCE" },
    { .name = "contain", .letter = 'c', .help = "contain" },
    { .name = "replace", .letter = 'R', .alias_of = "force" },
    { 0 },
};

static const struct opt global[] = {
    { .name = "silent", .letter = 's', .help = "say nothing" },
    { .name = "debug", .letter = 'd', .help = "say all" },
    { 0 },
};

struct line {
    const char *const *argv;
    const char *const *environ;
    bool stop_at_first;
};

#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static int parse(struct line line, struct args *a, struct err *e)
{
    struct opts_spec spec = {
        .what = "hpcc x",
        .opts = table,
        .more = global,
        .environ = line.environ,
        .stop_at_first = line.stop_at_first,
    };
    return opts_parse(&spec, line.argv, a, e);
}

static void long_and_short_values_come_in_all_gnu_forms(void **state)
{
    (void)state;
    const char *const *const forms[] = {
        WORDS("--size", "5"), WORDS("--size=5"), WORDS("-s5"), WORDS("-s", "5"), WORDS("-Fs5"),
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        auto_args struct args a = { 0 };
        assert_int_equal(parse((struct line){ .argv = forms[i] }, &a, NULL), 0);
        assert_string_equal(args_value(&a, "size"), "5");
        assert_int_equal(a.n_rest, 0);
    }
}

static void a_value_may_look_like_an_option(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    assert_int_equal(parse((struct line){ .argv = WORDS("--size", "-1") }, &a, NULL), 0);
    assert_string_equal(args_value(&a, "size"), "-1");
}

static void options_may_follow_positionals(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    assert_int_equal(parse((struct line){ .argv = WORDS("a", "-F", "b", "-s", "1") }, &a, NULL), 0);
    assert_true(args_has(&a, "force"));
    assert_int_equal(a.n_rest, 2);
    assert_string_equal(a.rest[1], "b");
    assert_null(a.rest[2]);
}

static void what_follows_the_image_goes_through_untouched(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    struct line line = { .argv = WORDS("-c", "img", "-F", "--", "--size"), .stop_at_first = true };
    assert_int_equal(parse(line, &a, NULL), 0);
    assert_true(args_has(&a, "contain"));
    assert_false(args_has(&a, "force"));
    assert_int_equal(a.n_rest, 4);
    assert_string_equal(a.rest[1], "-F");
    assert_string_equal(a.rest[2], "--");
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    assert_int_equal(parse((struct line){ .argv = WORDS("--", "-F", "-") }, &a, NULL), 0);
    assert_false(args_has(&a, "force"));
    assert_int_equal(a.n_rest, 2);
}

static void a_lone_dash_is_a_positional(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    assert_int_equal(parse((struct line){ .argv = WORDS("-") }, &a, NULL), 0);
    assert_string_equal(a.rest[0], "-");
}

static void repeated_options_keep_their_order_and_the_last_one_wins(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    auto_strv struct strv binds = { 0 };
    struct line line = { .argv = WORDS("-B", "/a", "--size=1", "--bind=/b", "-s2") };
    assert_int_equal(parse(line, &a, NULL), 0);
    args_values(&a, "bind", &binds);
    auto_free char *all = strv_join(&binds, " ");
    assert_string_equal(all, "/a /b");
    assert_string_equal(args_value(&a, "size"), "2");
}

static void another_spelling_counts_as_the_option(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    assert_int_equal(parse((struct line){ .argv = WORDS("-R") }, &a, NULL), 0);
    assert_true(args_has(&a, "force"));
}

static void global_options_are_taken_where_letters_do_not_clash(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    assert_int_equal(parse((struct line){ .argv = WORDS("-d", "--silent", "-s1") }, &a, NULL), 0);
    assert_true(args_has(&a, "debug"));
    assert_true(args_has(&a, "silent"));
    assert_string_equal(args_value(&a, "size"), "1");
}

static void misspelled_options_are_refused_with_the_likely_one(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    struct args a = { 0 };
    assert_int_equal(parse((struct line){ .argv = WORDS("--sise", "1") }, &a, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    assert_string_equal(e.msg, "unknown option '--sise'");
    assert_string_equal(e.hint, "did you mean '--size'?");
    assert_null(a.given);
}

static void unknown_letters_missing_and_surplus_values_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *const *argv;
        const char *msg;
    } bad[] = {
        { WORDS("-Fz"), "unknown option '-z'" },
        { WORDS("a", "--size"), "option '--size' needs a value" },
        { WORDS("-Fs"), "option '--size' needs a value" },
        { WORDS("--force=yes"), "option '--force' takes no value" },
        { WORDS("--siz", "1"), "unknown option '--siz'" },
        { WORDS("--=1"), "unknown option '--'" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_err struct err e = { 0 };
        struct args a = { 0 };
        assert_int_equal(parse((struct line){ .argv = bad[i].argv }, &a, &e), -1);
        assert_int_equal(e.code, ERR_USAGE);
        assert_string_equal(e.msg, bad[i].msg);
    }
}

static void an_empty_value_is_a_value(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    assert_int_equal(parse((struct line){ .argv = WORDS("--size=", "x") }, &a, NULL), 0);
    assert_string_equal(args_value(&a, "size"), "");
    assert_int_equal(a.n_rest, 1);
}

static void own_variables_go_before_those_of_the_other_tools(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    struct line line = { .argv = WORDS("x"),
                         .environ =
                             WORDS("SINGULARITY_SIZE=1", "APPTAINER_SIZE=2", "HPCC_SIZE=3") };
    assert_int_equal(parse(line, &a, NULL), 0);
    assert_string_equal(args_value(&a, "size"), "3");

    auto_args struct args b = { 0 };
    line.environ = WORDS("SINGULARITY_SIZE=1", "APPTAINER_SIZE=2");
    assert_int_equal(parse(line, &b, NULL), 0);
    assert_string_equal(args_value(&b, "size"), "2");
}

static void the_command_line_goes_before_the_environment(void **state)
{
    (void)state;
    auto_args struct args a = { 0 };
    struct line line = { .argv = WORDS("-s9", "-B/b"),
                         .environ = WORDS("HPCC_SIZE=3", "SINGULARITY_BINDPATH=/a") };
    assert_int_equal(parse(line, &a, NULL), 0);
    assert_string_equal(args_value(&a, "size"), "9");
    auto_strv struct strv binds = { 0 };
    args_values(&a, "bind", &binds);
    auto_free char *all = strv_join(&binds, " ");
    assert_string_equal(all, "/a /b");
}

static void a_flag_in_the_environment_may_say_no(void **state)
{
    (void)state;
    const struct {
        const char *const *environ;
        bool on;
    } cases[] = {
        { WORDS("HPCC_FORCE=1"), true },   { WORDS("HPCC_FORCE=yes"), true },
        { WORDS("HPCC_FORCE=0"), false },  { WORDS("HPCC_FORCE=No"), false },
        { WORDS("HPCC_FORCE="), false },   { WORDS("HPCC_FORCE=false"), false },
        { WORDS("HPCC_FORCED=1"), false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_args struct args a = { 0 };
        struct line line = { .argv = WORDS("x"), .environ = cases[i].environ };
        assert_int_equal(parse(line, &a, NULL), 0);
        assert_int_equal(args_has(&a, "force"), cases[i].on);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_and_short_values_come_in_all_gnu_forms),
        cmocka_unit_test(a_value_may_look_like_an_option),
        cmocka_unit_test(options_may_follow_positionals),
        cmocka_unit_test(what_follows_the_image_goes_through_untouched),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(a_lone_dash_is_a_positional),
        cmocka_unit_test(repeated_options_keep_their_order_and_the_last_one_wins),
        cmocka_unit_test(another_spelling_counts_as_the_option),
        cmocka_unit_test(global_options_are_taken_where_letters_do_not_clash),
        cmocka_unit_test(misspelled_options_are_refused_with_the_likely_one),
        cmocka_unit_test(unknown_letters_missing_and_surplus_values_are_refused),
        cmocka_unit_test(an_empty_value_is_a_value),
        cmocka_unit_test(own_variables_go_before_those_of_the_other_tools),
        cmocka_unit_test(the_command_line_goes_before_the_environment),
        cmocka_unit_test(a_flag_in_the_environment_may_say_no),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
