/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "cli/config.h"

struct world {
    char dir[64];
    char *file;
};

static int setup(void **state)
{
    struct world *p = mem_zero(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/hpcc-test-config-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->file = path_join(p->dir, "hpcc.yaml");
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct world *p = *state;
    assert_int_equal(fs_remove_tree(AT_FDCWD, p->dir, NULL), 0);
    free(p->file);
    free(p);
    return 0;
}

static void put(const struct world *p, const char *text, mode_t mode)
{
    auto_close int fd = open(p->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_full(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void every_key_is_read(void **state)
{
    const struct world *p = *state;
    auto_err struct err e = { 0 };
    auto_config struct config c = { 0 };
    put(p,
        "bind: [/a, '/b:/c:ro']\n"
        "mount: {home: no, tmp: yes}\n"
        "environment:\n  keep: [PYTHONPATH]\n  drop: SECRET\n  set: {LANG: C.UTF-8}\n"
        "defaults: {cleanenv: yes, home: no}\n"
        "cache-dir: /var/cache/x\n"
        "tmp-dir: /scratch\n",
        0644);
    assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), 0);
    assert_int_equal(c.binds.n, 2);
    assert_string_equal(c.binds.v[1], "/b:/c:ro");
    assert_int_equal(c.no_mount.n, 1);
    assert_string_equal(c.no_mount.v[0], "home");
    assert_string_equal(c.env_keep.v[0], "PYTHONPATH");
    assert_string_equal(c.env_drop.v[0], "SECRET");
    assert_string_equal(c.env_set.v[0], "LANG=C.UTF-8");
    assert_int_equal(c.cleanenv, CONFIG_YES);
    assert_int_equal(c.home, CONFIG_NO);
    assert_int_equal(c.contain, CONFIG_UNSET);
    assert_string_equal(c.cache_dir, "/var/cache/x");
    assert_string_equal(c.tmp_dir, "/scratch");
}

static void a_second_file_adds_to_lists_and_replaces_values(void **state)
{
    const struct world *p = *state;
    auto_err struct err e = { 0 };
    auto_config struct config c = { 0 };
    put(p, "bind: /a\ntmp-dir: /x\n", 0600);
    assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), 0);
    put(p, "bind: /b\ntmp-dir: /y\n", 0600);
    assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), 0);
    assert_int_equal(c.binds.n, 2);
    assert_string_equal(c.tmp_dir, "/y");
}

static void mistakes_name_line_and_cure(void **state)
{
    const struct world *p = *state;
    static const struct {
        const char *text, *message, *hint;
    } cases[] = {
        { "bnid: /a\n", ":1: unknown key 'bnid'", "did you mean 'bind'?" },
        { "defaults: {contian: yes}\n", ":1: unknown key 'contian'", "did you mean 'contain'?" },
        { "\ndefaults: {contain: maybe}\n", ":2: 'contain' must be yes or no", NULL },
        { "bind: {a: b}\n", ":1: 'bind' must be a list of words", NULL },
        { "tmp-dir: x\n", ":1: 'tmp-dir' must be an absolute path", NULL },
        { "mount: yes\n", ":1: 'mount' must be a map", NULL },
        { "limit: {overlay: no}\n", ":1: 'limit' is for the site's configuration only",
          "/etc/hpcc" },
        { "- a\n", ":1: expected 'key: value' lines", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_err struct err e = { 0 };
        auto_config struct config c = { 0 };
        put(p, cases[i].text, 0600);
        assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), -1);
        assert_int_equal(e.code, ERR_INPUT);
        assert_non_null(strstr(e.msg, cases[i].message));
        if (cases[i].hint)
            assert_non_null(strstr(e.hint, cases[i].hint));
    }
}

static void files_that_others_can_write_are_refused(void **state)
{
    const struct world *p = *state;
    auto_err struct err e = { 0 };
    auto_config struct config c = { 0 };
    put(p, "bind: /a\n", 0664);
    assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), -1);
    assert_non_null(strstr(e.msg, "not trusted"));
    assert_int_equal(c.binds.n, 0);
}

