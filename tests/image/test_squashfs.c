/* SPDX-License-Identifier: BSD-3-Clause */
/* squashfs through libsquashfuse and our server, held against the kernel's own driver, and on
 * damaged images. An argument is the number of random trees, a second one the first seed. */
#include "tests/image/mount_case.h"
#include "tests/image/tree_random.h"
#include "tests/image/tree_walk.h"

#include <pthread.h>
#include <unistd.h>

#include <squashfuse.h>

static void squash(const char *tree, const char *image, const char *const *words)
{
    const char *argv[32] = { "mksquashfs", tree, image, "-noappend", "-quiet", "-no-progress" };
    size_t n = 6;
    for (; *words; words++)
        argv[n++] = *words;
    auto_close int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const struct proc_spec spec = { /* stderr has a line for each ACL, which it cannot keep */
                                    .argv = argv,
                                    .stdin_fd = -1,
                                    .stdout_fd = null_fd,
                                    .stderr_fd = null_fd
    };
    auto_err struct err e = { 0 };
    int status = 0;
    if (proc_run(&spec, &status, &e) < 0 || status != 0)
        fail_msg("mksquashfs: %d %s", status, e.msg ? e.msg : "");
}

/* A directory of more than one block, so that it has an index. */
static void add_long_directory(const char *tree)
{
    auto_free char *dir = path_join(tree, "index");
    assert_int_equal(mkdir(dir, 0755), 0);
    for (int i = 0; i < 3000; i++) {
        auto_free char *name = mem_printf("%s/a-rather-long-name-%04d-%d", dir, i, i * 7919 % 3001);
        auto_close int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(fd >= 0);
    }
}

static void set_up(struct scene *s, char **tree)
{
    *s = (struct scene){ .dir = case_dir_new() };
    *tree = case_tree_new(s->dir);
    auto_free char *sparse = path_join(*tree, "sparse");
    assert_int_equal(truncate(sparse, 12 << 20), 0); /* every byte of it is read, 20 times */
    /* The same long value twice is stored once, elsewhere; a file system without attributes has
     * none. */
    char value[500];
    memset(value, 'v', sizeof value);
    const char *const twins[] = { "empty", "medium" };
    for (size_t i = 0; i < ARRAY_LEN(twins); i++) {
        auto_free char *file = path_join(*tree, twins[i]);
        if (setxattr(file, "user.shared", value, sizeof value, 0) < 0)
            assert_int_equal(errno, ENOTSUP);
    }
    s->image = path_join(s->dir, "image");
    s->fuse = path_join(s->dir, "fuse");
    s->loop = path_join(s->dir, "loop");
    assert_int_equal(mkdir(s->fuse, 0755), 0);
    assert_int_equal(mkdir(s->loop, 0755), 0);
}

static int same_as_the_kernel(const struct scene *s, int sock, struct difference *d)
{
    if (own_mounts() < 0 || mount_here(s, sock) < 0)
        return DIFFER(d, "cannot mount: %d", errno);
    const char *const argv[] = {
        "mount", "-t", "squashfs", "-o", "loop,ro", s->image, s->loop, NULL
    };
    const struct proc_spec spec = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1
    };
    int status = 0;
    if (proc_run(&spec, &status, NULL) < 0 || status != 0)
        return 77;
    d->blocks_with_xattrs = true;
    return same_trees(s->loop, s->fuse, true, d);
}

static void the_mount_equals_the_kernels_own_for_every_compressor(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    static const char *const ways[][5] = {
        { "-comp", "gzip" },
        { "-comp", "lzo" },
        { "-comp", "lz4" },
        { "-comp", "xz" },
        { "-comp", "zstd" },
        { "-b", "4096" },
        { "-b", "1M", "-no-fragments" },
        { "-always-use-fragments" },
        { "-noI", "-noD", "-noF", "-noX" },
    };
    auto_scene struct scene s = { 0 };
    auto_free char *tree = NULL;
    set_up(&s, &tree);
    add_long_directory(tree);
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        squash(tree, s.image, ways[i]);
        if (in_child(same_as_the_kernel, &s) == 77)
            print_message("the kernel here does not mount it: %s %s\n", ways[i][0], ways[i][1]);
    }
}

