/* SPDX-License-Identifier: BSD-3-Clause */
/* keys.list: well formed, and found by what a definition says. */
#include "tests/base/test.h"

#include <ctype.h>

#include "base/mem.h"
#include "bootstrap/fetch/fetch.h"

#define CENTOS_7 "6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5"
#define CENTOS_8 "99DB70FAE1D7CE227FB6488205B555B38483C65D"
#define ARM_7    "EF8F3CA66EFDF32B36CDADF76C7CB6EF305D49D6"
#define EPEL_7   "91E97D7C4A5E96F17F3E888F6A2FAEA2352C64E5"
#define ROCKY_9  "21CB256AE16FC54C6E652949702D426D350D275D"
#define FEDORA   "115DF9AEF857853EE8445D0A0727707EA15B79CC" /* 40 */

static char *all(const struct known_keys *k)
{
    auto_str struct str s = { 0 };
    for (size_t i = 0; i < k->n; i++)
        str_addf(&s, "%s%s", i ? " " : "", k->v[i]->fingerprint);
    return str_steal(&s);
}

static void an_address_and_a_release_choose_the_keys(void **state)
{
    (void)state;
    static const struct {
        const char *urls, *release, *want;
    } cases[] = {
        { "http://mirror.centos.org/centos/7/os/x86_64", "7", CENTOS_7 },
        { "https://mirror.example.org/CentOS/7.9.2009/os/x86_64", "7.9.2009", CENTOS_7 },
        { "http://h/centos/9-stream/BaseOS", "9-stream", CENTOS_8 },
        { "http://h/centos/7/os/aarch64", "7", CENTOS_7 " " ARM_7 },
        { "http://h/centos/7/os https://h/pub/epel/7/x86_64", "7", CENTOS_7 " " EPEL_7 },
        { "https://dl.fedoraproject.org/pub/epel/7/x86_64", "7", EPEL_7 },
        { "https://h/pub/rocky/9/BaseOS", "9.4", ROCKY_9 },
        { "https://mirrors.fedoraproject.org/metalink?repo=fedora-40&arch=x86_64", "40", FEDORA },
        { "https://h/fedora/linux/releases/40/Everything", "40", FEDORA },
        { "https://h/fedora/linux/releases/1/Everything", "1", "" },
        { "https://h/pub/rocky/10/BaseOS", "10", "" },
        { "https://mirror.example.org/os/7", "7", "" },
        { "file:///srv/centos/7", "6", "C1DAC52D1664E8A4386DBA430946FCA2C105B9DE" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_strv struct strv urls = { 0 };
        auto_known_keys struct known_keys found = { 0 };
        strv_split(&urls, cases[i].urls, " ");
        known_keys_for(&urls, cases[i].release, &found);
        auto_free char *got = all(&found);
        assert_string_equal(got, cases[i].want);
    }
}

static void a_debian_suite_is_signed_by_the_keys_around_it(void **state)
{
    (void)state;
    auto_known_keys struct known_keys found = { 0 };
    known_keys_of("debian", "12", &found);
    auto_free char *got = all(&found);
    assert_non_null(strstr(got, "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8")); /* its own */
    assert_non_null(strstr(got, "1F89983E0081FDE018F3CC9673A4F27B8DD47936")); /* of 11 */
    assert_null(strstr(got, "A1BD8E9D78F7FE5C3E65D8AF8B48AD6246925553"));     /* of 7 */
}

static void without_a_release_all_keys_of_a_distribution_count(void **state)
{
    (void)state;
    auto_known_keys struct known_keys some = { 0 }, every = { 0 };
    known_keys_of("epel", "9", &some);
    known_keys_of("epel", NULL, &every);
    assert_int_equal(some.n, 1);
    assert_int_equal(every.n, 6);
}

static void every_line_is_well_formed(void **state)
{
    (void)state;
    static const char *const names[] = { "centos", "epel",   "rocky",  "almalinux", "fedora",
                                         "oracle", "amazon", "suse",   "opensuse",  "openeuler",
                                         "redhat", "debian", "ubuntu", "scientific" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        auto_known_keys struct known_keys found = { 0 };
        known_keys_of(names[i], NULL, &found);
        assert_true(found.n > 0);
        for (size_t j = 0; j < found.n; j++) {
            const struct known_key *k = found.v[j];
            assert_true(key_is_fingerprint(k->fingerprint));
            assert_true(k->first <= k->last);
            assert_true(!k->address[0] || str_starts(k->address, "https://"));
        }
    }
}

static void a_fingerprint_finds_its_line_in_any_case(void **state)
{
    (void)state;
    auto_free char *low = mem_strdup(ROCKY_9);
    str_lower(low);
    assert_string_equal(known_key_find(low)->distribution, "rocky");
    low[0] = 'f';
    assert_null(known_key_find(low));
}

static void what_a_fingerprint_is(void **state)
{
    (void)state;
    assert_true(key_is_fingerprint(ROCKY_9));
    assert_false(key_is_fingerprint("350D275D"));
    assert_false(key_is_fingerprint("https://h/RPM-GPG-KEY"));
    assert_false(key_is_fingerprint("G1CB256AE16FC54C6E652949702D426D350D275D"));
    assert_false(key_is_fingerprint(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_and_a_release_choose_the_keys),
        cmocka_unit_test(a_debian_suite_is_signed_by_the_keys_around_it),
        cmocka_unit_test(without_a_release_all_keys_of_a_distribution_count),
        cmocka_unit_test(every_line_is_well_formed),
        cmocka_unit_test(a_fingerprint_finds_its_line_in_any_case),
        cmocka_unit_test(what_a_fingerprint_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
