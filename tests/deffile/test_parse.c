/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <time.h>

#include "base/mem.h"
#include "deffile/deffile.h"

#define HEAD "Bootstrap: docker\nFrom: a\n"

static struct deffile *parse(const char *text)
{
    return deffile_parse(text, strlen(text), "x.def", &deffile_schema_all);
}

/* "code:line code:line", warnings in parentheses. */
static char *codes(const struct deffile *d)
{
    struct str s = { 0 };
    for (size_t i = 0; i < d->n_diags; i++) {
        bool warning = d->diags[i].severity == DEFFILE_WARNING;
        str_addf(&s, "%s%s%s:%u%s", i ? " " : "", warning ? "(" : "", d->diags[i].code,
                 d->diags[i].line, warning ? ")" : "");
    }
    return str_steal(&s);
}

static void assert_codes(const char *text, const char *want)
{
    auto_deffile struct deffile *d = parse(text);
    auto_free char *have = codes(d);
    assert_string_equal(have, want);
    bool error = want[0] != '(';
    for (const char *p = want; (p = strchr(p, ' ')); p++)
        error = error || p[1] != '(';
    assert_int_equal(d->ok, !error);
}

static void keywords_are_read_in_any_case_and_spacing(void **state)
{
    (void)state;
    auto_deffile struct deffile *d = parse("\n# c\n  bootStrap : docker # c\nFROM:a#b\t\n");
    assert_true(d->ok);
    assert_int_equal(d->n_stages, 1);
    assert_int_equal(d->stages[0].n_headers, 2);
    assert_string_equal(deffile_header_value(&d->stages[0], "bootstrap"), "docker");
    assert_string_equal(deffile_header_value(&d->stages[0], "from"), "a#b");
    assert_int_equal(deffile_header_find(&d->stages[0], "from")->line, 4);
    assert_null(deffile_header_value(&d->stages[0], "mirrorurl"));
}

static void repeated_include_is_one_list(void **state)
{
    (void)state;
    auto_deffile struct deffile *d = parse("Bootstrap: yum\nInclude: a \\\n  b # x\nInclude: c\n");
    assert_true(d->ok);
    assert_string_equal(deffile_header_value(&d->stages[0], "include"), "a b c");
    assert_int_equal(deffile_header_find(&d->stages[0], "include")->line, 2);
}

static void backslash_n_before_a_continuation_is_a_newline(void **state)
{
    (void)state;
    auto_deffile struct deffile *d = parse("Bootstrap: yum\nSetOpt: a\\n\\\nb\n");
    assert_string_equal(deffile_header_value(&d->stages[0], "setopt"), "a\nb");
}

static void sections_keep_their_bytes_and_lines(void **state)
{
    (void)state;
    auto_deffile struct deffile *d =
        parse(HEAD "%Post -c /bin/bash # x\n a\n\n%POST\n  %s\r\n%help\nlast");
    assert_true(d->ok);
    const struct deffile_stage *s = &d->stages[0];
    size_t pos = 0;
    const struct deffile_section *one = deffile_section_next(s, "post", NULL, &pos);
    const struct deffile_section *two = deffile_section_next(s, "post", NULL, &pos);
    assert_null(deffile_section_next(s, "post", NULL, &pos));
    assert_string_equal(one->args, "-c /bin/bash");
    assert_string_equal(one->body.data, " a\n\n");
    assert_int_equal(one->line, 3);
    assert_string_equal(two->body.data, "  %s\n");
    assert_string_equal(s->sections[2].body.data, "last\n");
    assert_ptr_equal(one->rule, two->rule);
}

static void words_of_a_files_line_may_be_quoted(void **state)
{
    (void)state;
    auto_deffile struct deffile *d =
        parse(HEAD "%files\n 'a b' c # d\n#x\n\"q\"\te\\ f\ng\\\n  h\n\"\"\n{{ a b }} x\n");
    const struct deffile_section *s = &d->stages[0].sections[0];
    assert_int_equal(s->n_entries, 5);
    assert_string_equal(s->entries[0].first, "a b");
    assert_string_equal(s->entries[0].second, "c");
    assert_string_equal(s->entries[1].second, "e f");
    assert_string_equal(s->entries[2].first, "g");
    assert_string_equal(s->entries[2].second, "h");
    assert_int_equal(s->entries[2].line, 7);
    assert_string_equal(s->entries[3].first, "");
    assert_null(s->entries[3].second);
    assert_false(d->ok); /* {{ a b }} is no name of one word */
}

static void labels_are_a_word_and_the_rest(void **state)
{
    (void)state;
    auto_deffile struct deffile *d = parse(HEAD "%labels\nA\tb  c \n# n\nK=V\n");
    const struct deffile_section *s = &d->stages[0].sections[0];
    assert_int_equal(s->n_entries, 2);
    assert_string_equal(s->entries[0].second, "b  c");
    assert_string_equal(s->entries[1].first, "K=V");
    assert_string_equal(s->entries[1].second, "");
    assert_true(d->ok);
}

