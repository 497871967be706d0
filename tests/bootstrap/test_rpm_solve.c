/* SPDX-License-Identifier: BSD-3-Clause */
/* From names to packages: small repositories written here, read by libsolv, solved by yum_solve. */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "bootstrap/fetch/fetch.h"
#include "bootstrap/rpm/rpm.h"
#include "bootstrap/rpm/solve.h"

/* ── repositories on paper ── */

enum { MAX_REPOS = 2 };

struct shop {
    char dir[64];
    struct fetch fetch;
    struct yum_source sources[MAX_REPOS];
    struct str primary[MAX_REPOS];
    struct yum_pool pool;
    struct yum_spec spec;
    struct yum_transaction trans;
    unsigned n_packages;
};

static int open_shop(void **state)
{
    struct shop *s = mem_zero(1, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/hpcc-test.XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    s->fetch.store_fd = -1;
    s->pool = (struct yum_pool){ .cache_fd = -1, .fetch = &s->fetch, .n_repos = MAX_REPOS };
    s->pool.repos = mem_zero(MAX_REPOS, sizeof *s->pool.repos);
    queue_init(&s->pool.file_ids);
    s->pool.pool = pool_create();
    pool_setdisttype(s->pool.pool, DISTTYPE_RPM);
    pool_setarch(s->pool.pool, "x86_64");
    pool_set_flag(s->pool.pool, POOL_FLAG_ADDFILEPROVIDESFILTERED, 1);
    s->spec.arch = mem_strdup("x86_64");
    for (size_t i = 0; i < MAX_REPOS; i++) {
        s->sources[i] = (struct yum_source){ .id = i ? "more" : "base", .priority = 99 };
        s->pool.repos[i].source = &s->sources[i];
        strv_addf(&s->pool.repos[i].mirrors, "file://%s", s->dir);
    }
    *state = s;
    return 0;
}

static int close_shop(void **state)
{
    struct shop *s = *state;
    auto_free char *name = path_base(s->dir);
    auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    yum_transaction_free(&s->trans);
    if (s->pool.pool->considered) {
        map_free(s->pool.pool->considered);
        free(s->pool.pool->considered);
        s->pool.pool->considered = NULL;
    }
    pool_free(s->pool.pool);
    queue_free(&s->pool.file_ids);
    for (size_t i = 0; i < MAX_REPOS; i++) {
        struct yum_repo *r = &s->pool.repos[i];
        for (size_t j = 0; j < r->n_md; j++) {
            free(r->md[j].type);
            free(r->md[j].path);
            free(r->md[j].hex);
        }
        free(r->md);
        strv_free(&r->mirrors);
        str_free(&s->primary[i]);
    }
    free(s->pool.repos);
    strv_free(&s->spec.install);
    strv_free(&s->spec.exclude);
    strv_free(&s->spec.modules);
    free(s->spec.arch);
    int rc = fs_remove_tree(tmp, name, NULL);
    free(s);
    return rc;
}

/* A file of the repository's metadata, announced with its checksum. */
static void add_md(struct shop *s, size_t repo, const char *type, const struct str *text)
{
    struct yum_repo *r = &s->pool.repos[repo];
    auto_free char *path = mem_printf("%s/%zu-%s.xml", s->dir, repo, type);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(fs_write_full(fd, text->data, text->len), 0);
    r->md = mem_resize(r->md, r->n_md + 1, sizeof *r->md);
    r->md[r->n_md++] = (struct yum_md){ .type = mem_strdup(type),
                                        .path = path_base(path),
                                        .algo = store_algo("sha256"),
                                        .hex = digest_text(text),
                                        .size_bytes = text->len,
                                        .open_size_bytes = text->len };
}

/* What a package says of itself; NULL and 0: the usual. */
struct item {
    const char *name, *version, *arch, *sum_type, *sum;
    const char *location; /* whole attribute text of <location> */
    const char *format;   /* more of <format> */
    uint64_t size;
};

static const char * or (const char *text, const char *usual)
{
    return text ? text : usual;
}

static void add(struct shop *s, size_t repo, struct item item)
{
    auto_free char *sum = mem_printf("%064x", ++s->n_packages);
    auto_free char *place = mem_printf("href=\"p/%s.rpm\"", item.name);
    unsigned long long size = item.size ? item.size : 100;
    str_addf(&s->primary[repo],
             "<package type=\"rpm\"><name>%s</name><arch>%s</arch>"
             "<version epoch=\"0\" ver=\"%s\" rel=\"1\"/>"
             "<checksum type=\"%s\" pkgid=\"YES\">%s</checksum>",
             item.name, or (item.arch, "x86_64"), or (item.version, "1"),
             or (item.sum_type, "sha256"), or (item.sum, sum));
    str_addf(&s->primary[repo],
             "<size package=\"%llu\" installed=\"%llu\" archive=\"1\"/><location %s/><format>"
             "<rpm:provides><rpm:entry name=\"%s\" flags=\"EQ\" epoch=\"0\" ver=\"%s\" rel=\"1\"/>"
             "</rpm:provides>%s</format></package>\n",
             size, 3 * size, or (item.location, place), item.name, or (item.version, "1"),
             or (item.format, ""));
}

#define NEEDS(what)  "<rpm:requires><rpm:entry name=\"" what "\"/></rpm:requires>"
#define WISHES(what) "<rpm:recommends><rpm:entry name=\"" what "\"/></rpm:recommends>"
#define FIGHTS(what) "<rpm:conflicts><rpm:entry name=\"" what "\"/></rpm:conflicts>"

static void open_repos(struct shop *s)
{
    for (size_t i = 0; i < MAX_REPOS; i++) {
        auto_str struct str text = { 0 };
        str_addf(&text,
                 "<?xml version=\"1.0\"?><metadata xmlns=\"http://linux.duke.edu/metadata/common\" "
                 "xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">%s</metadata>",
                 str_text(&s->primary[i]));
        add_md(s, i, "primary", &text);
    }
    auto_err struct err e = { 0 };
    if (yum_pool_load(&s->pool, &e) < 0)
        fail_msg("%s", e.msg);
}

static int solve(struct shop *s, const char *words, struct err *e)
{
    strv_split(&s->spec.install, words, " ");
    return yum_solve(&s->spec, &s->pool, &s->trans, e);
}

/* Solve, and compare the names and versions that come out, in their order. */
static void expect(struct shop *s, const char *words, const char *want)
{
    auto_err struct err e = { 0 };
    auto_str struct str got = { 0 };
    open_repos(s);
    if (solve(s, words, &e) < 0)
        fail_msg("%s: %s", words, e.msg);
    for (size_t i = 0; i < s->trans.n; i++)
        str_addf(&got, "%s%s-%s", i ? " " : "", s->trans.v[i].name, s->trans.v[i].evr);
    assert_string_equal(str_text(&got), want);
}

static void refuse(struct shop *s, const char *words, enum err_code code, const char *msg,
                   const char *hint)
{
    auto_err struct err e = { 0 };
    open_repos(s);
    assert_int_equal(solve(s, words, &e), -1);
    assert_int_equal(e.code, code);
    if (!strstr(e.msg, msg))
        fail_msg("'%s' is not in '%s'", msg, e.msg);
    if (hint && (!e.hint || !strstr(e.hint, hint)))
        fail_msg("'%s' is not in '%s'", hint, e.hint ? e.hint : "no hint");
    assert_int_equal(s->trans.n, 0);
}

/* ── what is chosen ── */

static void what_a_package_needs_comes_along_in_order(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "zsh", .format = NEEDS("libc") });
    add(s, 0, (struct item){ .name = "libc", .size = 1000 });
    add(s, 0, (struct item){ .name = "unused" });
    expect(s, "zsh", "libc-1-1 zsh-1-1");
    assert_int_equal(s->trans.size_bytes, 1100);
    assert_int_equal(s->trans.installed_bytes, 3300);
    assert_int_equal(s->trans.v[0].size_bytes, 1000);
    assert_string_equal(s->trans.v[1].path, "p/zsh.rpm");
    assert_ptr_equal(s->trans.v[1].repo, &s->pool.repos[0]);
}

