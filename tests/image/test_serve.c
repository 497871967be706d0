/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/mount_case.h"

#include <sys/statvfs.h>

/* ── a mounted image ─────────────────────────────────────────────────────────────────────────── */

static void scene_init(struct scene *s, const char *const *words)
{
    *s = (struct scene){ .dir = case_dir_new() };
    auto_free char *tree = case_tree_new(s->dir);
    s->image = case_image_new(s->dir, tree, words, "48M");
    s->fuse = path_join(s->dir, "fuse");
    s->loop = path_join(s->dir, "loop");
    assert_int_equal(mkdir(s->fuse, 0755), 0);
    assert_int_equal(mkdir(s->loop, 0755), 0);
}
static int root_sees_what_the_kernel_sees(const struct scene *s, int sock, struct difference *d)
{
    if (own_mounts() < 0 || mount_here(s, sock) < 0)
        return DIFFER(d, "cannot mount: %d", errno);
    const char *const argv[] = { "mount", "-o", "loop,ro,noload", s->image, s->loop, NULL };
    const char *const plain[] = { "mount", "-o", "loop,ro", s->image, s->loop, NULL };
    const struct proc_spec spec = {
        .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1
    };
    const struct proc_spec spec2 = {
        .argv = plain, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1
    };
    if (proc_run(&spec, NULL, NULL) < 0 && proc_run(&spec2, NULL, NULL) < 0)
        return DIFFER(d, "cannot loop-mount");
    return same_trees(s->loop, s->fuse, true, d);
}

static void the_mount_equals_the_kernels_own_for_every_type(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    static const char *const types[][8] = {
        { "-t", "ext3", "-b", "4096" },
        { "-t", "ext2", "-b", "1024", "-I", "128" },
        { "-t", "ext4", "-b", "1024" },
        { "-t", "ext4", "-b", "4096", "-O", "meta_bg,^resize_inode" },
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        auto_scene struct scene s = { 0 };
        scene_init(&s, types[i]);
        assert_int_equal(in_child(root_sees_what_the_kernel_sees, &s), 0);
    }
}

static int expect(int rc, int wanted, const char *what, struct difference *d)
{
    int got = rc < 0 ? errno : 0;
    return got == wanted ? 0 : DIFFER(d, "%s gives %d, not %d", what, got, wanted);
}

/* I32: what a program may try on the mount. */
static int hostile_calls(const struct scene *s, struct difference *d)
{
    auto_free char *hello = path_join(s->fuse, "hello"), *none = path_join(s->fuse, "none");
    auto_free char *fifo = path_join(s->fuse, "sub/fifo");
    auto_free char *under = mem_printf("%s/hello/x", s->fuse);
    char name[300], buf[4096];
    struct stat st;
    auto_close int fd = open(hello, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, buf, sizeof buf) != 6)
        return DIFFER(d, "cannot read");
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    auto_free char *longest = path_join(s->fuse, name);
    name[255] = 'n';
    name[256] = '\0';
    auto_free char *too_long = path_join(s->fuse, name);
    auto_free char *bytes = path_join(s->fuse, "\xff\xfe\x01 \n");
    int attr = 0;
    if (expect(open(hello, O_WRONLY | O_CLOEXEC), EROFS, "open for writing", d) ||
        expect(open(none, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), EROFS, "create", d) ||
        expect(unlink(hello), EROFS, "unlink", d) || expect(mkdir(none, 0700), EROFS, "mkdir", d) ||
        expect(rename(hello, none), EROFS, "rename", d) ||
        expect(truncate(hello, 0), EROFS, "truncate", d) ||
        expect(chmod(hello, 0), EROFS, "chmod", d) ||
        expect(symlink("x", none), EROFS, "symlink", d) ||
        expect(mknod(none, S_IFIFO | 0600, 0), EROFS, "mknod", d) ||
        expect(setxattr(hello, "user.x", "y", 1, 0), EROFS, "setxattr", d) ||
        expect(fallocate(fd, 0, 0, 10), EBADF, "fallocate", d) ||
        expect(ioctl(fd, _IOR('f', 1, long), &attr), ENOTTY, "FS_IOC_GETFLAGS", d) ||
        expect(lstat(none, &st), ENOENT, "stat of nothing", d) ||
        expect(lstat(none, &st), ENOENT, "stat of nothing again", d) ||
        expect(lstat(under, &st), ENOTDIR, "stat below a file", d) ||
        expect(lstat(longest, &st), ENOENT, "a name of 255", d) ||
        expect(lstat(too_long, &st), ENAMETOOLONG, "a name of 256", d) ||
        expect(lstat(bytes, &st), ENOENT, "a name of any bytes", d) ||
        expect((int)lseek(fd, 100, SEEK_DATA), ENXIO, "lseek past the end", d) ||
        expect((int)getxattr(hello, "user.none", buf, sizeof buf), ENODATA, "getxattr", d) ||
        expect((int)getxattr(hello, "user.large", buf, 10), ERANGE, "short getxattr", d) ||
        expect(lstat(fifo, &st), 0, "stat of a fifo", d))
        return -1;
    struct statvfs v;
    if (statvfs(s->fuse, &v) < 0 || v.f_namemax != 255 || !(v.f_flag & ST_RDONLY) ||
        !(v.f_flag & ST_NOSUID) || !(v.f_flag & ST_NODEV) || v.f_blocks == 0)
        return DIFFER(d, "statvfs is wrong");
    return 0;
}

