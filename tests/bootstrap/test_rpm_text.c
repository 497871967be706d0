/* SPDX-License-Identifier: BSD-3-Clause */
/* What the yum agent reads before any library sees it: addresses, repomd.xml, metalinks, mirror
 * lists, filelists.xml, modules.yaml. */
#include "base/mem.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/rpm/md.h"
#include "bootstrap/rpm/modulemd.h"
#include "bootstrap/rpm/repo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SUM "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void paths_that_leave_the_repository_are_unsafe(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "/etc/passwd", "../x",   "a/../../x", "a/..",
        "http://h/x", "a\nb",        "a\\b",   "%2e%2e/x",  "a%2Fb",
        "..",         ".%2e/x",      "%2E./x", "a/%2e%2E",  "%252e%252e/x",
        "%25252e./x", "a%5cb",       "a%0ab",  "a%00b",     "%68ttp%3a%2f%2fh",
        NULL
    };
    static const char *const good[] = {
        "Packages/a-1.rpm", "a..b/c", "x%2B.rpm", "...", "a%20b", "100%", "%2e/x", "a%2e%2eb", NULL
    };
    for (size_t i = 0; bad[i]; i++)
        assert_false(url_path_safe(bad[i]));
    for (size_t i = 0; good[i]; i++)
        assert_true(url_path_safe(good[i]));
}

static void addresses_join_with_one_slash(void **state)
{
    (void)state;
    auto_free char *a = url_join("http://h/os/", "a b#c.rpm");
    auto_free char *b = url_join("http://h/os", "x+y~1%2B%.rpm");
    assert_string_equal(a, "http://h/os/a%20b%23c.rpm");
    assert_string_equal(b, "http://h/os/x+y~1%2B%25.rpm");
}

static void file_addresses_become_paths(void **state)
{
    (void)state;
    auto_free char *a = url_file_path("file:///srv/a%20b");
    auto_free char *b = url_file_path("file://localhost/srv");
    assert_string_equal(a, "/srv/a b");
    assert_string_equal(b, "/srv");
    assert_null(url_file_path("file://otherhost/srv"));
    assert_null(url_file_path("http://h/srv"));
}

static void a_proxy_password_may_hold_any_character(void **state)
{
    (void)state;
    const char *const env[] = { "HTTP_PROXY=http://me:p@ss:w%40rd@proxy:3128", "no_proxy=localhost",
                                NULL };
    auto_url_proxy struct url_proxy p;
    url_proxy_find(env, "http://h/x", &p);
    assert_string_equal(p.address, "http://proxy:3128");
    assert_string_equal(p.user, "me");
    assert_string_equal(p.password, "p@ss:w@rd");
    assert_string_equal(p.except, "localhost");
}

static void https_has_its_own_proxy_and_none_is_no_proxy(void **state)
{
    (void)state;
    const char *const env[] = { "http_proxy=http://proxy:1", NULL };
    auto_url_proxy struct url_proxy p;
    url_proxy_find(env, "https://h/x", &p);
    assert_string_equal(p.address, "");
    assert_null(p.user);
}

static void weak_checksums_are_unknown(void **state)
{
    (void)state;
    assert_int_equal(store_algo("md5"), -1);
    assert_true(store_hex_ok(store_algo("sha256"), SUM));
    assert_false(store_hex_ok(store_algo("sha256"), "../../etc/passwd"));
    assert_false(store_hex_ok(store_algo("sha512"), SUM));
}

static int repomd(const char *data, struct yum_repo *r, struct err *e)
{
    auto_str struct str s = { 0 };
    str_addf(&s, "<?xml version=\"1.0\"?><repomd xmlns=\"x\"><revision>7</revision>%s</repomd>",
             data);
    return yum_repomd_parse(&s, "r", r, e);
}

static void a_table_of_contents_is_read(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    struct yum_repo r = { 0 };
    assert_int_equal(repomd("<data type=\"primary\"><checksum type=\"sha256\">" SUM "</checksum>"
                            "<location href=\"repodata/p.xml.gz\"/><size>12</size>"
                            "<open-size>99</open-size></data>"
                            "<data type=\"primary_db\"><location href=\"/x\"/></data>",
                            &r, &e),
                     0);
    const struct yum_md *md = yum_repo_md(&r, "primary");
    assert_non_null(md);
    assert_string_equal(md->path, "repodata/p.xml.gz");
    assert_int_equal(md->size_bytes, 12);
    assert_int_equal(md->open_size_bytes, 99);
    assert_string_equal(r.revision, "7");
    yum_repo_close(&r);
}

static void refused(const char *data, const char *why)
{
    auto_err struct err e = { 0 };
    struct yum_repo r = { 0 };
    assert_int_equal(repomd(data, &r, &e), -1);
    if (!strstr(e.msg, why))
        fail_msg("'%s' does not say '%s'", e.msg, why);
    yum_repo_close(&r);
}

