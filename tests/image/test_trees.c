/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/image_case.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include "image/tree/tree.h"
#include "image/tar/tar.h"

struct scene {
    char *dir;
    char *tree;
};

static int scene_new(void **state)
{
    struct scene *sc = mem_zero(1, sizeof *sc);
    sc->dir = case_dir_new();
    sc->tree = case_tree_new(sc->dir);
    /* mke2fs keeps whole seconds only */
    const char *const argv[] = { "find",        sc->tree, "-exec", "touch", "-hd",
                                 "@1500000000", "{}",     "+",     NULL };
    case_run(argv);
    *state = sc;
    return 0;
}

static int scene_free(void **state)
{
    struct scene *sc = *state;
    free(sc->tree);
    case_dir_free(sc->dir);
    free(sc);
    return 0;
}

static int new_dir(const struct scene *sc, const char *name)
{
    auto_free char *path = path_join(sc->dir, name);
    assert_int_equal(mkdir(path, 0700), 0);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static struct source *dir_source(int fd)
{
    auto_err struct err e = { 0 };
    struct source *s = source_from_dir(fd, NULL, &e);
    if (!s)
        fail_msg("%s", e.msg);
    return s;
}

/* The tree below FD as an archive: equal trees are equal archives. */
static int archive_of(int fd)
{
    auto_err struct err e = { 0 };
    auto_source struct source *s = dir_source(fd);
    int out_fd = memfd_create("archive", MFD_CLOEXEC);
    if (tar_write(s, out_fd, &e) < 0)
        fail_msg("%s", e.msg);
    assert_int_equal(lseek(out_fd, 0, SEEK_SET), 0);
    return out_fd;
}

static void assert_same(int a, int b)
{
    struct stat x, y;
    assert_int_equal(fstat(a, &x), 0);
    assert_int_equal(fstat(b, &y), 0);
    assert_int_equal(x.st_size, y.st_size);
    void *p = mmap(NULL, (size_t)x.st_size, PROT_READ, MAP_PRIVATE, a, 0);
    void *q = mmap(NULL, (size_t)x.st_size, PROT_READ, MAP_PRIVATE, b, 0);
    assert_true(p != MAP_FAILED && q != MAP_FAILED);
    assert_memory_equal(p, q, (size_t)x.st_size);
    munmap(p, (size_t)x.st_size);
    munmap(q, (size_t)x.st_size);
}

static int open_tree(const struct scene *sc)
{
    int fd = open(sc->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Change one thing in an image with debugfs. */
static void debugfs(const char *image, const char *request)
{
    const char *const argv[] = { "debugfs", "-w", "-R", request, image, NULL };
    case_run(argv);
}

static int open_image(const struct scene *sc, struct image_info *info)
{
    auto_free char *path =
        case_image_new(sc->dir, sc->tree, (const char *const[]){ "-text3", "-b4096", NULL }, "64m");
    debugfs(path, "set_inode_field / mtime @1500000000"); /* mke2fs keeps its own */
    auto_err struct err e = { 0 };
    int fd = image_open(path, info, &e);
    if (fd < 0)
        fail_msg("%s", e.msg);
    return fd;
}

static void a_directory_survives_archive_and_extraction(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    auto_close int tree = open_tree(sc), out = new_dir(sc, "out1");
    auto_close int before = archive_of(tree);
    auto_close int spill = memfd_create("spill", MFD_CLOEXEC);
    struct tar_input in = {
        .fd = before, .spill_fd = spill, .max_bytes = 1 << 30, .max_nodes = TAR_NODES_MAX
    };
    auto_source struct source *s = source_from_tar(&in, &e);
    if (!s || source_to_dir(s, out, SOURCE_TO_ROOT, &e) < 0)
        fail_msg("%s", e.msg);
    auto_close int after = archive_of(out);
    assert_same(before, after);
}

static void an_image_unpacks_to_the_tree_it_was_made_of(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    struct image_info info;
    auto_close int image = open_image(sc, &info), out = new_dir(sc, "out2");
    if (image_unpack(image, &info, out, &e) < 0)
        fail_msg("%s", e.msg);
    auto_close int tree = open_tree(sc);
    auto_close int before = archive_of(tree), after = archive_of(out);
    assert_same(before, after);
}

static void an_image_exports_as_the_tree_it_was_made_of(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    struct image_info info;
    auto_close int image = open_image(sc, &info), tree = open_tree(sc);
    auto_close int exported = memfd_create("export", MFD_CLOEXEC), want = archive_of(tree);
    if (image_export(image, &info, exported, &e) < 0)
        fail_msg("%s", e.msg);
    assert_same(want, exported);
}

static void holes_come_out_as_holes(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    struct image_info info;
    auto_close int image = open_image(sc, &info), out = new_dir(sc, "out3");
    if (image_unpack(image, &info, out, &e) < 0)
        fail_msg("%s", e.msg);
    struct stat st;
    assert_int_equal(fstatat(out, "sparse", &st, 0), 0);
    assert_int_equal(st.st_size, 140 << 20);
    assert_true(st.st_blocks * 512 < 1 << 20);
}

static void holes_depend_on_the_bytes_alone(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_free char *a = path_join(dir, "a"), *b = path_join(dir, "b");
    assert_int_equal(mkdir(a, 0755), 0);
    case_sparse_file(a, "sparse");
    case_pattern_file(a, "few", 200000, 1);
    const char *const argv[] = { "cp", "-a", "--sparse=never", a, b, NULL };
    case_run(argv);
    auto_close int a_fd = open(a, O_RDONLY | O_DIRECTORY), b_fd = open(b, O_RDONLY | O_DIRECTORY);
    auto_close int with = archive_of(a_fd), without = archive_of(b_fd);
    struct stat st;
    assert_int_equal(fstatat(b_fd, "sparse", &st, 0), 0);
    assert_true(st.st_blocks * 512 >= st.st_size);
    assert_same(with, without);
    assert_int_equal(fstat(with, &st), 0);
    assert_true(st.st_size < 1 << 20);
}

static void gnu_tar_reads_what_we_write(void **state)
{
    const struct scene *sc = *state;
    auto_close int tree = open_tree(sc), out = new_dir(sc, "out4");
    auto_close int archive = archive_of(tree);
    auto_free char *into = path_join(sc->dir, "out4");
    const char *const argv[] = {
        "tar", "-xpC", into, "--xattrs", "--xattrs-include=*", "--numeric-owner", NULL
    };
    int status = -1;
    struct proc_spec spec = { .argv = argv, .stdin_fd = archive, .stdout_fd = -1, .stderr_fd = -1 };
    assert_int_equal(proc_run(&spec, &status, NULL), 0);
    assert_int_equal(status, 0);
    auto_close int after = archive_of(out);
    assert_same(archive, after);
}

static void an_existing_name_is_neither_followed_nor_replaced(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    auto_close int tree = open_tree(sc), out = new_dir(sc, "out5");
    auto_free char *victim = path_join(sc->dir, "victim");
    case_file(sc->dir, "victim", "precious", 8);
    assert_int_equal(symlinkat(victim, out, "hello"), 0);
    auto_source struct source *s = dir_source(tree);
    assert_int_equal(source_to_dir(s, out, SOURCE_TO_ROOT, &e), -1);
    assert_int_equal(e.sys, EEXIST);
    auto_str struct str text = { 0 };
    assert_int_equal(fs_read_file(victim, 100, &text, NULL), 0);
    assert_string_equal(text.data, "precious");
}

static void links_that_an_image_plants_are_not_followed(void **state)
{
    (void)state;
    auto_case_dir char *dir = case_dir_new();
    auto_err struct err e = { 0 };
    auto_source struct source *s = source_new(NULL, NULL);
    struct source_node *a = source_add(s, s->root, "a", 1, S_IFLNK | 0777, &e);
    a->target = mem_strdup("/");
    a->size = 1;
    /* No filler makes a name below a link; were there one, the writer must not go through. */
    assert_null(source_add(s, a, "hpcc-test-escape", 16, S_IFREG, &e));
    auto_close int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(source_to_dir(s, fd, 0, &e), 0);
    char target[8] = { 0 };
    assert_int_equal(readlinkat(fd, "a", target, sizeof target), 1);
}

/* The same as an ordinary user: no owners, no devices, no setuid. */
static int as_nobody(int image, const struct image_info *info, int out)
{
    if (setgid(65534) < 0 || setuid(65534) < 0)
        return 10;
    struct err e = { 0 };
    if (image_unpack(image, info, out, &e) < 0) {
        fprintf(stderr, "%s\n", e.msg);
        return 11;
    }
    struct stat st;
    if (fstatat(out, "hello", &st, 0) < 0 || st.st_uid != 65534 || (st.st_mode & 07777) != 0755)
        return 12;
    if (fstatat(out, "sub/dev", &st, 0) == 0 || errno != ENOENT)
        return 13;
    if (fstatat(out, "sub/fifo", &st, 0) < 0 || !S_ISFIFO(st.st_mode))
        return 14;
    if (fstatat(out, "sub/hard", &st, 0) < 0 || st.st_nlink != 2)
        return 15;
    return 0;
}

static void an_ordinary_user_gets_files_but_no_devices_and_no_setuid(void **state)
{
    const struct scene *sc = *state;
    if (geteuid() != 0)
        skip();
    struct image_info info;
    auto_close int image = open_image(sc, &info), out = new_dir(sc, "out6");
    assert_int_equal(fchown(out, 65534, 65534), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(as_nobody(image, &info, out));
    int status = 0;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

static void a_directory_with_two_names_is_damage(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    struct image_info info;
    auto_close int first = open_image(sc, &info), out = new_dir(sc, "out7");
    assert_true(first >= 0);
    auto_free char *path = path_join(sc->dir, "image");
    debugfs(path, "link sub sub/loop"); /* a directory in itself */
    auto_close int image = image_open(path, &info, &e);
    assert_true(image >= 0);
    assert_int_equal(image_unpack(image, &info, out, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.msg, "two names"));
    assert_non_null(e.hint);
}

/* Physical block of a file's logical one. */
static uint32_t block_of(const char *image, const char *file, unsigned logical)
{
    auto_free char *request = mem_printf("bmap %s %u", file, logical);
    const char *const argv[] = { "debugfs", "-R", request, image, NULL };
    auto_close int out = memfd_create("out", MFD_CLOEXEC);
    struct proc_spec spec = { .argv = argv, .stdin_fd = -1, .stdout_fd = out, .stderr_fd = -1 };
    auto_str struct str text = { 0 };
    assert_int_equal(proc_run(&spec, NULL, NULL), 0);
    assert_int_equal(lseek(out, 0, SEEK_SET), 0);
    assert_int_equal(fs_read_fd(out, 100, &text, NULL), 0);
    return (uint32_t)strtoul(text.data, NULL, 10);
}

static void fill_block(int fd, uint32_t block, uint32_t value)
{
    uint32_t words[1024];
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        words[i] = value;
    assert_int_equal(fs_pwrite_full(fd, words, sizeof words, (uint64_t)block * 4096), 0);
}

/* 4 GiB in an image of 64 MiB: a map of blocks whose million entries all name the same one. */
static void files_that_share_blocks_are_no_bomb(void **state)
{
    const struct scene *sc = *state;
    auto_err struct err e = { 0 };
    struct image_info info;
    auto_close int image = open_image(sc, &info), out = new_dir(sc, "out9");
    auto_free char *path = path_join(sc->dir, "image");
    uint32_t outer = block_of(path, "medium", 0), inner = block_of(path, "medium", 1);
    uint32_t data = block_of(path, "medium", 2);
    auto_close int rw = open(path, O_RDWR | O_CLOEXEC);
    fill_block(rw, outer, inner);
    fill_block(rw, inner, data);
    auto_free char *map = mem_printf("set_inode_field large block[DIND] %u", outer);
    debugfs(path, map);
    debugfs(path, "set_inode_field large size 4000000000");
    auto_close int archive = memfd_create("archive", MFD_CLOEXEC);
    assert_int_equal(image_export(image, &info, archive, &e), -1);
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(strstr(e.msg, "more data than it has room for"));
    assert_int_equal(image_unpack(image, &info, out, &e), -1);
    assert_non_null(strstr(e.msg, "more data than it has room for"));
}

static void what_cannot_be_read_is_told(void **state)
{
    const struct scene *sc = *state;
    if (geteuid() != 0)
        skip();
    auto_close int out = new_dir(sc, "out8");
    assert_int_equal(mkdirat(out, "closed", 0), 0);
    assert_int_equal(fchmod(out, 0755), 0);
    pid_t child = fork();
    if (child == 0) {
        struct err e = { 0 };
        if (setuid(65534) < 0)
            _exit(1);
        struct source *s = source_from_dir(out, NULL, &e);
        _exit(!s && str_eq(e.msg, "cannot read '/closed': Permission denied") ? 0 : 2);
    }
    int status = 0;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_survives_archive_and_extraction),
        cmocka_unit_test(an_image_unpacks_to_the_tree_it_was_made_of),
        cmocka_unit_test(an_image_exports_as_the_tree_it_was_made_of),
        cmocka_unit_test(holes_come_out_as_holes),
        cmocka_unit_test(holes_depend_on_the_bytes_alone),
        cmocka_unit_test(gnu_tar_reads_what_we_write),
        cmocka_unit_test(an_existing_name_is_neither_followed_nor_replaced),
        cmocka_unit_test(links_that_an_image_plants_are_not_followed),
        cmocka_unit_test(an_ordinary_user_gets_files_but_no_devices_and_no_setuid),
        cmocka_unit_test(a_directory_with_two_names_is_damage),
        cmocka_unit_test(files_that_share_blocks_are_no_bomb),
        cmocka_unit_test(what_cannot_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}
