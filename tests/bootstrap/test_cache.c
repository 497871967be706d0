/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "bootstrap/bootstrap.h"
#include "bootstrap/cache.h"

/* A cache, a root to keep and an empty one to restore into, in one directory. */
struct spot {
    char dir[64];
    char *cache;
    int dir_fd, root_fd, again_fd;
};

static int open_place(void **state)
{
    struct spot *p = mem_zero(1, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/hpcc-test.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->cache = path_join(p->dir, "cache");
    assert_int_equal(mkdir(p->cache, 0700), 0);
    p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(p->dir_fd, "root", 0755), 0);
    assert_int_equal(mkdirat(p->dir_fd, "again", 0755), 0);
    p->root_fd = openat(p->dir_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    p->again_fd = openat(p->dir_fd, "again", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_str struct str text = { 0 };
    str_add(&text, "content\n");
    assert_int_equal(fs_write_at(p->root_fd, "/etc/file", &text, 0640, NULL), 0);
    assert_int_equal(fs_symlink_at(p->root_fd, "file", "/etc/link", NULL), 0);
    *state = p;
    return 0;
}

static int close_place(void **state)
{
    struct spot *p = *state;
    auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_free char *base = path_base(p->dir);
    close(p->dir_fd);
    close(p->root_fd);
    close(p->again_fd);
    int rc = fs_remove_tree(tmp, base, NULL);
    free(p->cache);
    free(p);
    return rc;
}

static void keep(const struct spot *p, const char *key)
{
    auto_json struct json_object *facts = json_object_new_object();
    json_put_str(facts, "agent", "test");
    json_put_str(facts, "suite", key);
    cache_keep(p->cache, key, p->root_fd, facts);
}

/* Whether a root kept under KEY comes back. */
static bool comes_back(const struct spot *p, const char *key)
{
    auto_json struct json_object *facts = NULL;
    assert_int_equal(cache_restore(p->cache, key, p->again_fd, &facts, NULL), 0);
    if (facts)
        assert_string_equal(json_get_str(facts, "suite"), key);
    return facts != NULL;
}

static size_t count(const struct spot *p, const char *suffix)
{
    auto_free char *base = path_join(p->cache, "base");
    auto_dir DIR *d = opendir(base);
    size_t n = 0;
    for (const struct dirent *en; d && (en = readdir(d));)
        n += str_ends(en->d_name, suffix);
    return n;
}

/* Open the one kept image for writing. */
static int open_kept(const struct spot *p)
{
    auto_free char *base = path_join(p->cache, "base");
    auto_dir DIR *d = opendir(base);
    int fd = -1;
    for (const struct dirent *en; d && fd < 0 && (en = readdir(d));)
        if (str_ends(en->d_name, ".img"))
            fd = openat(dirfd(d), en->d_name, O_RDWR | O_CLOEXEC);
    return fd;
}

static void root_comes_back_as_it_was(void **state)
{
    const struct spot *p = *state;
    assert_false(comes_back(p, "a"));
    keep(p, "a");
    assert_false(comes_back(p, "b"));
    assert_true(comes_back(p, "a"));
    struct stat st;
    auto_str struct str text = { 0 };
    assert_int_equal(fs_read_at(p->again_fd, "/etc/link", 100, &text, NULL), 0);
    assert_string_equal(str_text(&text), "content\n");
    assert_int_equal(fs_stat_at(p->again_fd, "/etc/file", false, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void damaged_root_is_dropped(void **state)
{
    const struct spot *p = *state;
    keep(p, "a");
    auto_close int fd = open_kept(p);
    char byte;
    assert_int_equal(fs_pread_full(fd, &byte, 1, 5000), 1);
    byte ^= 1;
    assert_int_equal(fs_pwrite_full(fd, &byte, 1, 5000), 0);
    assert_false(comes_back(p, "a"));
    assert_int_equal(count(p, ".img"), 0);
    assert_int_equal(count(p, ".json"), 0);
}

static void cache_that_others_may_write_is_not_used(void **state)
{
    const struct spot *p = *state;
    keep(p, "a");
    auto_free char *base = path_join(p->cache, "base");
    assert_int_equal(chmod(base, 0777), 0);
    assert_null(cache_subdir(p->cache, "base"));
    assert_false(comes_back(p, "a"));
    assert_int_equal(chmod(base, 0700), 0);
    auto_close int fd = open_kept(p);
    assert_int_equal(fchmod(fd, 0666), 0);
    assert_false(comes_back(p, "a"));
}

static void cache_whose_directory_others_may_write_is_not_used(void **state)
{
    const struct spot *p = *state;
    assert_int_equal(chmod(p->cache, 0777), 0);
    assert_null(cache_subdir(p->cache, "base"));
    assert_int_equal(chmod(p->cache, 01777), 0);
    auto_free char *path = cache_subdir(p->cache, "base"); /* only root's can be like /tmp */
    assert_int_equal(path != NULL, geteuid() == 0);
    assert_int_equal(chmod(p->cache, 0700), 0);
    auto_free char *again = cache_subdir(p->cache, "base");
    assert_non_null(again);
}

static void symlink_in_place_of_the_cache_is_not_followed(void **state)
{
    const struct spot *p = *state;
    auto_free char *base = path_join(p->cache, "base");
    assert_int_equal(symlink("/tmp", base), 0);
    assert_null(cache_subdir(p->cache, "base"));
    keep(p, "a");
    assert_false(comes_back(p, "a"));
}

static void only_the_latest_roots_are_kept(void **state)
{
    const struct spot *p = *state;
    for (int i = 0; i < 10; i++) {
        auto_free char *key = mem_printf("key %d", i);
        keep(p, key);
    }
    assert_int_equal(count(p, ".img"), 8);
    assert_int_equal(count(p, ".json"), 8);
    assert_false(comes_back(p, "key 0"));
    assert_true(comes_back(p, "key 9"));
}

static void cache_is_listed_and_cleaned(void **state)
{
    const struct spot *p = *state;
    keep(p, "a");
    auto_free char *stranger = path_join(p->cache, "not-ours");
    assert_int_equal(mkdir(stranger, 0700), 0);
    auto_json struct json_object *doc = NULL;
    struct json_object *roots = NULL;
    assert_int_equal(bootstrap_cache_list(p->cache, &doc, NULL), 0);
    assert_true(json_object_object_get_ex(doc, "base_roots", &roots));
    assert_int_equal(json_object_array_length(roots), 1);
    assert_string_equal(json_get_str(json_object_array_get_idx(roots, 0), "agent"), "test");

    uint64_t freed = 0;
    auto_err struct err e = { 0 };
    assert_int_equal(bootstrap_cache_clean(p->cache, "nix", &freed, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    assert_int_equal(bootstrap_cache_clean(p->cache, "deb", &freed, NULL), 0);
    assert_int_equal(count(p, ".img"), 1);
    assert_int_equal(bootstrap_cache_clean(p->cache, NULL, &freed, NULL), 0);
    assert_true(freed > 0);
    assert_int_equal(count(p, ".img"), 0);
    assert_int_equal(access(stranger, F_OK), 0);
    assert_int_equal(bootstrap_cache_clean("/nonexistent/cache", NULL, &freed, NULL), 0);
}

int main(void)
{
#define IN_PLACE(t) cmocka_unit_test_setup_teardown(t, open_place, close_place)
    const struct CMUnitTest tests[] = {
        IN_PLACE(root_comes_back_as_it_was),
        IN_PLACE(damaged_root_is_dropped),
        IN_PLACE(cache_that_others_may_write_is_not_used),
        IN_PLACE(cache_whose_directory_others_may_write_is_not_used),
        IN_PLACE(symlink_in_place_of_the_cache_is_not_followed),
        IN_PLACE(only_the_latest_roots_are_kept),
        IN_PLACE(cache_is_listed_and_cleaned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