static void apps_have_a_name(void **state)
{
    (void)state;
    auto_deffile struct deffile *d = parse(HEAD "%apprun Foo  \nx\n%apprun bar\ny\n");
    size_t pos = 0;
    assert_string_equal(deffile_section_next(&d->stages[0], "apprun", "bar", &pos)->body.data,
                        "y\n");
    pos = 0;
    assert_null(deffile_section_next(&d->stages[0], "apprun", NULL, &pos));
    assert_string_equal(d->stages[0].sections[0].args, "");
}

static void a_second_bootstrap_starts_a_stage(void **state)
{
    (void)state;
    auto_deffile struct deffile *d =
        parse(HEAD "Stage: one\n%post\n  Bootstrap: no\n" HEAD "%files from one\n/a /b\n");
    assert_true(d->ok);
    assert_int_equal(d->n_stages, 2);
    assert_string_equal(d->stages[0].name, "one");
    assert_int_equal(d->stages[1].line, 6);
    assert_string_equal(d->stages[1].sections[0].from, "one");
}

static void every_mistake_has_its_code_and_line(void **state)
{
    (void)state;
    assert_codes(HEAD "%post\ncat <<X\n%s\nX\n", "unknown-section:5");
    assert_codes(HEAD "  %post\n", "indented-section:3");
    assert_codes(HEAD "%\n", "empty-section-name:3");
    assert_codes(HEAD "make all\n", "bad-header-line:3");
    assert_codes(HEAD "Form: x\n", "unknown-header:3");
    assert_codes(HEAD "from: x\n", "duplicate-header:3");
    assert_codes(HEAD "Include: x \\\n\n", "bad-continuation:3");
    assert_codes(HEAD "%appinstall\n", "app-name-missing:3");
    assert_codes(HEAD "%apprun a b\n", "app-name-extra:3");
    assert_codes(HEAD "%apprun -a\n", "app-name-bad:3");
    assert_codes(HEAD "%files into x\n", "files-args:3");
    assert_codes(HEAD "%files from x\n", "unknown-stage:3");
    assert_codes(HEAD "%files\n'a\n", "files-quote:4");
    assert_codes(HEAD "%files\na b c\n", "files-extra:4");
    assert_codes(HEAD "%post\nFrom: b\nBootstrap: yum\n", "stage-order:4");
    assert_codes(HEAD "Stage: a\n%post\n" HEAD "Stage: a\n", "duplicate-stage:7");
    assert_codes("# c\nRELEASE=7\nDistType \"redhat\"\nBootstrap\n", "old-format:3");
    assert_codes("", "(no-bootstrap:1) empty:1");
    assert_codes("\xff\xfe"
                 "B",
                 "utf16:1");
}

static void warnings_do_not_refuse_a_definition(void **state)
{
    (void)state;
    assert_codes("%post\na", "(no-bootstrap:1)");
    assert_codes("\xef\xbb\xbf" HEAD, "(bom:1)");
    assert_codes("Bootstrap: x\r\nFrom: a\r\n", "(crlf:1)");
    assert_codes(HEAD "DistType x\n", "(obsolete-header:3)");
    assert_codes("OSBuild: yum\n", "(obsolete-header:1)");
    assert_codes(HEAD "Include:\n", "(empty-value:3)");
    assert_codes("Bootstrap: docker\nFrom: 'a'\n", "(quoted-value:2)");
    assert_codes(HEAD "% post\n", "(space-after-percent:3)");
    assert_codes(HEAD "%post -c a\n%post -c b\n", "(conflicting-args:4)");
    assert_codes(HEAD "%help me\n", "(unused-args:3)");
    assert_codes(HEAD "%labels\nA\n", "(label-no-value:4)");
    assert_codes("Bootstrap:\xc2\xa0yum\n", "(odd-space:1)");
    assert_codes(HEAD "%post\necho \xff\n", "(not-utf8:4)");
}

static void a_nul_byte_is_refused_where_it_stands(void **state)
{
    (void)state;
    static const char text[] = HEAD "%post\nab\0c\n";
    auto_deffile struct deffile *d =
        deffile_parse(text, sizeof text - 1, "x.def", &deffile_schema_all);
    assert_int_equal(d->n_diags, 1);
    assert_string_equal(d->diags[0].code, "nul-byte");
    assert_int_equal(d->diags[0].line, 4);
    assert_int_equal(d->diags[0].column, 3);
    assert_int_equal(d->n_stages, 0);
}

static void findings_of_the_caller_are_sorted_in(void **state)
{
    (void)state;
    auto_deffile struct deffile *d = parse(HEAD "%help x\n%labels y\n");
    assert_true(d->ok);
    deffile_diag_add(d, DEFFILE_ERROR, "mine", 3, 1, NULL, "'%s' is wrong", "it");
    deffile_diag_add(d, DEFFILE_WARNING, "first", 1, 1, "a hint", "early");
    auto_free char *have = codes(d);
    assert_string_equal(have, "(first:1) (unused-args:3) mine:3 (unused-args:4)");
    assert_false(d->ok);
}

