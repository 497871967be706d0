/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/plain.h"

#include "tests/base/test.h"

static void a_report_becomes_indented_lines(void **state)
{
    (void)state;
    const char *json = "{\"image\": \"a.img\", \"keeps_system\": false, \"none\": null,"
                       " \"stages\": [{\"agent\": \"yum\", \"sections\": [\"post\", \"test\"]}],"
                       " \"base\": {\"n_packages\": 3}}";
    auto_json struct json_object *doc = json_read(json, strlen(json), "test", NULL);
    auto_str struct str out = { 0 };
    assert_non_null(doc);
    plain_add(&out, doc, 0);
    assert_string_equal(str_text(&out), "image: a.img\n"
                                        "keeps system: no\n"
                                        "none: none\n"
                                        "stages:\n"
                                        "  agent: yum\n"
                                        "  sections: post test\n"
                                        "base:\n"
                                        "  n packages: 3\n");
}

static void hostile_values_are_made_printable(void **state)
{
    (void)state;
    const char *json = "{\"name\": \"a\\u001b[31mb\"}";
    auto_json struct json_object *doc = json_read(json, strlen(json), "test", NULL);
    auto_str struct str out = { 0 };
    plain_add(&out, doc, 0);
    assert_null(strchr(str_text(&out), '\033'));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_becomes_indented_lines),
        cmocka_unit_test(hostile_values_are_made_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