static void the_newest_is_taken(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "a", .version = "1.9" });
    add(s, 1, (struct item){ .name = "a", .version = "1.10" });
    expect(s, "a", "a-1.10-1");
}

static void the_repository_with_the_better_priority_wins(void **state)
{
    struct shop *s = *state;
    s->sources[0].priority = 10;
    add(s, 0, (struct item){ .name = "a", .version = "1" });
    add(s, 1, (struct item){ .name = "a", .version = "2" });
    expect(s, "a", "a-1-1");
}

static void words_may_be_globs_versions_architectures_and_provides(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "lib-one" });
    add(s, 0, (struct item){ .name = "lib-two" });
    add(s, 0, (struct item){ .name = "b", .version = "1" });
    add(s, 0, (struct item){ .name = "b", .version = "2" });
    add(s, 0, (struct item){ .name = "c", .arch = "noarch" });
    add(s, 0,
        (struct item){ .name = "d",
                       .format = "<rpm:provides><rpm:entry name=\"editor\"/></rpm:provides>"
                                 "<file>/usr/bin/ed</file>" });
    expect(s, "lib-* b-1-1 c.noarch /usr/bin/ed", "b-1-1 c-1-1 d-1-1 lib-one-1-1 lib-two-1-1");
}

static void weak_dependencies_come_only_when_asked_for(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "a", .format = WISHES("nice") });
    add(s, 0, (struct item){ .name = "nice" });
    expect(s, "a", "a-1-1");
}