static void the_first_error_is_told_with_the_number_of_others(void **state)
{
    (void)state;
    auto_deffile struct deffile *d = parse(HEAD "%pots\n%x\033\n");
    auto_err struct err e = { 0 };
    assert_int_equal(deffile_err(d, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_string_equal(e.msg, "x.def:3: unknown section '%pots' (and 1 more error)");
    assert_string_equal(e.hint, "did you mean '%post'?");
    auto_free char *text = deffile_diag_text(d, &d->diags[1]);
    assert_string_equal(text, "x.def:4:1: error[unknown-section]: unknown section '%x\\x1b'");
}

static void bytes_that_are_not_utf8_are_kept_and_shown_escaped(void **state)
{
    (void)state;
    auto_deffile struct deffile *d = parse(HEAD "%files\n/a\xff /b\n%post\n\xff\n");
    assert_string_equal(d->stages[0].sections[0].entries[0].first, "/a\xff");
    auto_json struct json_object *dump = deffile_dump(d);
    auto_free char *text = json_text(dump, 0);
    assert_non_null(strstr(text, "\"src\":\"/a\\\\xff\""));
    assert_non_null(strstr(text, "\"body_b64\":\"/wo=\""));
}

static void reading_refuses_what_is_no_file(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    struct deffile *d = NULL;
    assert_int_equal(deffile_read("/nonexistent/x.def", &deffile_schema_all, &d, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(e.sys, ENOENT);
    assert_int_equal(deffile_read("/", &deffile_schema_all, &d, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_int_equal(deffile_read("/dev/zero", &deffile_schema_all, &d, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_null(d);
}

/* CPU time for one MiB of UNIT repeated below a heading. */
static double seconds_for(const char *head, const char *unit)
{
    struct str s = { 0 };
    str_add(&s, head);
    while (s.len + strlen(unit) <= 1 << 20)
        str_add(&s, unit);
    clock_t start = clock();
    auto_deffile struct deffile *d = deffile_parse(s.data, s.len, "x.def", &deffile_schema_all);
    clock_t end = clock();
    assert_non_null(d);
    str_free(&s);
    return (double)(end - start) / CLOCKS_PER_SEC;
}

static void no_shape_of_a_mebibyte_is_slow(void **state)
{
    (void)state;
    static const char *const shapes[][2] = {
        { HEAD, "%x\n" },
        { HEAD, "%post a\n" },
        { HEAD, "%post -a\n%post -b\n" },
        { HEAD, "  %post\n" },
        { "", "Bootstrap:a\nStage:b\n%files from b\n" },
        { "", "Bootstrap:a\n%post\nFrom:\n" },
        { HEAD, "Include:a\n" },
        { HEAD "Include: a", "\\\n a" },
        { HEAD, "x:\n" },
        { HEAD, "x\n" },
        { HEAD "%files\n", "a\\\n" },
        { HEAD "%files\n", "{{ a " },
        { HEAD "%files\n", "{" },
        { HEAD "%labels\n", "a\n" },
        { HEAD, "\xc2\xa0" },
        { HEAD, "\r\n" },
        { "", "%" },
        { HEAD "%post\n", "From:\n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        double seconds = seconds_for(shapes[i][0], shapes[i][1]);
        if (getenv("TEST_VERBOSE"))
            print_message("%.3f s for '%s'\n", seconds, shapes[i][1]);
        assert_true(seconds < 5); /* 0.2 without sanitizers; a quadratic one needs minutes */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keywords_are_read_in_any_case_and_spacing),
        cmocka_unit_test(repeated_include_is_one_list),
        cmocka_unit_test(backslash_n_before_a_continuation_is_a_newline),
        cmocka_unit_test(sections_keep_their_bytes_and_lines),
        cmocka_unit_test(words_of_a_files_line_may_be_quoted),
        cmocka_unit_test(labels_are_a_word_and_the_rest),
        cmocka_unit_test(apps_have_a_name),
        cmocka_unit_test(a_second_bootstrap_starts_a_stage),
        cmocka_unit_test(every_mistake_has_its_code_and_line),
        cmocka_unit_test(warnings_do_not_refuse_a_definition),
        cmocka_unit_test(a_nul_byte_is_refused_where_it_stands),
        cmocka_unit_test(findings_of_the_caller_are_sorted_in),
        cmocka_unit_test(the_first_error_is_told_with_the_number_of_others),
        cmocka_unit_test(bytes_that_are_not_utf8_are_kept_and_shown_escaped),
        cmocka_unit_test(reading_refuses_what_is_no_file),
        cmocka_unit_test(no_shape_of_a_mebibyte_is_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