static void random_trees_are_what_the_kernel_sees(void **state)
{
    const unsigned *campaign = *state;
    if (geteuid() != 0)
        skip();
    for (unsigned i = 0; i < campaign[0]; i++) {
        auto_scene struct scene s = { 0 };
        auto_free char *tree = NULL;
        set_up(&s, &tree);
        auto_free char *random = path_join(tree, "random");
        assert_int_equal(mkdir(random, 0755), 0);
        tree_random_make(random, campaign[1] + i, i % 10 == 9 ? 700 : 60);
        /* mksquashfs reads the holes of the giants too */
        case_run((const char *[]){ "find", random, "-size", "+100M", "-delete", NULL });
        squash(tree, s.image, (const char *[]){ "-comp", i % 2 ? "zstd" : "gzip", NULL });
        in_child(same_as_the_kernel, &s);
    }
}

/* ── without a mount ── */

static struct image_tree *open_tree_of(const char *image, uint64_t offset)
{
    auto_err struct err e = { 0 };
    struct image_tree *t = NULL;
    int fd = open(image, O_RDONLY | O_CLOEXEC);
    if (image_tree_open_squashfs(fd, offset, &t, &e) < 0)
        fail_msg("%s", e.msg);
    return t;
}

struct pieces {
    struct tree_walk walk;
    unsigned n, max;
    uint64_t cookie;
    struct strv names;
};

static int take_piece(struct tree_walk *w, const struct image_dirent *d, uint64_t node,
                      const struct image_stat *st)
{
    struct pieces *p = (struct pieces *)w;
    (void)node;
    (void)st;
    if (p->n == p->max)
        return 1;
    p->n++;
    p->cookie = d->next_cookie;
    strv_take(&p->names, mem_strndup(d->name, d->name_len));
    return 0;
}

static void a_directory_read_in_pieces_gives_every_name_once(void **state)
{
    (void)state;
    auto_scene struct scene s = { 0 };
    auto_free char *tree = NULL;
    set_up(&s, &tree);
    add_long_directory(tree);
    squash(tree, s.image, (const char *[]){ "-comp", "zstd", NULL });
    auto_image_tree struct image_tree *t = open_tree_of(s.image, 0);
    struct image_stat st;
    uint64_t dir = 0, node = 0;
    assert_int_equal(t->ops->lookup(t, FUSE_ROOT_ID, "index", &dir, &st), 0);
    struct pieces p = { .walk.entry = take_piece, .max = 7 };
    do {
        p.n = 0;
        assert_int_equal(t->ops->list(t, dir, p.cookie, &p.walk), 0);
    } while (p.n);
    assert_int_equal(p.names.n, 3002);
    assert_string_equal(p.names.v[0], ".");
    assert_string_equal(p.names.v[1], "..");
    for (size_t i = 2; i < p.names.n; i++) {
        if (i > 2)
            assert_true(strcmp(p.names.v[i - 1], p.names.v[i]) < 0);
        assert_int_equal(t->ops->lookup(t, dir, p.names.v[i], &node, &st), 0);
        auto_free char *near = mem_printf("%sx", p.names.v[i]);
        assert_int_equal(t->ops->lookup(t, dir, near, &node, &st), -ENOENT);
    }
    assert_int_equal(t->ops->lookup(t, dir, "A", &node, &st), -ENOENT);
    assert_int_equal(t->ops->lookup(t, dir, "z", &node, &st), -ENOENT);
    assert_int_equal(t->ops->lookup(t, node, "x", &node, &st), -ENOTDIR);
    strv_free(&p.names);
}

/* Reads of a file whose list of blocks needs marks, from everywhere. */
static void any_byte_of_a_long_file_is_found(void **state)
{
    (void)state;
    auto_scene struct scene s = { 0 };
    auto_free char *tree = NULL;
    set_up(&s, &tree);
    case_pattern_file(tree, "long", (24 << 20) + 77, 5);
    squash(tree, s.image, (const char *[]){ "-b", "4096", "-noD", "-noF", NULL });
    auto_image_tree struct image_tree *t = open_tree_of(s.image, 0);
    struct image_stat st;
    uint64_t node = 0, seed = 3;
    assert_int_equal(t->ops->lookup(t, FUSE_ROOT_ID, "long", &node, &st), 0);
    for (int i = 0; i < 3000; i++) {
        uint8_t have[600], want[600];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t at = (seed >> 20) % st.size;
        size_t len = at + sizeof have > st.size ? st.size - at : sizeof have;
        assert_int_equal(t->ops->read(t, node, have, sizeof have, at), len);
        case_pattern(want, len, at, 5);
        assert_memory_equal(have, want, len);
    }
    assert_int_equal(t->ops->read(t, node, &seed, 8, st.size), 0);
    assert_int_equal(t->ops->seek(t, node, 100, true), st.size);
}

