/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/bootstrap/def_case.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "bootstrap/deb/deb.h"

/* A host with two suite scripts, the keyrings and an apt configuration. */
struct fake_host {
    char dir[64];
    struct deb_host host;
};

static void put(const struct fake_host *f, const char *path, const char *text)
{
    auto_close int fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_str struct str s = { 0 };
    str_add(&s, text);
    assert_int_equal(fs_write_at(fd, path, &s, 0644, NULL), 0);
}

static int make_host(void **state)
{
    struct fake_host *f = mem_zero(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/hpcc-test.XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    put(f, "/scripts/bookworm", "");
    put(f, "/scripts/sid", "");
    put(f, "/scripts/gutsy", "");
    put(f, "/scripts/kali-rolling", "");
    put(f, "/scripts/debian-common", "");
    put(f, "/keys/debian-archive-keyring.gpg", "");
    put(f, "/keys/debian-archive-removed-keys.gpg", "");
    put(f, "/keys/ubuntu-archive-keyring.gpg", "");
    put(f, "/apt/sources.list", "deb http://apt.example/debian/ bookworm main\n");
    f->host = (struct deb_host){ .scripts = path_join(f->dir, "scripts"),
                                 .keyrings = path_join(f->dir, "keys"),
                                 .apt = path_join(f->dir, "apt") };
    *state = f;
    return 0;
}

static int drop_host(void **state)
{
    struct fake_host *f = *state;
    auto_free char *base = path_base(f->dir);
    auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fs_remove_tree(tmp, base, NULL);
    free((char *)f->host.scripts);
    free((char *)f->host.keyrings);
    free((char *)f->host.apt);
    free(f);
    return rc;
}

/* The arguments for TEXT joined by blanks; with BAD, the first finding instead. Caller frees. */
static char *argv_of(const struct fake_host *f, const char *text)
{
    auto_def_case struct def_case c = def_case(text);
    auto_deb_plan struct deb_plan p = { 0 };
    auto_err struct err e = { 0 };
    assert_true(deb_plan_check(&c.in, &f->host, c.def));
    assert_int_equal(deb_plan_make(&c.in, &f->host, &p, &e), 0);
    auto_strv struct strv argv = { 0 };
    deb_plan_argv(&p, "/root-of-it", NULL, &argv);
    return strv_join(&argv, " ");
}

static void expect_bad(const struct fake_host *f, const char *text, const char *message)
{
    auto_def_case struct def_case c = def_case(text);
    assert_false(deb_plan_check(&c.in, &f->host, c.def));
    auto_free char *got = deffile_diag_text(c.def, &c.def->diags[c.def->n_diags - 1]);
    if (!strstr(got, message))
        fail_msg("'%s' is not in: %s", message, got);
    assert_memory_equal(got, "x.def:", 6);
}

static void plan_needs_only_a_suite(void **state)
{
    const struct fake_host *f = *state;
    auto_free char *argv = argv_of(f, "Bootstrap: debootstrap\nOSVersion: bookworm\n");
    auto_free char *want =
        mem_printf("debootstrap --debian-installer --arch=amd64 --variant=minbase "
                   "--force-check-gpg --keyring=%s/keys/debian-archive-keyring.gpg bookworm "
                   "/root-of-it http://apt.example/debian",
                   f->dir);
    assert_string_equal(argv, want);
}

static void lists_take_blanks_and_commas(void **state)
{
    auto_free char *argv = argv_of(*state, "Bootstrap: debootstrap\nOSVersion: bookworm\n"
                                           "Include: python3, g++  libc6-dev,less\n"
                                           "Components: main contrib\nVariant: standard\n"
                                           "Arch: i386\nMirrorURL: https://m.example/debian//\n");
    assert_non_null(strstr(argv, " --include=python3,g++,libc6-dev,less "));
    assert_non_null(strstr(argv, " --components=main,contrib "));
    assert_non_null(strstr(argv, " --arch=i386 "));
    assert_null(strstr(argv, "--variant"));
    assert_true(str_ends(argv, " https://m.example/debian"));
}

static void unknown_newer_suite_takes_the_familys_script(void **state)
{
    const struct fake_host *f = *state;
    auto_free char *argv = argv_of(f, "Bootstrap: debootstrap\nOSVersion: noble\n"
                                      "MirrorURL: http://archive.ubuntu.com/ubuntu\n");
    auto_free char *want = mem_printf("http://archive.ubuntu.com/ubuntu %s/scripts/gutsy", f->dir);
    assert_true(str_ends(argv, want));
    assert_non_null(strstr(argv, "ubuntu-archive-keyring.gpg"));
}

static void dead_suite_goes_to_the_archive(void **state)
{
    const struct fake_host *f = *state;
    auto_def_case struct def_case c = def_case("Bootstrap: debootstrap\nOSVersion: wheezy\n"
                                               "MirrorURL: http://ftp.us.debian.org/debian/\n");
    auto_deb_plan struct deb_plan p = { 0 };
    assert_int_equal(deb_plan_make(&c.in, &f->host, &p, NULL), 0);
    assert_string_equal(p.mirror, "http://archive.debian.org/debian");
    assert_string_equal(p.asked, "http://ftp.us.debian.org/debian/");
    assert_non_null(p.old_keyring);
    assert_true(p.gone);

    c.in.vault = false;
    auto_deb_plan struct deb_plan q = { 0 };
    assert_int_equal(deb_plan_make(&c.in, &f->host, &q, NULL), 0);
    assert_string_equal(q.mirror, "http://ftp.us.debian.org/debian");
    assert_null(q.asked);
}

static void unverified_build_drops_the_keyring(void **state)
{
    const struct fake_host *f = *state;
    auto_def_case struct def_case c =
        def_case("Bootstrap: debootstrap\nOSVersion: bookworm\nKeyring: /nonexistent\n");
    auto_deb_plan struct deb_plan p = { 0 };
    auto_err struct err e = { 0 };
    assert_int_equal(deb_plan_make(&c.in, &f->host, &p, &e), -1);
    assert_int_equal(e.code, ERR_HOST);
    c.in.verify = false;
    assert_int_equal(deb_plan_make(&c.in, &f->host, &p, NULL), 0);
    auto_strv struct strv argv = { 0 };
    deb_plan_argv(&p, "/r", NULL, &argv);
    assert_true(strv_has(&argv, "--no-check-gpg"));
    auto_free char *all = strv_join(&argv, " ");
    assert_null(strstr(all, "--keyring"));
}

static void missing_keyring_names_the_package(void **state)
{
    struct fake_host *f = *state;
    auto_free char *key = path_join(f->dir, "keys/ubuntu-archive-keyring.gpg");
    assert_int_equal(unlink(key), 0);
    auto_def_case struct def_case c = def_case("Bootstrap: debootstrap\nOSVersion: jammy\n");
    auto_deb_plan struct deb_plan p = { 0 };
    auto_err struct err e = { 0 };
    assert_int_equal(deb_plan_make(&c.in, &f->host, &p, &e), -1);
    assert_int_equal(e.code, ERR_HOST);
    assert_string_equal(e.hint, "apt-get install ubuntu-keyring");
}

static void foreign_architecture_needs_an_emulator(void **state)
{
    const struct fake_host *f = *state;
    if (access("/proc/sys/fs/binfmt_misc/qemu-s390x", F_OK) == 0)
        skip();
    auto_def_case struct def_case c =
        def_case("Bootstrap: debootstrap\nOSVersion: bookworm\nArch: s390x\n");
    auto_deb_plan struct deb_plan p = { 0 };
    auto_err struct err e = { 0 };
    assert_int_equal(deb_plan_make(&c.in, &f->host, &p, &e), -1);
    assert_int_equal(e.code, ERR_HOST);
    assert_non_null(strstr(e.hint, "qemu-user-static"));
}

static void misspelt_suites_are_corrected(void **state)
{
    expect_bad(*state, "Bootstrap: debootstrap\nOSVersion: bokworm\n",
               "x.def:2:1: error[unknown-suite]: unknown suite 'bokworm'");
    expect_bad(*state, "Bootstrap: debootstrap\nOSVersion: 22.04\n", "unknown suite '22.04'");
    expect_bad(*state, "Bootstrap: debootstrap\nOSVersion: kali-roling\n",
               "unknown suite 'kali-roling'");
}

static void hostile_values_are_refused_by_line(void **state)
{
    static const char *const suites[] = { "--foo",       "a b",   "x'; touch /tmp/pwned; '",
                                          "`id`",        "$(id)", "../x",
                                          "bookworm;id", "x\\y",  "\"x\"",
                                          "a|b",         "b\x01x" };
    for (size_t i = 0; i < ARRAY_LEN(suites); i++) {
        auto_free char *text = mem_printf("Bootstrap: debootstrap\nOSVersion: %s\n", suites[i]);
        expect_bad(*state, text, "is no valid suite name in header 'osversion'");
    }
    static const char *const words[] = { "x; touch /pwn", "--foo", "`id`",
                                         "$(id)",         "a'b",   "../../x",
                                         "a\"b",          "x=1",   "a*",
                                         "a&b",           "%s" };
    static const char *const keys[] = { "Include", "Exclude", "Components" };
    for (size_t k = 0; k < ARRAY_LEN(keys); k++)
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
            auto_free char *text = mem_printf(
                "Bootstrap: debootstrap\nOSVersion: bookworm\n%s: good %s\n", keys[k], words[i]);
            expect_bad(*state, text, "x.def:3:1: error[bad-value]");
        }
    static const char *const urls[] = { "--option",     "/path",         "gopher://x/y",
                                        "ssh://x/y",    "copy:/x",       "http://",
                                        "http://-x/",   "http://x/`id`", "http://x/$(id)",
                                        "http://x/;id", "http://x/a b",  "http://x/'",
                                        "http://x/\"",  "file://host/x", "http://x/\\y" };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        auto_free char *text =
            mem_printf("Bootstrap: debootstrap\nOSVersion: bookworm\nMirrorURL: %s\n", urls[i]);
        expect_bad(*state, text, "in header 'mirrorurl'");
    }
}

static void passwords_never_show_in_messages(void **state)
{
    const struct fake_host *f = *state;
    auto_def_case struct def_case c = def_case("Bootstrap: debootstrap\nOSVersion: bookworm\n"
                                               "MirrorURL: gopher://u:secret@x/\n");
    assert_false(deb_plan_check(&c.in, &f->host, c.def));
    assert_null(strstr(c.def->diags[0].message, "secret"));
}

int main(void)
{
#define WITH_HOST(t) cmocka_unit_test_setup_teardown(t, make_host, drop_host)
    const struct CMUnitTest tests[] = {
        WITH_HOST(plan_needs_only_a_suite),
        WITH_HOST(lists_take_blanks_and_commas),
        WITH_HOST(unknown_newer_suite_takes_the_familys_script),
        WITH_HOST(dead_suite_goes_to_the_archive),
        WITH_HOST(unverified_build_drops_the_keyring),
        WITH_HOST(missing_keyring_names_the_package),
        WITH_HOST(foreign_architecture_needs_an_emulator),
        WITH_HOST(misspelt_suites_are_corrected),
        WITH_HOST(hostile_values_are_refused_by_line),
        WITH_HOST(passwords_never_show_in_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