static void weak_dependencies_come_when_asked_for(void **state)
{
    struct shop *s = *state;
    s->spec.recommends = true;
    add(s, 0, (struct item){ .name = "a", .format = WISHES("nice") });
    add(s, 0, (struct item){ .name = "nice" });
    expect(s, "a", "a-1-1 nice-1-1");
}

static void filelists(struct shop *s, const char *path)
{
    auto_str struct str text = { 0 };
    str_addf(&text,
             "<?xml version=\"1.0\"?><filelists>"
             "<package pkgid=\"%064x\" name=\"x\" arch=\"x86_64\"><version epoch=\"0\" ver=\"1\" "
             "rel=\"1\"/><file>%s</file></package></filelists>",
             s->n_packages, path);
    add_md(s, 0, "filelists", &text);
}

static void a_path_that_only_filelists_knows_is_found_when_needed(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "a", .format = NEEDS("/usr/share/deep/file") });
    add(s, 0, (struct item){ .name = "provider" });
    filelists(s, "/usr/share/deep/file");
    expect(s, "a", "a-1-1 provider-1-1");
}

static void the_same_behind_a_weak_dependency(void **state)
{
    struct shop *s = *state;
    s->spec.recommends = true;
    add(s, 0, (struct item){ .name = "a", .format = WISHES("/usr/share/deep/file") });
    add(s, 0, (struct item){ .name = "provider" });
    filelists(s, "/usr/share/deep/file");
    expect(s, "a", "a-1-1 provider-1-1");
}

static void a_path_that_is_asked_for_is_searched_in_filelists(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "provider" });
    filelists(s, "/opt/tool/run");
    expect(s, "/opt/tool/run", "provider-1-1");
}

