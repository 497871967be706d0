/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/bootstrap/def_case.h"

#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"

/* check TEXT and expect the one error MSG, with HINT when that is given */
static void expect_refusal(const char *text, const char *msg, const char *hint)
{
    auto_def_case struct def_case c = def_case(text);
    auto_err struct err e = { 0 };
    assert_int_equal(bootstrap_check(&c.in, c.def, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.msg, msg));
    if (hint)
        assert_non_null(strstr(e.hint, hint));
}

static void every_agent_has_a_help_and_lower_case_names(void **state)
{
    (void)state;
    for (const struct agent *const *a = bootstrap_agents; *a; a++) {
        assert_non_null((*a)->help);
        assert_non_null((*a)->fill);
        for (const char *c = (*a)->name; *c; c++)
            assert_true(islower((unsigned char)*c) || isdigit((unsigned char)*c));
        for (const struct agent_key *k = (*a)->keys; k && k->name; k++)
            assert_true(strchr(k->name, '<') || agent_key_known(*a, k->name));
    }
}

static void numbered_keys_match_with_their_number(void **state)
{
    (void)state;
    const struct agent *yum = bootstrap_agent_find("yum", NULL);
    assert_true(agent_key_known(yum, "otherurl0"));
    assert_true(agent_key_known(yum, "otherurl9"));
    assert_false(agent_key_known(yum, "otherurlx"));
}

static void agents_are_found_in_any_case(void **state)
{
    (void)state;
    assert_ptr_equal(bootstrap_agent_find("BusyBox", NULL), bootstrap_agent_find("busybox", NULL));
    assert_non_null(bootstrap_agent_find("SCRATCH", NULL));
    const char *near = NULL;
    assert_null(bootstrap_agent_find("debotstrap", &near));
    assert_string_equal(near, "debootstrap");
}

static void unknown_agent_is_told_with_the_nearest(void **state)
{
    (void)state;
    expect_refusal("Bootstrap: debotstrap\n", "x.def:1", "did you mean 'debootstrap'");
    expect_refusal("Bootstrap: qwertz\n", "unknown agent 'qwertz'", "agents: ");
}

static void missing_agent_and_headers_are_told(void **state)
{
    (void)state;
    expect_refusal("From: x\n", "no agent is named", "Bootstrap: debootstrap");
    expect_refusal("# c\nBootstrap: debootstrap\n", "x.def:2", "OSVersion: ");
}

static void headers_of_other_agents_are_warned_about(void **state)
{
    (void)state;
    auto_def_case struct def_case c = def_case("Bootstrap: scratch\nFrom: x\n");
    assert_int_equal(bootstrap_check(&c.in, c.def, NULL), 0);
    assert_int_equal(c.def->n_diags, 1);
    assert_int_equal(c.def->diags[0].severity, DEFFILE_WARNING);
    assert_string_equal(c.def->diags[0].code, "unused-header");
    assert_int_equal(c.def->diags[0].line, 2);
}

static void scratch_leaves_the_root_empty(void **state)
{
    (void)state;
    char dir[] = "/tmp/hpcc-test.XXXXXX";
    assert_non_null(mkdtemp(dir));
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_def_case struct def_case c = def_case("Bootstrap: scratch\n");
    struct agent_result r = { 0 };
    assert_int_equal(bootstrap_run(&c.in, fd, &r, NULL), 0);
    assert_string_equal(json_get_str(r.facts, "agent"), "scratch");
    json_object_put(r.facts);
    assert_int_equal(rmdir(dir), 0);
}

static void busybox_makes_a_system_of_links(void **state)
{
    (void)state;
    if (geteuid() != 0 || access("/bin/busybox", X_OK) < 0)
        skip();
    char dir[] = "/tmp/hpcc-test.XXXXXX";
    assert_non_null(mkdtemp(dir));
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_def_case struct def_case c = def_case("Bootstrap: busybox\n");
    struct agent_result r = { 0 };
    auto_err struct err e = { 0 };
    int rc = bootstrap_run(&c.in, fd, &r, &e);
    struct stat st;
    int sh = rc == 0 ? fs_stat_at(fd, "/bin/sh", true, &st) : -1;
    auto_free char *base = path_base(dir);
    auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fs_remove_tree(tmp, base, NULL), 0);
    assert_int_equal(rc, 0);
    assert_int_equal(sh, 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    json_object_put(r.facts);
}

static void busybox_over_plain_http_is_refused(void **state)
{
    (void)state;
    expect_refusal("Bootstrap: busybox\nMirrorURL: http://x.example/busybox\n", "x.def:2",
                   "https://");
    expect_refusal("Bootstrap: busybox\nMirrorURL: gopher://x.example/b\n", "x.def:2", "https://");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_agent_has_a_help_and_lower_case_names),
        cmocka_unit_test(numbered_keys_match_with_their_number),
        cmocka_unit_test(agents_are_found_in_any_case),
        cmocka_unit_test(unknown_agent_is_told_with_the_nearest),
        cmocka_unit_test(missing_agent_and_headers_are_told),
        cmocka_unit_test(headers_of_other_agents_are_warned_about),
        cmocka_unit_test(scratch_leaves_the_root_empty),
        cmocka_unit_test(busybox_makes_a_system_of_links),
        cmocka_unit_test(busybox_over_plain_http_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
