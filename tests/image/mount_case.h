/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_MOUNT_CASE_H
#define TESTS_IMAGE_MOUNT_CASE_H

/* A served image, mounted in a child, and two mounted trees held against each other. */
#include "tests/image/serve_case.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Two trees on this host are told apart by the first difference; the work is done in children,
 * which cannot use cmocka's assertions. */
struct difference {
    char text[512];
    bool blocks_with_xattrs; /* A counts the space of attributes in st_blocks, B does not */
};

#define DIFFER(d, ...) (snprintf((d)->text, sizeof(d)->text, __VA_ARGS__), -1)

static inline int same_content(const char *a, const char *b, struct difference *d)
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

static inline int same_xattrs(const char *a, const char *b, struct difference *d)
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

static inline int same_node(const char *a, const char *b, bool owners, struct difference *d)
{
    struct stat x, y;
    if (lstat(a, &x) < 0 || lstat(b, &y) < 0)
        return DIFFER(d, "%s: lstat fails", a);
    if (x.st_ino != y.st_ino || x.st_mode != y.st_mode || x.st_nlink != y.st_nlink ||
        x.st_size != y.st_size || x.st_rdev != y.st_rdev)
        return DIFFER(d, "%s: stat differs", a);
    if (x.st_blocks != y.st_blocks && !(d->blocks_with_xattrs && llistxattr(a, NULL, 0) > 0))
        return DIFFER(d, "%s: blocks differ", a);
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

static inline int list_dir(const char *path, struct strv *out)
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
static inline int same_trees(const char *a, const char *b, bool owners, struct difference *d)
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

struct scene {
    char *dir, *image, *fuse, *loop;
};

static inline void scene_fini(struct scene *s)
{
    free(s->image);
    free(s->fuse);
    free(s->loop);
    if (s->dir)
        case_dir_free(s->dir);
}
#define auto_scene cleanup_with(scene_fini)

/* Run WORK in a child with its own mounts; it says what is wrong through a pipe. 77: it cannot run
 * here. */
static inline int in_child(int (*work)(const struct scene *s, int sock, struct difference *d),
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

static inline int own_mounts(void)
{
    return unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? -1
                                                                                             : 0;
}

static inline int mount_here(const struct scene *s, int sock)
{
    int fd = case_fuse_mount(s->fuse);
    if (fd < 0)
        return -1;
    case_send_fd(sock, fd);
    close(fd);
    return 0;
}

#endif
