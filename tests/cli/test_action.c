/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <stdlib.h>

#include "cli/action.h"

static void expect(const char *text, const char *src, const char *dst, bool read_only)
{
    auto_err struct err e = { 0 };
    struct runtime_bind b = { 0 };
    bool mount = strncmp(text, "type=", 5) == 0;
    assert_int_equal(mount ? action_parse_mount(text, "/cwd", &b, &e)
                           : action_parse_bind(text, "/cwd", &b, &e),
                     0);
    assert_string_equal(b.src, src);
    assert_string_equal(b.dst, dst);
    assert_int_equal(b.read_only, read_only);
    free(b.src);
    free(b.dst);
}

static void binds_are_understood(void **state)
{
    (void)state;
    expect("/a", "/a", "/a", false);
    expect("/a:/b", "/a", "/b", false);
    expect("/a:/b:ro", "/a", "/b", true);
    expect("/a:/b:rw", "/a", "/b", false);
    expect("/a::ro", "/a", "/a", true);
    expect("rel/x", "/cwd/rel/x", "/cwd/rel/x", false);
    expect(".:/here", "/cwd", "/here", false);
    expect("type=bind,src=/a,dst=/b", "/a", "/b", false);
    expect("type=bind,source=/a,target=/b,readonly", "/a", "/b", true);
    expect("type=bind,src=/a,destination=/b,ro", "/a", "/b", true);
}

static void nonsense_is_refused_with_the_form(void **state)
{
    (void)state;
    static const char *const bad[] = { "",           ":/b", "/a:b", "/a:/b:rx", "/a:/b:ro,rw",
                                       "/a:/b:ro:x", ":" };
    static const char *const bad_mounts[] = { "type=tmpfs,dst=/x",
                                              "type=bind,src=/a",
                                              "type=bind,dst=/b",
                                              "src=/a,dst=b",
                                              "bogus",
                                              "type=bind,src=/a,dst=/b,rx" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_err struct err e = { 0 };
        struct runtime_bind b = { 0 };
        assert_int_equal(action_parse_bind(bad[i], "/cwd", &b, &e), -1);
        assert_int_equal(e.code, ERR_USAGE);
        assert_non_null(strstr(e.hint, "SRC[:DST[:ro|rw]]"));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad_mounts); i++) {
        auto_err struct err e = { 0 };
        struct runtime_bind b = { 0 };
        assert_int_equal(action_parse_mount(bad_mounts[i], "/cwd", &b, &e), -1);
        assert_int_equal(e.code, ERR_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binds_are_understood),
        cmocka_unit_test(nonsense_is_refused_with_the_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