static int root_calls(const struct scene *s, int sock, struct difference *d)
{
    if (own_mounts() < 0 || mount_here(s, sock) < 0)
        return DIFFER(d, "cannot mount: %d", errno);
    return hostile_calls(s, d);
}

static void calls_that_would_change_the_image_are_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    auto_scene struct scene s = { 0 };
    scene_init(&s, (const char *const[]){ "-t", "ext3", NULL });
    assert_int_equal(in_child(root_calls, &s), 0);
}

/* The device is opened inside the user's namespace, the server stays outside. */
static int user_sees_the_tree(const struct scene *s, int sock, struct difference *d)
{
    if (case_enter_userns(20001) < 0)
        return 77;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount_here(s, sock) < 0)
        return DIFFER(d, "cannot mount: %d", errno);
    auto_free char *sub = path_join(s->fuse, "sub"), *tree = path_join(s->dir, "tree");
    auto_free char *many = path_join(s->fuse, "many"), *large = path_join(s->fuse, "large");
    auto_free char *large_too = path_join(tree, "large");
    auto_strv struct strv names = { 0 };
    if (list_dir(many, &names) < 0 || names.n != 400)
        return DIFFER(d, "%zu entries", names.n);
    if (geteuid() == 20001 && (open(sub, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES))
        return DIFFER(d, "a directory of another owner opens");
    return same_content(large, large_too, d);
}

static void a_user_mounts_it_in_a_namespace_of_its_own(void **state)
{
    (void)state;
    struct scene s = { 0 };
    scene_init(&s, (const char *const[]){ "-t", "ext3", NULL });
    int rc = in_child(user_sees_the_tree, &s);
    scene_fini(&s);
    if (rc == 77) /* no user namespaces here */
        skip();
}

static int truncate_while_mounted(const struct scene *s, int sock, struct difference *d)
{
    auto_free char *large = path_join(s->fuse, "large");
    char buf[4096];
    if (own_mounts() < 0 || mount_here(s, sock) < 0)
        return DIFFER(d, "cannot mount: %d", errno);
    auto_close int fd = open(large, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, buf, sizeof buf, 0) != sizeof buf)
        return DIFFER(d, "cannot read");
    if (truncate(s->image, 1 << 20) < 0)
        return DIFFER(d, "cannot truncate");
    for (off_t at = 0; at < 9 << 20; at += 1 << 20)
        if (pread(fd, buf, sizeof buf, at) < 0)
            return errno == EIO ? 0 : DIFFER(d, "reading gives %d", errno);
    return DIFFER(d, "a truncated image reads on");
}

static void an_image_truncated_under_the_mount_gives_io_errors(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    auto_scene struct scene s = { 0 };
    scene_init(&s, (const char *const[]){ "-t", "ext3", NULL });
    assert_int_equal(in_child(truncate_while_mounted, &s), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mount_equals_the_kernels_own_for_every_type),
        cmocka_unit_test(calls_that_would_change_the_image_are_refused),
        cmocka_unit_test(a_user_mounts_it_in_a_namespace_of_its_own),
        cmocka_unit_test(an_image_truncated_under_the_mount_gives_io_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
