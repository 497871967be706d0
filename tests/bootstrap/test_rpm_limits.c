/* SPDX-License-Identifier: BSD-3-Clause */
/* What a hostile repository's metadata may make us keep. */
#include "tests/base/test.h"

#include <fcntl.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/rpm/md.h"

struct shop {
    char dir[64];
    struct fetch fetch;
    struct yum_pool pool;
    struct yum_source source;
    struct yum_repo repo;
    struct yum_md md;
};

static int open_shop(void **state)
{
    struct shop *s = mem_zero(1, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/hpcc-test.XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->fetch.store_fd = -1;
    s->pool.fetch = &s->fetch;
    s->source.id = "base";
    s->repo = (struct yum_repo){ .source = &s->source, .md = &s->md, .n_md = 1 };
    strv_addf(&s->repo.mirrors, "file://%s", s->dir);
    *state = s;
    return 0;
}

static int close_shop(void **state)
{
    struct shop *s = *state;
    strv_free(&s->repo.mirrors);
    assert_int_equal(fs_remove_tree(AT_FDCWD, s->dir, NULL), 0);
    free(s);
    return 0;
}

/* What is wrong with the LEN bytes at DATA when they are read as STREAM says, "" when nothing is.
 * Caller frees. */
static char *fault(struct shop *s, const char *data, size_t len, uint64_t announced,
                   struct yum_stream stream)
{
    auto_err struct err e = { 0 };
    auto_str struct str text = { 0 };
    auto_file FILE *f = NULL;
    char buf[4096];
    str_add_n(&text, data, len);
    auto_free char *path = path_join(s->dir, "x.xml"), *hex = digest_text(&text);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(fs_write_full(fd, data, len), 0);
    char type[] = "primary", name[] = "x.xml";
    s->md = (struct yum_md){ .type = type,
                             .path = name,
                             .algo = store_algo("sha256"),
                             .hex = hex,
                             .size_bytes = len,
                             .open_size_bytes = announced };
    stream.type = type;
    assert_int_equal(yum_md_open(&s->pool, &s->repo, &stream, &f, &e), 0);
    while (fread(buf, 1, sizeof buf, f) > 0)
        ;
    if (yum_md_whole(&s->repo, &stream, &e) == 0)
        return mem_strdup("");
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(e.hint);
    return steal_ptr(e.msg);
}

static void bytes_are_counted_unpacked(void **state)
{
    auto_free char *text = mem_zero(1, 100001);
    memset(text, 'x', 100000);
    const struct {
        uint64_t announced, limit;
        bool good;
    } cases[] = {
        { 0, 100000, true },       { 0, 99999, false },       { 100000, 1 << 20, true },
        { 99999, 1 << 20, false }, { 1 << 20, 99999, false }, { 1 << 20, 100000, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (unsigned brief = 0; brief < 2; brief++) {
            auto_free char *why =
                fault(*state, text, 100000, cases[i].announced,
                      (struct yum_stream){ .limit_bytes = cases[i].limit, .brief = brief });
            if ((strstr(why, "larger unpacked") == NULL) != cases[i].good)
                fail_msg("case %zu: '%s'", i, why);
        }
}

static void packages_are_counted(void **state)
{
    auto_str struct str text = { 0 };
    for (unsigned i = 0; i < 5000; i++)
        str_add(&text, "<package type=\"rpm\"><description>x</description></package>");
    for (unsigned brief = 0; brief < 2; brief++) {
        struct yum_stream s = { .limit_bytes = 1 << 20, .max_packages = 5000, .brief = brief };
        auto_free char *enough = fault(*state, text.data, text.len, 0, s);
        assert_string_equal(enough, "");
        s.max_packages = 4999;
        auto_free char *over = fault(*state, text.data, text.len, 0, s);
        assert_string_equal(over, "repository 'base': 'x.xml' holds more packages than hpcc reads");
    }
}

static void what_expands_or_hides_is_refused_before_the_parser_sees_it(void **state)
{
    static const char entities[] = "<?xml version=\"1.0\"?><!DOCTYPE m [<!ENTITY a \"b\">]><m/>";
    static const char wide[] = "\xff\xfe<\0m\0/\0>";
    struct yum_stream s = { .limit_bytes = 1 << 20, .max_packages = 10 };
    auto_free char *a = fault(*state, entities, sizeof entities - 1, 0, s);
    auto_free char *b = fault(*state, wide, sizeof wide - 1, 0, s);
    assert_non_null(strstr(a, "is not plain XML"));
    assert_non_null(strstr(b, "is not plain XML"));
    s.max_packages = 0; /* comps.xml has a DOCTYPE, and a reader of our own */
    auto_free char *c = fault(*state, entities, sizeof entities - 1, 0, s);
    assert_string_equal(c, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_are_counted_unpacked, open_shop, close_shop),
        cmocka_unit_test_setup_teardown(packages_are_counted, open_shop, close_shop),
        cmocka_unit_test_setup_teardown(what_expands_or_hides_is_refused_before_the_parser_sees_it,
                                        open_shop, close_shop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
