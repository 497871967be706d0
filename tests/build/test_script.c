/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include "base/mem.h"
#include "build/parts.h"
#include "build/script_watch.h"

static struct deffile *parse(const char *text)
{
    struct deffile *d = deffile_parse(text, strlen(text), "x.def", &deffile_schema_all);
    assert_true(d->ok);
    return d;
}

static void lines_of_a_script_have_the_numbers_of_the_definition(void **state)
{
    (void)state;
    auto_deffile struct deffile *d =
        parse("Bootstrap: scratch\n%post\na\n%help\nh\n\n%post\nb\nc\n");
    const struct script_spec spec = { .section = "post" };
    auto_str struct str text = { 0 };
    script_text(&d->stages[0], &spec, &text);
    assert_string_equal(text.data, SCRIPT_TRACE_ON "\n\na\n\n\n\n\nb\nc\n");
}

static void a_prologue_shares_the_first_line(void **state)
{
    (void)state;
    auto_deffile struct deffile *d =
        parse("Bootstrap: scratch\n%appinstall x\na\n%appinstall y\nb\n");
    const struct script_spec spec = { .section = "appinstall", .app = "y", .prologue = "cd /y" };
    auto_str struct str text = { 0 };
    script_text(&d->stages[0], &spec, &text);
    assert_string_equal(text.data, SCRIPT_TRACE_ON "; cd /y\n\n\n\nb\n");
}

static char *argv_of(const char *args)
{
    auto_strv struct strv argv = { 0 };
    script_argv(args, &argv);
    return strv_join(&argv, "|");
}

static void words_of_a_heading_choose_the_interpreter(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "", "/bin/sh|-e" },
        { "-c /bin/bash", "/bin/bash|-e" },
        { "-u", "/bin/sh|-e|-u" },
        { "-u -c /bin/bash", "/bin/bash|-e|-u" },
        { "-c /bin/bash -l", "/bin/bash|-e|-l" },
        { "-c", "/bin/sh|-e|-c" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *have = argv_of(cases[i][0]);
        assert_string_equal(have, cases[i][1]);
    }
}

static void a_script_file_keeps_its_own_interpreter(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        { "exec x\n", "", "#!/bin/sh\n\nexec x\n" },
        { "exec x\n", "-e", "#!/bin/sh -e\n\nexec x\n" },
        { "exec x\n", "-c /bin/bash", "#!/bin/bash\n\nexec x\n" },
        { "\n  #!/usr/bin/python3 -u\nprint(1)\n", "", "#!/usr/bin/python3 -u\nprint(1)\n" },
        { "#!/bin/bash", "", "#!/bin/bash\n" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_str struct str text = { 0 };
        script_with_interpreter(cases[i][0], cases[i][1], &text);
        assert_string_equal(text.data, cases[i][2]);
    }
}

#define BODY                                                                                       \
    "\n\n"                                                                                         \
    "f() {\n"        /* 3 */                                                                       \
    "    false\n"    /* 4 */                                                                       \
    "}\n"            /* 5 */                                                                       \
    "echo a; if x\n" /* 6 */                                                                       \
    "then\n"         /* 7 */                                                                       \
    "    f\n"        /* 8 */                                                                       \
    "fi\n"           /* 9 */                                                                       \
    "v=$(date)\n"    /* 10 */                                                                      \
    "make\n"         /* 11 */

static struct script_watch watch_new(void)
{
    return (struct script_watch){ .name = "x.def",
                                  .path = "/.hpcc-build/x.def",
                                  .text = "prologue" BODY,
                                  .log_fd = -1,
                                  .first = 3,
                                  .last = 11 };
}

static unsigned blame(const char *const *lines)
{
    struct script_watch w = watch_new();
    for (; *lines; lines++)
        script_watch_line(&w, *lines);
    return script_watch_failed(&w, 2);
}
#define BLAME(...) blame((const char *const[]){ __VA_ARGS__, NULL })

static void the_last_traced_line_is_blamed(void **state)
{
    (void)state;
    assert_int_equal(BLAME("+@6@ echo a", "a", "+@10@ date", "++@10@ v=x"), 10);
    assert_int_equal(BLAME("+@6@ echo a", "no newline+@8@ f", "+@4@ false"), 4);
    assert_int_equal(BLAME("+@8@ f", "+@1@ false"), 8); /* counted from the function's start */
    assert_int_equal(BLAME("+@11@ make", "+@11@ set +x"), 2);
    assert_int_equal(BLAME("text with +@ in it", "+@x@ y"), 2);
    assert_int_equal(BLAME("nothing"), 2);
}