/* Who reads this one fails. */
static void filelists_are_left_alone_when_no_path_matters(void **state)
{
    struct shop *s = *state;
    auto_str struct str text = { 0 };
    add(s, 0,
        (struct item){ .name = "a",
                       .format = "<rpm:requires><rpm:entry name=\"/usr/bin/b\"/>"
                                 "<rpm:entry name=\"libc\"/></rpm:requires>" });
    add(s, 0, (struct item){ .name = "b", .format = "<file>/usr/bin/b</file>" });
    add(s, 0, (struct item){ .name = "libc" });
    add(s, 0, (struct item){ .name = "far", .format = NEEDS("/usr/share/deep/file") });
    str_add(&text, "not xml");
    add_md(s, 0, "filelists", &text);
    expect(s, "a", "a-1-1 b-1-1 libc-1-1");
}

static void a_group_stands_for_its_packages(void **state)
{
    struct shop *s = *state;
    auto_str struct str text = { 0 };
    str_add(&text,
            "<comps><group><id>tools</id><packagelist>"
            "<packagereq type=\"mandatory\">must</packagereq>"
            "<packagereq type=\"default\">usual</packagereq>"
            "<packagereq type=\"optional\">extra</packagereq>"
            "<packagereq type=\"mandatory\">of-another-arch</packagereq></packagelist></group>"
            "<group><id>other</id><packagelist><packagereq>not-mine</packagereq></packagelist>"
            "</group><environment><id>small</id><grouplist><groupid>tools</groupid></grouplist>"
            "<optionlist><groupid>other</groupid></optionlist></environment></comps>");
    add_md(s, 1, "group", &text);
    const char *const names[] = { "must", "usual", "extra", "not-mine" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        add(s, 0, (struct item){ .name = names[i] });
    expect(s, "@tools", "must-1-1 usual-1-1");
    yum_transaction_free(&s->trans);
    strv_free(&s->spec.install);
    auto_err struct err e = { 0 };
    assert_int_equal(solve(s, "@^small", &e), 0);
    assert_int_equal(s->trans.n, 2);
    yum_transaction_free(&s->trans);
    strv_free(&s->spec.install);
    assert_int_equal(solve(s, "@toolz", &e), -1);
    assert_string_equal(e.hint ? "hint" : "none", "none");
    assert_non_null(strstr(e.msg, "no group is called '@toolz' in: base (file://"));
}

/* ── what is told ── */

static void an_unknown_name_brings_the_nearest(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "Python3" });
    add(s, 0, (struct item){ .name = "perl" });
    refuse(s, "python", ERR_INPUT, "no package is called or provides 'python' in: base (file://",
           "did you mean 'Python3'?");
}

static void a_name_unlike_all_asks_for_a_repository(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "perl" });
    refuse(s, "nothing-like-it", ERR_INPUT, "no package is called or provides 'nothing-like-it'",
           "OtherURL1");
}

static void an_excluded_package_is_told_apart_from_a_missing_one(void **state)
{
    struct shop *s = *state;
    strv_add(&s->spec.exclude, "a*");
    add(s, 0, (struct item){ .name = "ab" });
    refuse(s, "ab", ERR_INPUT, "no package is called or provides 'ab'", "it is excluded");
}

static void what_cannot_stand_together_is_told_with_the_repositories(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "a", .format = FIGHTS("b") });
    add(s, 1, (struct item){ .name = "b" });
    refuse(s, "a b", ERR_FAILED, "the packages cannot be installed together:\n",
           "repositories consulted: base (file://");
}

/* ── what is refused ── */

static void a_name_with_strange_characters_is_refused(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "a;b", .location = "href=\"p/a.rpm\"" });
    refuse(s, "*", ERR_INPUT, "its name holds characters that no package name has", NULL);
}

static void a_version_with_strange_characters_is_refused(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "a", .version = "1/2" });
    refuse(s, "a", ERR_INPUT, "its name holds characters that no package name has", NULL);
}

static void a_location_outside_the_repository_is_refused(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "a", .location = "href=\"../../a.rpm\"" });
    refuse(s, "a", ERR_INPUT, "its location leads out of repository 'base'", NULL);
}