struct reading {
    pthread_t thread;
    const struct image_tree *tree;
    uint64_t node;
    unsigned step;
    bool wrong;
};

static void *read_large(void *arg)
{
    struct reading *r = arg;
    auto_free uint8_t *have = mem_alloc(70000), *want = mem_alloc(70000);
    for (uint64_t i = 0; i < 300; i++) {
        uint64_t at = i * r->step * 4099 % ((9 << 20) - 70000);
        case_pattern(want, 70000, at, 2);
        if (r->tree->ops->read(r->tree, r->node, have, 70000, at) != 70000 ||
            memcmp(have, want, 70000) != 0)
            r->wrong = true;
        struct image_stat st;
        uint64_t node;
        if (r->tree->ops->lookup(r->tree, FUSE_ROOT_ID, "many", &node, &st) < 0)
            r->wrong = true;
    }
    return NULL;
}

static void many_threads_read_the_same(void **state)
{
    (void)state;
    auto_scene struct scene s = { 0 };
    auto_free char *tree = NULL;
    struct image_stat st;
    uint64_t node = 0;
    set_up(&s, &tree);
    squash(tree, s.image, (const char *[]){ "-comp", "lz4", NULL });
    auto_image_tree struct image_tree *t = open_tree_of(s.image, 0);
    assert_int_equal(t->ops->lookup(t, FUSE_ROOT_ID, "large", &node, &st), 0);
    struct reading r[12];
    for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
        r[i] = (struct reading){ .tree = t, .node = node, .step = i + 1 };
        assert_int_equal(pthread_create(&r[i].thread, NULL, read_large, &r[i]), 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(r); i++) {
        pthread_join(r[i].thread, NULL);
        assert_false(r[i].wrong);
    }
}

/* ── damage ── */

struct bytes {
    uint8_t *data;
    size_t len;
};

static void load(const char *path, struct bytes *out)
{
    struct stat st;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    *out = (struct bytes){ .data = mem_alloc((size_t)st.st_size), .len = (size_t)st.st_size };
    assert_int_equal(pread(fd, out->data, out->len, 0), out->len);
}

/* Answers of the image as it is in FD now; E tells why it does not open. */
static unsigned answers(int fd, struct err *e)
{
    auto_image_tree struct image_tree *t = NULL;
    return image_tree_open_squashfs(fd, 0, &t, e) < 0 ? 0 : walk_all(t);
}

static void small_image(struct scene *s, struct bytes *out)
{
    auto_free char *tree = path_join(s->dir, "small");
    auto_free char *sub = path_join(tree, "a"), *link = path_join(tree, "link");
    auto_free char *hello = path_join(tree, "hello");
    assert_int_equal(mkdir(tree, 0755), 0);
    assert_int_equal(mkdir(sub, 0755), 0);
    case_file(tree, "hello", "hello\n", 6);
    case_pattern_file(tree, "blocks", 30000, 3);
    for (int i = 0; i < 30; i++) {
        auto_free char *name = mem_printf("entry-with-a-name-%d", i);
        case_file(sub, name, name, strlen(name));
    }
    assert_int_equal(symlink("a/b", link), 0);
    assert_int_equal(setxattr(hello, "user.one", "value", 5, 0), 0);
    squash(tree, s->image,
           (const char *[]){ "-b", "4096", "-noI", "-noD", "-noF", "-noX", "-nopad", NULL });
    load(s->image, out);
}

