/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/image_case.h"

/* An image of TREE, and the upper directory of an overlay over it, made by hand. */
struct scene {
    char *dir, *tree, *upper, *image;
};

static int scene_new(void **state)
{
    struct scene *sc = mem_zero(1, sizeof *sc);
    sc->dir = case_dir_new();
    sc->tree = path_join(sc->dir, "tree");
    sc->upper = path_join(sc->dir, "up");
    assert_int_equal(mkdir(sc->tree, 0755), 0);
    assert_int_equal(mkdir(sc->upper, 0755), 0);
    *state = sc;
    return 0;
}

static int scene_free(void **state)
{
    struct scene *sc = *state;
    free(sc->tree);
    free(sc->upper);
    free(sc->image);
    case_dir_free(sc->dir);
    free(sc);
    return 0;
}

static char *in(const char *dir, const char *name)
{
    return path_join(dir, name);
}

static void make_dir(const char *dir, const char *name)
{
    auto_free char *path = in(dir, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void put(const char *dir, const char *name, const char *text)
{
    case_file(dir, name, text, strlen(text));
}

static void whiteout(const char *dir, const char *name)
{
    auto_free char *path = in(dir, name);
    assert_int_equal(mknod(path, S_IFCHR, 0), 0);
}

static void opaque(const char *dir, const char *name)
{
    auto_free char *path = in(dir, name);
    assert_int_equal(setxattr(path, "user.overlay.opaque", "y", 1, 0), 0);
}

static void hard_link(const char *dir, const char *from, const char *to)
{
    auto_free char *a = in(dir, from), *b = in(dir, to);
    assert_int_equal(link(a, b), 0);
}

static void pack(struct scene *sc)
{
    auto_err struct err e = { 0 };
    auto_close int fd = open(sc->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sc->image = in(sc->dir, "image");
    const struct image_pack_spec spec = {
        .path = sc->image, .rootfs_fd = fd, .mode = 0640, .owner_uid = -1, .owner_gid = -1
    };
    if (image_pack(&spec, NULL, &e) < 0)
        fail_msg("%s", e.msg);
}

static bool merge_with(const struct scene *sc, const struct image_merge_spec *how)
{
    auto_err struct err e = { 0 };
    struct image_info info;
    bool changed = false;
    auto_close int fd = image_open(sc->image, &info, &e);
    auto_close int upper = open(sc->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_image_merge struct image_merge *m = NULL;
    struct image_merge_spec spec = *how;
    spec.upper_fd = upper;
    if (image_merge_begin(sc->image, fd, &m, &e) < 0 || image_merge_end(m, &spec, &changed, &e) < 0)
        fail_msg("%s", e.msg);
    auto_close int now = image_open(sc->image, &info, &e);
    auto_image_reader struct image_reader *r = case_reader_open(now, 0);
    assert_non_null(r);
    return changed;
}

static bool merge(const struct scene *sc)
{
    return merge_with(sc, &(struct image_merge_spec){ .uid = 77, .gid = 88 });
}

/* What is at PATH in the image; mode 0: nothing. */
static struct image_stat look(const struct scene *sc, const char *path)
{
    struct image_info info;
    struct image_stat st = { 0 };
    uint32_t ino;
    auto_close int fd = image_open(sc->image, &info, NULL);
    auto_image_reader struct image_reader *r = case_reader_open(fd, 0);
    if (image_read_path(r, path, false, &ino) == 0)
        assert_int_equal(image_read_stat(r, ino, &st), 0);
    return st;
}

static void holds(const struct scene *sc, const char *path, const char *want)
{
    struct image_info info;
    auto_err struct err e = { 0 };
    auto_str struct str text = { 0 };
    auto_close int fd = image_open(sc->image, &info, NULL);
    auto_image_reader struct image_reader *r = case_reader_open(fd, 0);
    if (image_read_file(r, path, 1 << 20, &text, &e) < 0)
        fail_msg("%s", e.msg);
    assert_string_equal(str_text(&text), want);
}

/* The value of an attribute as text; NULL: there is none. */
static char *attribute(const struct scene *sc, const char *path, const char *name)
{
    struct image_info info;
    char value[256];
    uint32_t ino;
    auto_close int fd = image_open(sc->image, &info, NULL);
    auto_image_reader struct image_reader *r = case_reader_open(fd, 0);
    assert_int_equal(image_read_path(r, path, false, &ino), 0);
    ssize_t len = image_read_xattr(r, ino, name, value, sizeof value);
    return len < 0 ? NULL : mem_strndup(value, (size_t)len);
}

static void what_was_written_takes_its_place(void **state)
{
    struct scene *sc = *state;
    make_dir(sc->tree, "etc");
    put(sc->tree, "etc/kept", "kept");
    put(sc->tree, "etc/changed", "old");
    put(sc->tree, "gone", "gone");
    make_dir(sc->tree, "gone-dir");
    put(sc->tree, "gone-dir/x", "x");
    if (geteuid() == 0) {
        auto_free char *changed = in(sc->tree, "etc/changed");
        assert_int_equal(chown(changed, 11, 22), 0);
    }
    pack(sc);
    make_dir(sc->upper, "etc");
    put(sc->upper, "etc/changed", "newer");
    put(sc->upper, "etc/added", "added");
    hard_link(sc->upper, "etc/added", "etc/link");
    whiteout(sc->upper, "gone");
    whiteout(sc->upper, "gone-dir");
    auto_free char *soft = in(sc->upper, "soft"), *changed = in(sc->upper, "etc/changed");
    assert_int_equal(symlink("etc/kept", soft), 0);
    assert_int_equal(chmod(changed, 04750), 0);
    assert_int_equal(setxattr(changed, "user.colour", "red", 3, 0), 0);
    assert_int_equal(setxattr(changed, "user.overlay.origin", "", 0, 0), 0);
    assert_true(merge(sc));
    holds(sc, "/etc/kept", "kept");
    holds(sc, "/etc/changed", "newer");
    holds(sc, "/etc/link", "added");
    holds(sc, "/soft", "kept");
    assert_int_equal(look(sc, "/gone").mode, 0);
    assert_int_equal(look(sc, "/gone-dir").mode, 0);
    assert_int_equal(look(sc, "/etc/link").ino, look(sc, "/etc/added").ino);
    assert_int_equal(look(sc, "/etc/added").nlink, 2);
    assert_int_equal(look(sc, "/etc/changed").mode, S_IFREG | 04750);
    auto_free char *colour = attribute(sc, "/etc/changed", "user.colour");
    assert_string_equal(colour, "red");
    assert_null(attribute(sc, "/etc/changed", "user.overlay.origin"));
    struct stat st;
    assert_int_equal(stat(sc->image, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void files_that_were_there_keep_their_owner(void **state)
{
    struct scene *sc = *state;
    if (geteuid() != 0)
        skip();
    put(sc->tree, "theirs", "old");
    auto_free char *theirs = in(sc->tree, "theirs");
    assert_int_equal(chown(theirs, 11, 22), 0);
    assert_int_equal(setxattr(theirs, "trusted.secret", "s", 1, 0), 0);
    pack(sc);
    put(sc->upper, "theirs", "new");
    put(sc->upper, "mine", "new");
    auto_free char *mine = in(sc->upper, "mine");
    const uint8_t cap_v3[24] = { 1, 0, 0, 3, 0, 4, [20] = 0xe8, 3 };
    assert_int_equal(setxattr(mine, "security.capability", cap_v3, sizeof cap_v3, 0), 0);
    assert_true(merge(sc));
    assert_int_equal(look(sc, "/theirs").uid, 11);
    assert_int_equal(look(sc, "/theirs").gid, 22);
    assert_int_equal(look(sc, "/mine").uid, 77);
    assert_int_equal(look(sc, "/mine").gid, 88);
    auto_free char *secret = attribute(sc, "/theirs", "trusted.secret");
    assert_string_equal(secret, "s");
    auto_free char *cap = attribute(sc, "/mine", "security.capability");
    assert_non_null(cap);
    assert_int_equal(cap[3], 2);
}

static void owners_can_be_taken_as_they_are(void **state)
{
    struct scene *sc = *state;
    if (geteuid() != 0)
        skip();
    put(sc->tree, "file", "old");
    pack(sc);
    put(sc->upper, "file", "new");
    auto_free char *file = in(sc->upper, "file");
    assert_int_equal(chown(file, 33, 44), 0);
    assert_true(merge_with(sc, &(struct image_merge_spec){ .owners = true }));
    assert_int_equal(look(sc, "/file").uid, 33);
    assert_int_equal(look(sc, "/file").gid, 44);
}

static void an_opaque_directory_replaces_the_old_one(void **state)
{
    struct scene *sc = *state;
    make_dir(sc->tree, "d");
    put(sc->tree, "d/old", "old");
    put(sc->tree, "f", "file");
    make_dir(sc->tree, "e");
    pack(sc);
    make_dir(sc->upper, "d");
    put(sc->upper, "d/new", "new");
    opaque(sc->upper, "d");
    make_dir(sc->upper, "f"); /* a file became a directory */
    put(sc->upper, "f/x", "x");
    put(sc->upper, "e", "a directory became a file");
    assert_true(merge(sc));
    assert_int_equal(look(sc, "/d/old").mode, 0);
    holds(sc, "/d/new", "new");
    holds(sc, "/f/x", "x");
    holds(sc, "/e", "a directory became a file");
    assert_null(attribute(sc, "/d", "user.overlay.opaque"));
}

static void an_old_hard_link_is_left_alone(void **state)
{
    struct scene *sc = *state;
    put(sc->tree, "a", "both");
    hard_link(sc->tree, "a", "b");
    hard_link(sc->tree, "a", "c");
    pack(sc);
    put(sc->upper, "a", "only a");
    assert_true(merge(sc));
    holds(sc, "/a", "only a");
    holds(sc, "/b", "both");
    assert_int_equal(look(sc, "/b").ino, look(sc, "/c").ino);
    assert_int_equal(look(sc, "/b").nlink, 2);
}

static void a_layer_keeps_what_it_deletes_below(void **state)
{
    struct scene *sc = *state;
    const struct image_merge_spec layer = { .layer = true, .uid = 77, .gid = 88 };
    make_dir(sc->tree, "upper");
    put(sc->tree, "upper/first", "first");
    make_dir(sc->tree, "upper/again");
    whiteout(sc->tree, "upper/again/x");
    whiteout(sc->tree, "upper/was-gone");
    pack(sc);
    whiteout(sc->upper, "first");
    hard_link(sc->upper, "first", "second"); /* the kernel does so */
    make_dir(sc->upper, "was-gone");
    make_dir(sc->upper, "again");
    put(sc->upper, "again/y", "y");
    assert_true(merge_with(sc, &layer));
    assert_int_equal(look(sc, "/upper/first").mode & S_IFMT, S_IFCHR);
    assert_int_equal(look(sc, "/upper/second").mode & S_IFMT, S_IFCHR);
    assert_int_equal(look(sc, "/upper/again/x").mode & S_IFMT, S_IFCHR);
    holds(sc, "/upper/again/y", "y");
    auto_free char *user = attribute(sc, "/upper/was-gone", "user.overlay.opaque");
    auto_free char *root = attribute(sc, "/upper/was-gone", "trusted.overlay.opaque");
    assert_string_equal(user, "y");
    assert_string_equal(root, "y");
    assert_null(attribute(sc, "/upper/again", "user.overlay.opaque"));
    assert_int_equal(look(sc, "/work").mode & S_IFMT, S_IFDIR);
}

static void a_directory_stays_opaque_in_its_layer(void **state)
{
    struct scene *sc = *state;
    const struct image_merge_spec layer = { .layer = true };
    make_dir(sc->tree, "upper");
    make_dir(sc->tree, "upper/d");
    opaque(sc->tree, "upper/d");
    pack(sc);
    make_dir(sc->upper, "d");
    put(sc->upper, "d/x", "x");
    assert_true(merge_with(sc, &layer));
    auto_free char *user = attribute(sc, "/upper/d", "user.overlay.opaque");
    assert_string_equal(user, "y");
}

static void an_empty_image_becomes_a_layer(void **state)
{
    struct scene *sc = *state;
    const struct image_merge_spec layer = { .layer = true };
    auto_err struct err e = { 0 };
    sc->image = in(sc->dir, "image");
    const struct image_create_spec create = { .path = sc->image, .size_bytes = 8 << 20 };
    assert_int_equal(image_create(&create, &e), 0);
    put(sc->upper, "x", "x");
    assert_true(merge_with(sc, &layer));
    holds(sc, "/upper/x", "x");
}

static void nothing_is_written_for_nothing(void **state)
{
    struct scene *sc = *state;
    struct stat before, after;
    put(sc->tree, "a", "a");
    pack(sc);
    assert_int_equal(stat(sc->image, &before), 0);
    assert_false(merge(sc));
    assert_int_equal(stat(sc->image, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void it_grows_when_it_must(void **state)
{
    struct scene *sc = *state;
    struct stat before, after;
    put(sc->tree, "a", "a");
    pack(sc);
    assert_int_equal(stat(sc->image, &before), 0);
    case_pattern_file(sc->upper, "large", (size_t)before.st_size, 3);
    assert_true(merge(sc));
    assert_int_equal(stat(sc->image, &after), 0);
    assert_true(after.st_size > before.st_size);
    assert_int_equal(look(sc, "/large").size, before.st_size);
}

static void only_one_may_change_it(void **state)
{
    struct scene *sc = *state;
    auto_err struct err e = { 0 };
    struct image_info info;
    put(sc->tree, "a", "a");
    pack(sc);
    auto_close int fd = image_open(sc->image, &info, &e);
    auto_image_merge struct image_merge *m = NULL, *other = NULL;
    assert_int_equal(image_lock(fd, sc->image, IMAGE_LOCK_READ, &e), 0); /* no hindrance */
    assert_int_equal(image_merge_begin(sc->image, fd, &m, &e), 0);
    assert_int_equal(image_merge_begin(sc->image, fd, &other, &e), -1);
    assert_int_equal(e.sys, EAGAIN);
}

static void an_image_replaced_meanwhile_is_left_alone(void **state)
{
    struct scene *sc = *state;
    auto_err struct err e = { 0 };
    struct image_info info;
    bool changed;
    put(sc->tree, "a", "a");
    pack(sc);
    put(sc->upper, "a", "b");
    auto_free char *other = in(sc->dir, "other");
    auto_close int fd = image_open(sc->image, &info, &e);
    auto_close int upper = open(sc->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_image_merge struct image_merge *m = NULL;
    const struct image_merge_spec spec = { .upper_fd = upper };
    assert_int_equal(image_merge_begin(sc->image, fd, &m, &e), 0);
    assert_int_equal(rename(sc->image, other), 0);
    case_file(sc->dir, "image", "another one", 11);
    assert_int_equal(image_merge_end(m, &spec, &changed, &e), -1);
    assert_string_equal(e.hint, "look at the new one, then try again");
}

#define SCENE(f) cmocka_unit_test_setup_teardown(f, scene_new, scene_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(what_was_written_takes_its_place),
        SCENE(files_that_were_there_keep_their_owner),
        SCENE(owners_can_be_taken_as_they_are),
        SCENE(an_opaque_directory_replaces_the_old_one),
        SCENE(an_old_hard_link_is_left_alone),
        SCENE(a_layer_keeps_what_it_deletes_below),
        SCENE(a_directory_stays_opaque_in_its_layer),
        SCENE(an_empty_image_becomes_a_layer),
        SCENE(nothing_is_written_for_nothing),
        SCENE(it_grows_when_it_must),
        SCENE(only_one_may_change_it),
        SCENE(an_image_replaced_meanwhile_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