static void the_sites_file_must_be_roots_and_no_link(void **state)
{
    const struct world *p = *state;
    if (geteuid() != 0)
        skip();
    auto_config struct config c = { 0 };
    auto_err struct err e = { 0 };
    put(p, "limit: {overlay: no, image-dirs: [/apps]}\n", 0644);
    assert_int_equal(config_read(p->file, CONFIG_SITE, &c, &e), 0);
    assert_int_equal(c.overlay, CONFIG_NO);
    assert_string_equal(c.image_dirs.v[0], "/apps");

    auto_free char *link = path_join(p->dir, "link.yaml");
    assert_int_equal(symlink("hpcc.yaml", link), 0);
    assert_int_equal(config_read(link, CONFIG_SITE, &c, &e), -1);
    assert_int_equal(chown(p->file, 12345, 0), 0);
    assert_int_equal(config_read(p->file, CONFIG_SITE, &c, &e), -1);
    assert_int_equal(chown(p->file, 0, 0), 0);
    assert_int_equal(chmod(p->dir, 0777), 0);
    assert_int_equal(config_read(p->file, CONFIG_SITE, &c, &e), -1);
}

/* What config_allows_image says to PATH (below the case's directory). */
static int judged(const struct world *p, const struct config *c, const char *path)
{
    auto_err struct err e = { 0 };
    auto_free char *full = path_join(p->dir, path);
    auto_close int fd = open(full, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    int rc = config_allows_image(c, fd, path, &e);
    if (rc < 0) {
        assert_int_equal(e.code, ERR_INPUT);
        assert_non_null(strstr(e.msg, path));
        assert_non_null(strstr(e.hint, "apps"));
    }
    return rc;
}

static void at(const struct world *p, const char *name, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/%s", p->dir, name);
}

static void images_are_judged_by_where_the_open_file_lies(void **state)
{
    const struct world *p = *state;
    static const char *const dirs[] = { "apps", "apps/deep", "apps2", "other" };
    static const char *const files[] = { "apps/x", "apps/deep/x", "apps2/x", "x" };
    char a[PATH_MAX], b[PATH_MAX];
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        at(p, dirs[i], a);
        assert_int_equal(mkdir(a, 0755), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        at(p, files[i], a);
        assert_int_equal(close(open(a, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)), 0);
    }
    at(p, "other/in", b); /* links: into it, out of it, and the policy's own name */
    assert_int_equal(symlink("../apps", b), 0);
    at(p, "apps/out", b);
    assert_int_equal(symlink("../apps2", b), 0);
    at(p, "named", b);
    assert_int_equal(symlink("apps", b), 0);
    auto_config struct config c = { 0 };
    assert_int_equal(judged(p, &c, "x"), 0); /* no policy */
    strv_add(&c.image_dirs, "/nonexistent/apps");
    assert_int_equal(judged(p, &c, "apps/x"), -1);
    static const char *const names[] = { "apps", "apps/", "named", "apps2/../apps" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        auto_config struct config one = { 0 };
        at(p, names[i], a);
        strv_add(&one.image_dirs, "/nonexistent/apps");
        strv_add(&one.image_dirs, a);
        static const char *const good[] = { "apps/x", "apps/deep/x", "other/in/x", "apps",
                                            "apps/deep" };
        static const char *const bad[] = { "apps2/x", "apps/out/x", "apps/../apps2/x",
                                           "x",       "other",      "." };
        for (size_t k = 0; k < ARRAY_LEN(good); k++)
            assert_int_equal(judged(p, &one, good[k]), 0);
        for (size_t k = 0; k < ARRAY_LEN(bad); k++)
            assert_int_equal(judged(p, &one, bad[k]), -1);
    }
}

/* The name is looked at by nobody: what was opened stays what it is. */
static void an_image_that_is_swapped_after_the_look_changes_nothing(void **state)
{
    const struct world *p = *state;
    auto_err struct err e = { 0 };
    auto_config struct config c = { 0 };
    char apps[PATH_MAX], good[PATH_MAX], bad[PATH_MAX];
    at(p, "apps", apps);
    at(p, "apps/x", good);
    at(p, "x", bad);
    strv_add(&c.image_dirs, apps);
    assert_int_equal(mkdir(apps, 0755), 0);
    assert_int_equal(close(open(good, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)), 0);
    assert_int_equal(close(open(bad, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)), 0);
    auto_close int open_bad = open(bad, O_RDONLY | O_CLOEXEC);
    auto_close int open_good = open(good, O_RDONLY | O_CLOEXEC);
    assert_int_equal(rename(good, bad), 0); /* the good one is outside now, the bad one is gone */
    assert_int_equal(config_allows_image(&c, open_good, good, &e), -1);
    assert_int_equal(config_allows_image(&c, open_bad, good, &e), -1);
    assert_int_equal(rename(bad, good), 0);
    assert_int_equal(config_allows_image(&c, open_good, bad, &e), 0);
    assert_int_equal(unlink(good), 0); /* and another takes its name, the odd mark included */
    assert_int_equal(close(open(good, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)), 0);
    auto_free char *deleted = mem_printf("%s (deleted)", good);
    assert_int_equal(close(open(deleted, O_WRONLY | O_CREAT | O_CLOEXEC, 0644)), 0);
    assert_int_equal(config_allows_image(&c, open_good, good, &e), -1);
}

static void root_does_not_follow_what_a_user_put_into_his_home(void **state)
{
    const struct world *p = *state;
    if (geteuid() != 0)
        skip();
    auto_config struct config c = { 0 };
    auto_err struct err e = { 0 };
    put(p, "root: x:0:0\n", 0600); /* as a secret file would begin */
    assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), -1);
    auto_free char *link = path_join(p->dir, "link.yaml");
    assert_int_equal(symlink("hpcc.yaml", link), 0);
    assert_int_equal(config_read(link, CONFIG_USER, &c, &e), 0);
    assert_int_equal(chown(p->dir, 12345, 0), 0); /* a hard link, in his directory */
    assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), 0);
    assert_int_equal(chown(p->dir, 0, 0), 0);
    assert_int_equal(chmod(p->dir, 0777), 0);
    assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), 0);
    assert_int_equal(chmod(p->dir, 0755), 0);
    assert_int_equal(chown(p->file, 12345, 0), 0);
    assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), 0);
    assert_int_equal(c.binds.n, 0);
}