static void what_is_wrong_with_the_superblock_is_told(void **state)
{
    (void)state;
#define AT(field) offsetof(struct squashfs_super_block, field)
    static const struct {
        size_t at, len;
        uint64_t value;
        const char *what;
    } cases[] = {
        { AT(s_magic), 4, 0, "not a squashfs" },
        { AT(s_magic), 4, 0x68737173, "version" },
        { AT(block_size), 4, 0, "block size" },
        { AT(block_size), 4, 1 << 30, "block size" },
        { AT(block_log), 2, 13, "block size" },
        { AT(compression), 2, 77, "compression" },
        { AT(s_major), 2, 3, "version" },
        { AT(root_inode), 8, UINT64_MAX, "root" },
        { AT(root_inode), 8, 60000, "root" },
        { AT(inode_table_start), 8, UINT64_MAX, "table" },
        { AT(directory_table_start), 8, UINT64_MAX, "table" },
        { AT(id_table_start), 8, UINT64_MAX, "tables" },
        { AT(id_table_start), 8, 1 << 30, "tables" },
        { AT(fragments), 4, UINT32_MAX, "tables" },
        { AT(inodes), 4, UINT32_MAX, "tables" },
        { AT(no_ids), 2, 0, "root" },
        { AT(bytes_used), 8, 1ull << 40, "truncated" },
    };
    auto_scene struct scene s = { 0 };
    auto_free char *tree = NULL;
    struct bytes b;
    set_up(&s, &tree);
    small_image(&s, &b);
    auto_close int fd = open(s.image, O_RDWR | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_err struct err e = { 0 };
        assert_int_equal(pwrite(fd, b.data, b.len, 0), b.len);
        assert_true(pwrite(fd, &cases[i].value, cases[i].len, (off_t)cases[i].at) > 0);
        assert_int_equal(answers(fd, &e), 0);
        if (!e.msg || !strstr(e.msg, cases[i].what))
            fail_msg("case %zu says '%s'", i, e.msg);
    }
    free(b.data);
}

static void a_truncated_image_is_told_as_such(void **state)
{
    (void)state;
    auto_scene struct scene s = { 0 };
    auto_free char *tree = NULL;
    struct bytes b;
    set_up(&s, &tree);
    small_image(&s, &b);
    auto_close int fd = open(s.image, O_RDWR | O_CLOEXEC);
    for (size_t len = b.len - 1; len > 96; len -= len > 2000 ? 1777 : 33) {
        auto_err struct err e = { 0 };
        assert_int_equal(ftruncate(fd, (off_t)len), 0);
        assert_int_equal(answers(fd, &e), 0);
        if (!e.msg || !strstr(e.msg, "truncated"))
            fail_msg("%zu of %zu bytes: '%s'", len, b.len, e.msg);
    }
    free(b.data);
}

/* Its metadata is not packed, so that what is changed is what is read. */
static void damage_anywhere_gives_errors_and_nothing_worse(void **state)
{
    (void)state;
    auto_scene struct scene s = { 0 };
    auto_free char *tree = NULL;
    struct bytes b;
    set_up(&s, &tree);
    small_image(&s, &b);
    auto_close int fd = open(s.image, O_RDWR | O_CLOEXEC);
    unsigned whole = answers(fd, NULL), less = 0, still = 0;
    assert_true(whole > 80);
    size_t meta = b.len - 5000; /* the tables lie at the end */
    uint64_t seed = 5;
    for (unsigned i = 0; i < 4000; i++) {
        uint8_t *copy = mem_dup(b.data, b.len);
        for (unsigned k = 0; k <= i % 3; k++) {
            static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            size_t at = seed >> 63 ? (seed >> 33) % 96 : meta + (seed >> 33) % (b.len - meta);
            copy[at] = i % 2 ? values[(seed >> 20) % sizeof values] : (uint8_t)(seed >> 20);
        }
        assert_int_equal(pwrite(fd, copy, b.len, 0), b.len);
        free(copy);
        unsigned n = answers(fd, NULL);
        less += n < whole;
        still += n > 0;
    }
    assert_true(less > 1000 && still > 1000); /* it was damage, and it was looked at */
    free(b.data);
}

int main(int argc, char **argv)
{
    unsigned campaign[2] = { 2, 1 };
    for (int i = 1; i < argc && i < 3; i++)
        campaign[i - 1] = (unsigned)strtoul(argv[i], NULL, 10);
    if (access("/usr/bin/mksquashfs", X_OK) < 0)
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(random_trees_are_what_the_kernel_sees, campaign),
        cmocka_unit_test(the_mount_equals_the_kernels_own_for_every_compressor),
        cmocka_unit_test(a_directory_read_in_pieces_gives_every_name_once),
        cmocka_unit_test(any_byte_of_a_long_file_is_found),
        cmocka_unit_test(many_threads_read_the_same),
        cmocka_unit_test(what_is_wrong_with_the_superblock_is_told),
        cmocka_unit_test(a_truncated_image_is_told_as_such),
        cmocka_unit_test(damage_anywhere_gives_errors_and_nothing_worse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
