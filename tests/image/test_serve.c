/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/image/serve_case.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Two trees on this host are told apart by the first difference; the work is done in children,
 * which cannot use cmocka's assertions. */
struct difference {
    char text[512];
};

#define DIFFER(d, ...) (snprintf((d)->text, sizeof(d)->text, __VA_ARGS__), -1)

static int same_content(const char *a, const char *b, struct difference *d)
{
    auto_close int fa = open(a, O_RDONLY | O_CLOEXEC), fb = open(b, O_RDONLY | O_CLOEXEC);
    enum { STEP = 1 << 18 };
    auto_free char *x = mem_alloc(STEP), *y = mem_alloc(STEP);
    if (fa < 0 || fb < 0)
        return DIFFER(d, "%s: open fails: %d %d", a, fa, fb);
    for (off_t at = 0;; at += STEP) {
        ssize_t n = pread(fa, x, STEP, at), m = pread(fb, y, STEP, at);
        if (n != m || n < 0 || memcmp(x, y, (size_t)n) != 0)
            return DIFFER(d, "%s: content differs at %lld (%zd, %zd)", a, (long long)at, n, m);
        if (n == 0)
            break;
    }
    for (int whence = SEEK_DATA; whence <= SEEK_HOLE; whence++)
        if (lseek(fa, 5000, whence) != lseek(fb, 5000, whence))
            return DIFFER(d, "%s: lseek(%d) differs", a, whence);
    return 0;
}

static int same_xattrs(const char *a, const char *b, struct difference *d)
{
    char x[4096], y[4096], v[8192], w[8192];
    ssize_t n = llistxattr(a, x, sizeof x), m = llistxattr(b, y, sizeof y);
    if (n < 0 || n != m)
        return DIFFER(d, "%s: xattr lists differ (%zd, %zd)", a, n, m);
    for (char *name = y; name < y + m; name += strlen(name) + 1) {
        ssize_t k = lgetxattr(a, name, v, sizeof v), l = lgetxattr(b, name, w, sizeof w);
        if (k != l || k < 0 || memcmp(v, w, (size_t)k) != 0)
            return DIFFER(d, "%s: xattr %.99s differs (%zd, %zd)", a, name, k, l);
    }
    return 0;
}

static int same_node(const char *a, const char *b, bool owners, struct difference *d)
{
    struct stat x, y;
    if (lstat(a, &x) < 0 || lstat(b, &y) < 0)
        return DIFFER(d, "%s: lstat fails", a);
    if (x.st_ino != y.st_ino || x.st_mode != y.st_mode || x.st_nlink != y.st_nlink ||
        x.st_size != y.st_size || x.st_rdev != y.st_rdev || x.st_blocks != y.st_blocks)
        return DIFFER(d, "%s: stat differs", a);
    if (owners && (x.st_uid != y.st_uid || x.st_gid != y.st_gid))
        return DIFFER(d, "%s: owner differs", a);
    if (memcmp(&x.st_mtim, &y.st_mtim, sizeof x.st_mtim) != 0 ||
        memcmp(&x.st_ctim, &y.st_ctim, sizeof x.st_ctim) != 0)
        return DIFFER(d, "%s: time differs", a);
    if (owners && same_xattrs(a, b, d) < 0)
        return -1;
    if (S_ISREG(x.st_mode) && (owners || access(a, R_OK) == 0))
        return same_content(a, b, d);
    if (S_ISLNK(x.st_mode)) {
        char p[5000], q[5000];
        ssize_t n = readlink(a, p, sizeof p), m = readlink(b, q, sizeof q);
        if (n < 0 || n != m || memcmp(p, q, (size_t)n) != 0)
            return DIFFER(d, "%s: link differs", a);
    }
    return 0;
}

static int list_dir(const char *path, struct strv *out)
{
    auto_dir DIR *dir = opendir(path);
    if (!dir)
        return -1;
    for (struct dirent *x; (x = readdir(dir));)
        if (!str_eq(x->d_name, ".") && !str_eq(x->d_name, ".."))
            strv_addf(out, "%s/%d", x->d_name, x->d_type);
    strv_sort(out);
    return 0;
}

/* Everything below A is below B with the same type, and the other way round. */
static int same_trees(const char *a, const char *b, bool owners, struct difference *d)
{
    auto_strv struct strv todo = { 0 };
    strv_add(&todo, "");
    for (size_t i = 0; i < todo.n; i++) {
        auto_strv struct strv in_a = { 0 }, in_b = { 0 };
        auto_free char *pa = mem_printf("%s%s", a, todo.v[i]),
                       *pb = mem_printf("%s%s", b, todo.v[i]);
        if (same_node(pa, pb, owners, d) < 0)
            return -1;
        struct stat st;
        if (lstat(pa, &st) < 0 || !S_ISDIR(st.st_mode) || (!owners && access(pa, R_OK | X_OK) < 0))
            continue;
        if (list_dir(pa, &in_a) < 0 || list_dir(pb, &in_b) < 0 || in_a.n != in_b.n)
            return DIFFER(d, "%s: entries differ: %zu, %zu", pa, in_a.n, in_b.n);
        for (size_t k = 0; k < in_a.n; k++) {
            if (!str_eq(in_a.v[k], in_b.v[k]))
                return DIFFER(d, "%s: %s is %s", pa, in_a.v[k], in_b.v[k]);
            *strrchr(in_a.v[k], '/') = '\0';
            strv_addf(&todo, "%s/%s", todo.v[i], in_a.v[k]);
        }
    }
    return todo.n > 400 ? 0 : DIFFER(d, "only %zu files", todo.n);
}

/* ── a mounted image ────────────────────────────────────────────────────────────────────────────
 */

struct scene {
    char *dir, *image, *fuse, *loop;
};

static void scene_fini(struct scene *s)
{
    free(s->image);
    free(s->fuse);
    free(s->loop);
    if (s->dir)
        case_dir_free(s->dir);
}

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
#define auto_scene cleanup_with(scene_fini)

/* Run WORK in a child with its own mounts; it says what is wrong through a pipe. 77: it cannot run
 * here. */
static int in_child(int (*work)(const struct scene *s, int sock, struct difference *d),
                    const struct scene *s)
{
    int sock, tell[2];
    struct difference d = { .text = "" };
    pid_t server = case_server_start(s->image, &sock, true);
    assert_int_equal(pipe2(tell, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int rc = work(s, sock, &d);
        if (rc != 0 && write(tell[1], d.text, strlen(d.text)) < 0)
            rc = 2;
        _exit(rc == 0 ? 0 : rc == 77 ? 77 : 1);
    }
    close(tell[1]);
    close(sock);
    ssize_t n = read(tell[0], d.text, sizeof d.text - 1);
    d.text[n > 0 ? n : 0] = '\0';
    close(tell[0]);
    int status = case_wait(pid);
    int served = case_wait(server);
    if (status == 77)
        return 77;
    if (status != 0)
        fail_msg("%s (status %d, server %d)", d.text, status, served);
    assert_int_equal(served, 0);
    return 0;
}

static int own_mounts(void)
{
    return unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -1
                                                                                             : 0;
}

static int mount_here(const struct scene *s, int sock)
{
    int fd = case_fuse_mount(s->fuse);
    if (fd < 0)
        return -1;
    case_send_fd(sock, fd);
    close(fd);
    return 0;
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
