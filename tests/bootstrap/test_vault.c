/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include "base/mem.h"
#include "base/str.h"
#include "bootstrap/vault.h"

static void expect_moved(const char *from, const char *to, bool list)
{
    auto_free char *got = NULL;
    bool was_list = false;
    assert_true(vault_url_moved(from, &got, &was_list));
    assert_string_equal(got, to);
    assert_int_equal(was_list, list);
}

static void expect_stays(const char *url)
{
    char *got = NULL;
    assert_false(vault_url_moved(url, &got, NULL));
    assert_null(got);
}

static void centos_mirrors_go_to_the_vault(void **state)
{
    (void)state;
    expect_moved("http://mirror.centos.org/centos-7/7/os/x86_64/",
                 "https://vault.centos.org/7.9.2009/os/x86_64/", false);
    expect_moved("http://mirror.centos.org/centos/7/updates/x86_64/",
                 "https://vault.centos.org/7.9.2009/updates/x86_64/", false);
    expect_moved("http://mirror.centos.org/centos/8/BaseOS/x86_64/os/",
                 "https://vault.centos.org/8.5.2111/BaseOS/x86_64/os/", false);
    expect_moved("http://mirror.centos.org/centos/6/os/$basearch/",
                 "https://vault.centos.org/6.10/os/$basearch/", false);
    expect_moved("http://mirror.centos.org/centos/7.6.1810/os/x86_64/",
                 "https://vault.centos.org/7.6.1810/os/x86_64/", false);
    expect_moved("http://mirror.centos.org/centos/8-stream/BaseOS/x86_64/os/",
                 "https://vault.centos.org/8-stream/BaseOS/x86_64/os/", false);
}

static void centos_mirror_lists_become_addresses(void **state)
{
    (void)state;
    expect_moved("http://mirrorlist.centos.org/?release=7&arch=x86_64&repo=os&infra=stock",
                 "https://vault.centos.org/7.9.2009/os/x86_64/", true);
    expect_moved("http://mirrorlist.centos.org/?repo=AppStream&arch=x86_64&release=8",
                 "https://vault.centos.org/8.5.2111/AppStream/x86_64/os/", true);
    expect_stays("http://mirrorlist.centos.org/?release=7&arch=x86_64");
    expect_stays("http://mirrorlist.centos.org/?release=7&arch=../../x&repo=os");
}

static void old_fedora_is_archived_and_new_is_not(void **state)
{
    (void)state;
    expect_moved("https://dl.fedoraproject.org/pub/fedora/linux/releases/39/Everything/x86_64/os/",
                 "https://archives.fedoraproject.org/pub/archive/fedora/linux/releases/39/"
                 "Everything/x86_64/os/",
                 false);
    expect_stays("https://dl.fedoraproject.org/pub/fedora/linux/releases/43/Everything/x86_64/os/");
    expect_stays("https://dl.fedoraproject.org/pub/fedora/linux/releases/390/x/");
}

static void other_mirrors_are_left_alone(void **state)
{
    (void)state;
    expect_stays("http://mirror.example/centos/7/os/x86_64/");
    expect_stays("file:///srv/mirror.centos.org/centos/7/");
    expect_stays("http://evil.example/mirror.centos.org/centos/7/");
    expect_stays("http://mirror.centos.org.evil.example/centos/7/");
    expect_stays("");
}

static void suites_are_known_by_name_and_version(void **state)
{
    (void)state;
    assert_string_equal(vault_suite_find("jammy")->family, "ubuntu");
    assert_false(vault_suite_find("bookworm")->gone);
    assert_true(vault_suite_find("wheezy")->gone);
    assert_null(vault_suite_find("Bookworm"));
    assert_string_equal(vault_suite_nearest("22.04"), "jammy");
    assert_string_equal(vault_suite_nearest("12"), "bookworm");
    assert_string_equal(vault_suite_nearest("Bookworm"), "bookworm");
    assert_null(vault_suite_nearest("zzzzzz"));
}

static void gone_suites_leave_their_usual_mirrors(void **state)
{
    (void)state;
    const struct vault_suite *old = vault_suite_find("stretch");
    auto_free char *a = NULL;
    auto_free char *b = NULL;
    assert_true(vault_suite_moved(old, "http://deb.debian.org/debian", &a));
    assert_true(vault_suite_moved(old, "http://u:p@ftp.de.debian.org/debian/", &b));
    assert_string_equal(a, "http://archive.debian.org/debian");
    assert_string_equal(b, a);
    char *c = NULL;
    assert_false(vault_suite_moved(old, "http://mirror.example/debian", &c));
    assert_false(vault_suite_moved(old, "http://archive.debian.org/debian", &c));
    assert_false(vault_suite_moved(vault_suite_find("sid"), "http://deb.debian.org/debian", &c));
}

static void notice_shows_no_password(void **state)
{
    (void)state;
    auto_free char *n = vault_notice("http://u:secret@a.example/x", "https://b.example/y");
    assert_null(strstr(n, "secret"));
    assert_non_null(strstr(n, "--no-vault"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(centos_mirrors_go_to_the_vault),
        cmocka_unit_test(centos_mirror_lists_become_addresses),
        cmocka_unit_test(old_fedora_is_archived_and_new_is_not),
        cmocka_unit_test(other_mirrors_are_left_alone),
        cmocka_unit_test(suites_are_known_by_name_and_version),
        cmocka_unit_test(gone_suites_leave_their_usual_mirrors),
        cmocka_unit_test(notice_shows_no_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