static void a_table_of_contents_that_cannot_be_trusted_is_refused(void **state)
{
    (void)state;
    refused("", "no 'primary'");
    refused("<data type=\"primary\"><location href=\"p\"/></data>", "no checksum");
    refused(
        "<data type=\"primary\"><checksum type=\"md5\">d41d8cd98f00b204e9800998ecf8427e</checksum>"
        "<location href=\"p\"/></data>",
        "too weak");
    refused("<data type=\"primary\"><checksum type=\"sha256\">" SUM "</checksum>"
            "<location href=\"../p\"/></data>",
            "leads out");
    refused("<data type=\"primary\"><checksum type=\"sha256\">" SUM "</checksum>"
            "<location href=\"p\"/><size>-1</size></data>",
            "size");
    refused("<data", "XML");
}

static void entities_are_refused(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_str struct str s = { 0 };
    struct yum_repo r = { 0 };
    str_add(&s,
            "<!DOCTYPE repomd [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><repomd>&b;</repomd>");
    assert_int_equal(yum_repomd_parse(&s, "r", &r, &e), -1);
    assert_non_null(strstr(e.msg, "entities"));
    yum_repo_close(&r);
}

static void a_metalink_gives_mirrors_by_preference_and_checksums(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_str struct str s = { 0 };
    auto_strv struct strv mirrors = { 0 };
    auto_strv struct strv sums = { 0 };
    str_add(&s, "<metalink xmlns:mm0=\"m\"><files><file name=\"repomd.xml\"><verification>"
                "<hash type=\"md5\">d41d8cd98f00b204e9800998ecf8427e</hash>"
                "<hash type=\"sha256\">" SUM "</hash></verification><resources>"
                "<url preference=\"5\">http://b/repodata/repomd.xml</url>"
                "<url preference=\"9\">https://a/repodata/repomd.xml</url>"
                "<url preference=\"99\">rsync://c/repodata/repomd.xml</url>"
                "</resources></file></files></metalink>");
    assert_int_equal(yum_metalink_parse(&s, &mirrors, &sums, &e), 0);
    assert_int_equal(mirrors.n, 2);
    assert_string_equal(mirrors.v[0], "https://a/");
    assert_string_equal(mirrors.v[1], "http://b/");
    assert_int_equal(sums.n, 1);
    assert_string_equal(sums.v[0], "sha256:" SUM);
}

static void a_metalink_without_a_strong_checksum_is_refused(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_str struct str s = { 0 };
    auto_strv struct strv mirrors = { 0 };
    auto_strv struct strv sums = { 0 };
    str_add(&s, "<metalink><file name=\"repomd.xml\"><url>http://b/repodata/repomd.xml</url></file>"
                "</metalink>");
    assert_int_equal(yum_metalink_parse(&s, &mirrors, &sums, &e), -1);
    assert_non_null(strstr(e.msg, "checksum"));
}

static void a_mirror_list_is_addresses_among_remarks(void **state)
{
    (void)state;
    auto_str struct str s = { 0 };
    auto_strv struct strv mirrors = { 0 };
    str_add(&s,
            "# repo = x\r\nhttp://a/$basearch/\nftp://b/\n  https://c/ # slow\nInvalid release\n");
    yum_mirrorlist_parse(&s, &mirrors);
    assert_int_equal(mirrors.n, 2);
    assert_string_equal(mirrors.v[0], "http://a/$basearch/");
    assert_string_equal(mirrors.v[1], "https://c/");
}

static void a_list_from_the_network_names_no_file_of_this_host(void **state)
{
    (void)state;
    static const char *const lists[] = { "http://h/list", "https://h/list", "ftp://h/list" };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        assert_false(yum_mirror_allowed(lists[i], "file:///srv/repo"));
        assert_false(yum_mirror_allowed(lists[i], "FILE:///srv/repo"));
        assert_true(yum_mirror_allowed(lists[i], "http://b/"));
    }
    assert_true(yum_mirror_allowed("file:///etc/list", "file:///srv/repo"));
    assert_true(yum_mirror_allowed("file:///etc/list", "https://b/"));
}

static void a_metalink_gives_at_most_64_checksums(void **state)
{
    (void)state;
    auto_str struct str s = { 0 };
    auto_strv struct strv mirrors = { 0 };
    auto_strv struct strv sums = { 0 };
    str_add(&s, "<metalink><file name=\"repomd.xml\">");
    for (unsigned i = 0; i < 65; i++)
        str_add(&s, "<hash type=\"sha256\">" SUM "</hash>");
    str_add(&s, "<url>http://b/repodata/repomd.xml</url></file></metalink>");
    assert_int_equal(yum_metalink_parse(&s, &mirrors, &sums, NULL), 0);
    assert_int_equal(sums.n, 64);
}

static size_t counted(const char *text, size_t piece)
{
    struct yum_tags t = { 0 };
    size_t n = 0, len = strlen(text);
    for (size_t at = 0; at < len; at += piece)
        n += yum_tags_count(&t, "<package", text + at, len - at < piece ? len - at : piece);
    return n;
}

static void tags_are_counted_wherever_the_pieces_end(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
    } cases[] = {
        { "", 0 },
        { "<package>", 1 },
        { "<package", 1 },
        { "<packag", 0 },
        { "<packagx<package", 1 },
        { "<pack<package type=\"rpm\"></package><<package/>", 2 },
        { "<package<package<package", 3 },
        { "package &lt;package", 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t piece = 1; piece < 50; piece++)
            if (counted(cases[i].text, piece) != cases[i].n)
                fail_msg("'%s' in pieces of %zu", cases[i].text, piece);
}

