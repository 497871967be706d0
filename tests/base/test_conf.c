/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include "base/conf.h"
#include "base/json.h"
#include "base/str.h"

static struct conf *parse(const char *text, struct err *e)
{
    return conf_parse(text, strlen(text), "x.yaml", e);
}

static void maps_lists_and_lines_are_kept(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_conf struct conf *c = parse("a: 1\nb:\n  - x\n  - 'yes'\nc: yes\n", &e);
    assert_non_null(c);
    assert_int_equal(c->kind, CONF_MAP);
    assert_string_equal(conf_get(c, "a")->text, "1");
    const struct conf *b = conf_get(c, "b");
    assert_int_equal(b->n_items, 2);
    assert_int_equal(b->items[1].line, 4);
    bool on = false;
    assert_int_equal(conf_bool(conf_get(c, "c"), "x.yaml", &on, &e), 0);
    assert_true(on);
    assert_int_equal(conf_bool(&b->items[1], "x.yaml", &on, &e), -1);
    assert_null(conf_get(c, "nope"));
}

static void what_is_not_accepted_names_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        { "a: 1\na: 2\n", "x.yaml:2: 'a' is given twice (first on line 1)" },
        { "a: &x 1\nb: *x\n", "x.yaml:1: anchors and aliases are not accepted here" },
        { "a: [1,\n", "x.yaml:2: not valid YAML" },
        { "? [1]\n: 2\n", "x.yaml:1: a key must be plain text" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_err struct err e = { 0 };
        assert_null(parse(cases[i].text, &e));
        assert_true(str_starts(e.msg, cases[i].message));
        assert_int_equal(e.code, ERR_INPUT);
    }
}

static void depth_is_bounded(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_str struct str deep = { 0 };
    for (int i = 0; i < 100000; i++)
        str_add_c(&deep, '[');
    assert_null(conf_parse(deep.data, deep.len, "x.yaml", &e));
}

static void an_empty_file_is_an_empty_map(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_conf struct conf *c = parse("# nothing\n", &e);
    assert_non_null(c);
    assert_int_equal(c->kind, CONF_MAP);
    assert_int_equal(c->n_items, 0);
}

static void json_keeps_order_and_refuses_junk(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_json struct json_object *o = json_object_new_object();
    json_put_str(o, "z", "a/b");
    json_put_int(o, "a", 1);
    json_put_str(o, "n", NULL);
    auto_free char *s = json_text(o, 0);
    assert_string_equal(s, "{\"z\":\"a/b\",\"a\":1,\"n\":null}");
    assert_null(json_read("{\"a\":}", 6, "labels", &e));
    assert_true(str_starts(e.msg, "labels is not valid JSON"));
    auto_json struct json_object *back = json_read(s, strlen(s), "labels", &e);
    assert_string_equal(json_get_str(back, "z"), "a/b");
    assert_null(json_get_str(back, "a"));
}

static void json_is_fit_for_a_terminal(void **state)
{
    (void)state;
    auto_json struct json_object *o = json_object_new_object();
    json_put_str(o, "k", "\033\x7f\xc2\x9b\u202e \xff \u00e9 \xe2\x80");
    auto_free char *s = json_text(o, 0);
    assert_string_equal(s,
                        "{\"k\":\"\\u001b\\u007f\\u009b\\u202e \\\\xff \u00e9 \\\\xe2\\\\x80\"}");
    auto_json struct json_object *back = json_read(s, strlen(s), "it", NULL);
    assert_string_equal(json_get_str(back, "k"), "\033\x7f\xc2\x9b\u202e \\xff \u00e9 \\xe2\\x80");
    auto_free char *lines = json_text(o, 1);
    assert_non_null(strchr(lines, '\n'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_lists_and_lines_are_kept),
        cmocka_unit_test(what_is_not_accepted_names_its_line),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(an_empty_file_is_an_empty_map),
        cmocka_unit_test(json_keeps_order_and_refuses_junk),
        cmocka_unit_test(json_is_fit_for_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