static void a_site_may_bind_alone(void **state)
{
    const struct world *p = *state;
    auto_err struct err e = { 0 };
    auto_config struct config c = { .user_bind = CONFIG_NO };
    put(p, "bind: /a\ndefaults: {pid: yes}\n", 0600);
    assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), 0);
    assert_int_equal(c.binds.n, 0);
    assert_int_equal(c.pid, CONFIG_YES);
}

static void no_file_and_no_home_are_fine(void **state)
{
    const struct world *p = *state;
    auto_config struct config c = { 0 };
    auto_err struct err e = { 0 };
    assert_int_equal(config_read(p->file, CONFIG_USER, &c, &e), 0);
    const char *const none[] = { NULL };
    assert_int_equal(config_load(none, &c, &e), 0);
    assert_int_equal(c.binds.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_key_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_file_adds_to_lists_and_replaces_values, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(mistakes_name_line_and_cure, setup, teardown),
        cmocka_unit_test_setup_teardown(files_that_others_can_write_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_sites_file_must_be_roots_and_no_link, setup, teardown),
        cmocka_unit_test_setup_teardown(images_are_judged_by_where_the_open_file_lies, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_image_that_is_swapped_after_the_look_changes_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(root_does_not_follow_what_a_user_put_into_his_home, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_site_may_bind_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(no_file_and_no_home_are_fine, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