static void on_path(void *ctx, const char *pkgid, size_t path)
{
    str_addf(ctx, "%s:%zu ", pkgid, path);
}

static void filelists_are_searched_for_whole_paths(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_str struct str got = { 0 };
    char text[] = "<filelists><package pkgid=\"a1\" name=\"x\"><version ver=\"1\"/>"
                  "<file>/usr/share/x/yz</file><file type=\"dir\">/usr/share/x</file></package>\n"
                  "<package pkgid=\"b2\" name=\"y\"><file>/usr/share/x/y</file>"
                  "<file type=\"ghost\">/opt/a&amp;b</file></package></filelists>";
    const char *const paths[] = { "/opt/a&b", "/usr/share/x", "/usr/share/x/y" };
    struct yum_paths p = { .paths = paths, .n = 3, .found = on_path, .ctx = &got };
    auto_file FILE *f = fmemopen(text, sizeof text - 1, "r");
    assert_int_equal(yum_filelists_scan(f, &p, &e), 0);
    assert_string_equal(str_text(&got), "a1:1 b2:2 b2:0 ");
}

static void modules_are_read_with_their_needs_and_defaults(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_modules struct modules m = { 0 };
    char text[] =
        "---\ndocument: modulemd\nversion: 2\ndata:\n  name: perl\n  stream: \"5.26\"\n"
        "  dependencies:\n  - buildrequires: {platform: [el8]}\n    requires:\n"
        "      platform: [el8]\n      other: ['1', '2']\n  artifacts:\n    rpms:\n"
        "    - perl-4:5.26-1.el8.x86_64\n...\n---\ndocument: modulemd-defaults\nversion: 1\n"
        "data: {module: perl, stream: \"5.26\", profiles: {'5.26': [common]}}\n...\n";
    auto_file FILE *f = fmemopen(text, sizeof text - 1, "r");
    assert_int_equal(modules_parse(&m, f, "m", &e), 0);
    assert_int_equal(m.n, 1);
    assert_string_equal(m.v[0].packages.v[0], "perl-4:5.26-1.el8.x86_64");
    assert_int_equal(m.v[0].needs_names.n, 3);
    assert_string_equal(m.v[0].needs_streams.v[2], "2");
    assert_int_equal(m.defaults.n, 1);
    assert_string_equal(m.defaults.v[0], "perl=5.26");
}

static void the_words_of_modules_are_bounded(void **state)
{
    (void)state;
    for (unsigned most = 3; most < 6; most++) { /* of four: two packages, a need of two streams */
        auto_err struct err e = { 0 };
        auto_modules struct modules m = { .max_words = most };
        char text[] = "document: modulemd\ndata: {name: a, stream: b, artifacts: {rpms: [p, q]}, "
                      "dependencies: [{requires: {c: [d, e]}}]}\n";
        auto_file FILE *f = fmemopen(text, sizeof text - 1, "r");
        assert_int_equal(modules_parse(&m, f, "m", &e), most < 4 ? -1 : 0);
        if (most < 4)
            assert_non_null(strstr(e.msg, "more packages than hpcc reads"));
    }
}

static void modules_that_are_no_yaml_are_refused(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_modules struct modules m = { 0 };
    char text[] = "a: [b\n---\n}";
    auto_file FILE *f = fmemopen(text, sizeof text - 1, "r");
    assert_int_equal(modules_parse(&m, f, "m", &e), -1);
    assert_non_null(strstr(e.msg, "'m' cannot be read"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_leave_the_repository_are_unsafe),
        cmocka_unit_test(addresses_join_with_one_slash),
        cmocka_unit_test(file_addresses_become_paths),
        cmocka_unit_test(a_proxy_password_may_hold_any_character),
        cmocka_unit_test(https_has_its_own_proxy_and_none_is_no_proxy),
        cmocka_unit_test(weak_checksums_are_unknown),
        cmocka_unit_test(a_table_of_contents_is_read),
        cmocka_unit_test(a_table_of_contents_that_cannot_be_trusted_is_refused),
        cmocka_unit_test(entities_are_refused),
        cmocka_unit_test(a_list_from_the_network_names_no_file_of_this_host),
        cmocka_unit_test(a_metalink_gives_at_most_64_checksums),
        cmocka_unit_test(tags_are_counted_wherever_the_pieces_end),
        cmocka_unit_test(the_words_of_modules_are_bounded),
        cmocka_unit_test(a_metalink_gives_mirrors_by_preference_and_checksums),
        cmocka_unit_test(a_metalink_without_a_strong_checksum_is_refused),
        cmocka_unit_test(a_mirror_list_is_addresses_among_remarks),
        cmocka_unit_test(filelists_are_searched_for_whole_paths),
        cmocka_unit_test(modules_are_read_with_their_needs_and_defaults),
        cmocka_unit_test(modules_that_are_no_yaml_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