static void a_message_of_the_shell_is_better_than_its_trace(void **state)
{
    (void)state;
    assert_int_equal(BLAME("+@6@ make", "/.hpcc-build/x.def: line 11: make: not found"), 11);
    assert_int_equal(BLAME("/.hpcc-build/x.def: 11: make: not found"), 11);
    assert_int_equal(BLAME("/.hpcc-build/x.def: 12: Syntax error"), 11);
    assert_int_equal(BLAME("/.hpcc-build/x.def: 99: what"), 2);
    assert_int_equal(BLAME("/.hpcc-build/x.def: 10: told", "+@11@ make"), 11);
    assert_int_equal(BLAME("/other/x.def: 10: told", "x"), 2);
}

static void echoes_of_the_script_tell_the_line_where_lineno_is_unknown(void **state)
{
    (void)state;
#define READ_F  "+@v@", "", "f() {", "    false", "}"
#define READ_IF "echo a; if x", "then", "    f", "fi"
    assert_int_equal(BLAME(READ_F, READ_IF, "+@@ echo a"), 6);
    assert_int_equal(BLAME(READ_F, READ_IF, "+@@ echo a", "a", "+@@ x", "+@@ f", "+@@ false"), 4);
    assert_int_equal(BLAME(READ_F, READ_IF, "+@@ x", "v=$(date)", "+@@ date", "+@@ v=1"), 10);
    assert_int_equal(BLAME(READ_F, READ_IF, "+@@ x", "v=$(date)", "+@@ v=1", "textmake"), 11);
    assert_int_equal(BLAME("+@v@", "", "f() {", "x", "y"), 3);
}

static void pipelines_that_trace_at_once_are_understood(void **state)
{
    (void)state;
    struct script_watch w = watch_new();
    script_watch_line(&w, "+@10@ +@11@ date");
    assert_int_equal(w.orphans, 1);
    script_watch_line(&w, "make");
    assert_int_equal(w.orphans, 0);
}

static void a_body_of_comments_is_no_code(void **state)
{
    (void)state;
    auto_deffile struct deffile *d =
        parse("Bootstrap: scratch\n%post\n # x\n\n%test\n#!/bin/sh\n a\n%setup\n#\n%setup -e\nb\n");
    auto_str struct str body = { 0 };
    unsigned line = 0;
    assert_false(section_body(&d->stages[0], "post", NULL, &body));
    assert_true(section_body(&d->stages[0], "test", NULL, &body));
    assert_false(section_body(&d->stages[0], "pre", NULL, &body));
    assert_true(section_body(&d->stages[0], "setup", NULL, &body));
    assert_string_equal(section_args(&d->stages[0], "setup", NULL, &line), "-e");
    assert_int_equal(line, 10);
}

static void every_section_of_the_language_is_performed_or_refused(void **state)
{
    (void)state;
    size_t n = 0, known = 0;
    for (const struct deffile_section_rule *r = deffile_schema_all.sections; r->name; r++, n++)
        for (const struct section_kind *const *k = section_kinds; *k; k++)
            known += str_eq((*k)->name, r->name);
    assert_int_equal(known, n);
    for (n = 0; section_kinds[n]; n++)
        assert_non_null(section_kinds[n]->perform);
    assert_int_equal(known, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_a_script_have_the_numbers_of_the_definition),
        cmocka_unit_test(a_prologue_shares_the_first_line),
        cmocka_unit_test(words_of_a_heading_choose_the_interpreter),
        cmocka_unit_test(a_script_file_keeps_its_own_interpreter),
        cmocka_unit_test(the_last_traced_line_is_blamed),
        cmocka_unit_test(a_message_of_the_shell_is_better_than_its_trace),
        cmocka_unit_test(echoes_of_the_script_tell_the_line_where_lineno_is_unknown),
        cmocka_unit_test(pipelines_that_trace_at_once_are_understood),
        cmocka_unit_test(a_body_of_comments_is_no_code),
        cmocka_unit_test(every_section_of_the_language_is_performed_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