static void a_base_of_its_own_is_refused(void **state)
{
    struct shop *s = *state;
    add(s, 0,
        (struct item){ .name = "a", .location = "xml:base=\"http://other/\" href=\"p/a.rpm\"" });
    refuse(s, "a", ERR_INPUT, "its location leads out of repository 'base'", NULL);
}

static void a_weak_checksum_is_refused(void **state)
{
    struct shop *s = *state;
    add(s, 1,
        (struct item){ .name = "a", .sum_type = "md5", .sum = "d41d8cd98f00b204e9800998ecf8427e" });
    refuse(s, "a", ERR_INPUT, "repository 'more' gives no checksum of it, or one too weak", NULL);
}

static void a_giant_is_refused(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "a", .size = (8ull << 30) + 1 });
    refuse(s, "a", ERR_INPUT, "claims to be larger than 8 GiB", NULL);
}

static void the_largest_that_is_taken(void **state)
{
    struct shop *s = *state;
    add(s, 0, (struct item){ .name = "a", .size = 8ull << 30 });
    expect(s, "a", "a-1-1");
}

/* ── as JSON ── */

static void versions_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *evr, *epoch, *version, *release;
    } cases[] = { { "1:2.3-4.el9", "1", "2.3", "4.el9" },
                  { "2.3-4", "0", "2.3", "4" },
                  { "2~rc1", "0", "2~rc1", "" } };
    struct yum_source source = { .id = "base" };
    struct yum_repo repo = { .source = &source };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct yum_package package = { .name = "a",
                                       .evr = (char *)cases[i].evr,
                                       .arch = "noarch",
                                       .repo = &repo,
                                       .path = "p/a.rpm",
                                       .hex = "00" };
        const struct yum_transaction t = { .v = &package, .n = 1 };
        auto_json struct json_object *list = yum_transaction_json(&t);
        struct json_object *o = json_object_array_get_idx(list, 0), *v = NULL;
        const char *const want[][2] = { { "epoch", cases[i].epoch },
                                        { "version", cases[i].version },
                                        { "release", cases[i].release },
                                        { "repository", "base" } };
        for (size_t j = 0; j < ARRAY_LEN(want); j++) {
            assert_true(json_object_object_get_ex(o, want[j][0], &v));
            assert_string_equal(json_object_get_string(v), want[j][1]);
        }
    }
}

#define IN_SHOP(test) cmocka_unit_test_setup_teardown(test, open_shop, close_shop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SHOP(what_a_package_needs_comes_along_in_order),
        IN_SHOP(the_newest_is_taken),
        IN_SHOP(the_repository_with_the_better_priority_wins),
        IN_SHOP(words_may_be_globs_versions_architectures_and_provides),
        IN_SHOP(weak_dependencies_come_only_when_asked_for),
        IN_SHOP(weak_dependencies_come_when_asked_for),
        IN_SHOP(a_path_that_only_filelists_knows_is_found_when_needed),
        IN_SHOP(the_same_behind_a_weak_dependency),
        IN_SHOP(a_path_that_is_asked_for_is_searched_in_filelists),
        IN_SHOP(filelists_are_left_alone_when_no_path_matters),
        IN_SHOP(a_group_stands_for_its_packages),
        IN_SHOP(an_unknown_name_brings_the_nearest),
        IN_SHOP(a_name_unlike_all_asks_for_a_repository),
        IN_SHOP(an_excluded_package_is_told_apart_from_a_missing_one),
        IN_SHOP(what_cannot_stand_together_is_told_with_the_repositories),
        IN_SHOP(a_name_with_strange_characters_is_refused),
        IN_SHOP(a_version_with_strange_characters_is_refused),
        IN_SHOP(a_location_outside_the_repository_is_refused),
        IN_SHOP(a_base_of_its_own_is_refused),
        IN_SHOP(a_weak_checksum_is_refused),
        IN_SHOP(a_giant_is_refused),
        IN_SHOP(the_largest_that_is_taken),
        cmocka_unit_test(versions_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
