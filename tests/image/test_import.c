/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/image_case.h"

#include <sys/mman.h>

#include "image/writer/writer.h"
#include "image/tree/tree.h"
#include "image/tar/tar.h"
#include "tests/image/tar_make.h"

struct scene {
    char *dir, *tree;
    int tree_fd;
};

static int scene_new(void **state)
{
    struct scene *sc = mem_zero(1, sizeof *sc);
    sc->dir = case_dir_new();
    sc->tree = case_tree_new(sc->dir);
    sc->tree_fd = open(sc->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = sc;
    return 0;
}

static int scene_free(void **state)
{
    struct scene *sc = *state;
    close(sc->tree_fd);
    free(sc->tree);
    case_dir_free(sc->dir);
    free(sc);
    return 0;
}

static struct image_pack_spec spec_for(const char *path)
{
    return (struct image_pack_spec){
        .path = path,
        .deterministic = true,
        .epoch = 4000000000,
        .mode = 0644,
        .owner_uid = -1,
        .owner_gid = -1,
    };
}

static int archive_of(struct source *s)
{
    auto_err struct err e = { 0 };
    int fd = memfd_create("archive", MFD_CLOEXEC);
    if (!s || tar_write(s, fd, &e) < 0)
        fail_msg("%s", e.msg ? e.msg : "no tree");
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void assert_same_files(const char *a, const char *b)
{
    const char *const argv[] = { "cmp", a, b, NULL };
    case_run(argv);
}

/* The scene's tree as an image by image_pack; its path. */
static char *packed(const struct scene *sc, const char *name)
{
    auto_err struct err e = { 0 };
    char *path = path_join(sc->dir, name);
    struct image_pack_spec spec = spec_for(path);
    spec.rootfs_fd = sc->tree_fd;
    if (image_pack(&spec, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    return path;
}

static void an_archive_gives_the_same_bytes_as_its_directory(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    auto_free char *by_dir = packed(sc, "dir.img"), *by_tar = path_join(sc->dir, "tar.img");
    auto_source struct source *s = source_from_dir(sc->tree_fd, NULL, &e);
    auto_close int archive = archive_of(s);
    struct image_pack_spec spec = spec_for(by_tar);
    struct image_pack_report report;
    if (image_import(archive, 0, &spec, &report, &e) < 0)
        fail_msg("%s", e.msg);
    assert_same_files(by_dir, by_tar);
    assert_true(report.n_files > 400 && report.n_dirs == 3);
}

static void export_of_an_import_is_the_archive_again(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    auto_free char *path = packed(sc, "export.img"), *again = path_join(sc->dir, "again.img");
    struct image_info info;
    auto_close int fd = image_open(path, &info, &e);
    auto_close int archive = memfd_create("export", MFD_CLOEXEC);
    if (fd < 0 || image_export(fd, &info, archive, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(lseek(archive, 0, SEEK_SET), 0);
    struct image_pack_spec spec = spec_for(again);
    if (image_import(archive, 0, &spec, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    assert_same_files(path, again);
}

static void an_image_repacks_to_itself(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    auto_free char *path = packed(sc, "first.img"), *copy = path_join(sc->dir, "copy.img");
    struct image_info info;
    auto_close int fd = image_open(path, &info, &e);
    auto_source_image struct source_image si = { 0 };
    struct source_image_spec from = { .fd = fd, .info = &info };
    struct image_pack_spec spec = spec_for(copy);
    if (fd < 0 || source_image_open(&from, &si, &e) < 0 ||
        pack_source(&spec, &(struct pack_from){ .source = si.source }, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    assert_same_files(path, copy);
}

static void a_directory_is_imported_too(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    auto_free char *want = packed(sc, "want.img"), *path = path_join(sc->dir, "is.img");
    struct image_pack_spec spec = spec_for(path);
    if (image_import(sc->tree_fd, 0, &spec, NULL, &e) < 0)
        fail_msg("%s", e.msg);
    assert_same_files(want, path);
}

static void compressed_archives_are_recognised(void **state)
{
    const struct scene *sc = *state;
    static const char *const programs[] = { "gzip", "bzip2", "xz", "zstd" };
    auto_free char *want = packed(sc, "plain.img"), *path = path_join(sc->dir, "filtered.img");
    auto_err struct err e = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        auto_free char *program = proc_find(programs[i]);
        if (!program)
            continue;
        auto_source struct source *s = source_from_dir(sc->tree_fd, NULL, &e);
        auto_close int archive = archive_of(s), packed_fd = memfd_create("filtered", MFD_CLOEXEC);
        const char *const argv[] = { program, "-1c", NULL };
        struct proc_spec run = {
            .argv = argv, .stdin_fd = archive, .stdout_fd = packed_fd, .stderr_fd = -1
        };
        assert_int_equal(proc_run(&run, NULL, &e), 0);
        assert_int_equal(lseek(packed_fd, 0, SEEK_SET), 0);
        struct image_pack_spec spec = spec_for(path);
        spec.replace = true;
        if (image_import(packed_fd, 0, &spec, NULL, &e) < 0)
            fail_msg("%s: %s", programs[i], e.msg);
        assert_same_files(want, path);
    }
}

/* B29 in full: 10 MB that unpack to gigabytes, onto an image that is there. */
static void a_bomb_leaves_the_old_image(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    auto_free char *path = packed(sc, "old.img"), *copy = path_join(sc->dir, "old.copy");
    const char *const argv[] = { "cp", path, copy, NULL };
    case_run(argv);
    auto_str struct str tar = { 0 };
    tar_entry(&tar, &(struct entry){ "zeros", '0', .size = "77777777777" });
    auto_close int plain = memfd_create("plain", MFD_CLOEXEC);
    auto_close int bomb = memfd_create("bomb", MFD_CLOEXEC);
    assert_int_equal(fs_write_full(plain, tar.data, tar.len), 0);
    assert_int_equal(ftruncate(plain, 256 << 20), 0);
    assert_int_equal(lseek(plain, 0, SEEK_SET), 0);
    const char *const gzip[] = { "gzip", "-1c", NULL };
    struct proc_spec run = { .argv = gzip, .stdin_fd = plain, .stdout_fd = bomb, .stderr_fd = -1 };
    assert_int_equal(proc_run(&run, NULL, NULL), 0);
    assert_int_equal(lseek(bomb, 0, SEEK_SET), 0);
    struct image_pack_spec spec = spec_for(path);
    spec.replace = true;
    assert_int_equal(image_import(bomb, 16 << 20, &spec, NULL, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.msg, "unpacks to more than the 16 MiB"));
    assert_same_files(path, copy);
}

static void a_refused_archive_leaves_nothing(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_err struct err e = { 0 };
    auto_free char *path = path_join(dir, "new.img");
    auto_str struct str tar = { 0 };
    tar_entry(&tar, &(struct entry){ "fine", '0', .data = "x" });
    tar_entry(&tar, &(struct entry){ "../evil", '0', .data = "x" });
    tar_end(&tar);
    auto_close int fd = memfd_create("tar", MFD_CLOEXEC);
    assert_int_equal(fs_write_full(fd, tar.data, tar.len), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    struct image_pack_spec spec = spec_for(path);
    assert_int_equal(image_import(fd, 0, &spec, NULL, &e), -1);
    assert_int_equal(rmdir(dir), 0); /* empty, then */
    assert_int_equal(mkdir(dir, 0755), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_archive_gives_the_same_bytes_as_its_directory),
        cmocka_unit_test(export_of_an_import_is_the_archive_again),
        cmocka_unit_test(an_image_repacks_to_itself),
        cmocka_unit_test(a_directory_is_imported_too),
        cmocka_unit_test(compressed_archives_are_recognised),
        cmocka_unit_test(a_bomb_leaves_the_old_image),
        cmocka_unit_test(a_refused_archive_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}
