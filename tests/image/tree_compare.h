/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_TREE_COMPARE_H
#define TESTS_IMAGE_TREE_COMPARE_H

/* Two directory trees held against each other: names, types, modes, owners, modification times to
 * the nanosecond, link counts, targets, device numbers, extended attributes, content, holes. */
#include "tests/image/image_case.h"

struct tree_compare {
    const char *left, *right; /* paths of the roots */
    bool holes;               /* each block of zeros of LEFT must be a hole in RIGHT */
    unsigned n;               /* nodes seen */
};

static inline int tree_open(const char *root, const char *path, int flags)
{
    auto_close int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return openat(root_fd, path, flags | O_NOFOLLOW | O_CLOEXEC);
}

static inline int tree_names_order(const void *a, const void *b)
{
    char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static inline void tree_names(const char *root, const char *path, bool top, struct strv *out)
{
    DIR *d = fdopendir(tree_open(root, path, O_RDONLY | O_DIRECTORY));
    if (!d)
        fail_msg("cannot open %s of %s: %s", path, root, strerror(errno));
    const struct dirent *de;
    while ((de = readdir(d)))
        if (!str_eq(de->d_name, ".") && !str_eq(de->d_name, "..") &&
            !(top && str_eq(de->d_name, "lost+found")))
            strv_add(out, de->d_name);
    closedir(d);
    if (out->n)
        qsort(out->v, out->n, sizeof *out->v, tree_names_order);
}

static inline void tree_stat(const char *root, const char *path, struct stat *st)
{
    auto_close int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fstatat(root_fd, path, st, AT_SYMLINK_NOFOLLOW) < 0)
        fail_msg("cannot stat %s of %s: %s", path, root, strerror(errno));
}

/* Names and values of the attributes that an image keeps, in a canonical text. */
static inline char *tree_xattrs(const char *root, const char *path)
{
    auto_close int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_free char *file = mem_printf("/proc/self/fd/%d/%s", root_fd, path);
    char names[8192];
    ssize_t len = llistxattr(file, names, sizeof names);
    auto_strv struct strv lines = { 0 };
    for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
        if (str_eq(names + at, "security.selinux"))
            continue;
        uint8_t value[8192];
        ssize_t n = lgetxattr(file, names + at, value, sizeof value);
        if (n < 0)
            fail_msg("cannot read %s of %s: %s", names + at, file, strerror(errno));
        auto_str struct str line = { 0 };
        str_addf(&line, "%s=", names + at);
        for (ssize_t i = 0; i < n; i++)
            str_addf(&line, "%02x", value[i]);
        strv_add(&lines, line.data);
    }
    strv_sort(&lines);
    return strv_join(&lines, "\n");
}

/* Bytes of FD that are data by SEEK_DATA. */
static inline uint64_t tree_data_bytes(int fd, uint64_t size)
{
    uint64_t sum = 0;
    for (off_t at = 0; (uint64_t)at < size;) {
        off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0)
            break;
        off_t hole = lseek(fd, data, SEEK_HOLE);
        sum += (uint64_t)(hole - data);
        at = hole;
    }
    return sum;
}

static inline void tree_compare_content(const struct tree_compare *c, const char *path,
                                        uint64_t size)
{
    enum { CHUNK = 1 << 18 };
    auto_close int a = tree_open(c->left, path, O_RDONLY), b = tree_open(c->right, path, O_RDONLY);
    auto_free uint8_t *x = mem_alloc(CHUNK), *y = mem_alloc(CHUNK);
    uint64_t full = 0;
    for (uint64_t at = 0; at < size;) {
        off_t next = lseek(a, (off_t)at, SEEK_DATA);
        /* Where LEFT has a hole, RIGHT must have one or zeros; SEEK_DATA there tells. */
        uint64_t left_data = next < 0 ? size : (uint64_t)next;
        off_t other = lseek(b, (off_t)at, SEEK_DATA);
        uint64_t right_data = other < 0 ? size : (uint64_t)other;
        at = left_data < right_data ? left_data : right_data;
        at -= at % 4096;
        if (at >= size)
            break;
        ssize_t n = fs_pread_full(a, x, CHUNK, at);
        assert_true(n > 0);
        if (fs_pread_full(b, y, CHUNK, at) != n || memcmp(x, y, (size_t)n) != 0)
            fail_msg("'%s' differs in content at %" PRIu64, path, at);
        for (ssize_t i = 0; i < n; i += 4096) {
            static const uint8_t zeros[4096];
            size_t len = n - i < 4096 ? (size_t)(n - i) : 4096;
            if (memcmp(x + i, zeros, len) != 0)
                full += 4096;
        }
        at += (uint64_t)n;
    }
    if (c->holes) {
        uint64_t data = tree_data_bytes(b, size), whole = (size + 4095) / 4096 * 4096;
        if (data > whole)
            data = whole;
        data = (data + 4095) / 4096 * 4096;
        if (data != full)
            fail_msg("'%s' has %" PRIu64 " bytes of data where %" PRIu64 " are not zero", path,
                     data, full);
    }
}

static inline void tree_compare_node(struct tree_compare *c, const char *path);

static inline void tree_compare_dir(struct tree_compare *c, const char *path)
{
    auto_strv struct strv a = { 0 }, b = { 0 };
    bool top = str_eq(path, ".");
    tree_names(c->left, path, top, &a);
    tree_names(c->right, path, top, &b);
    for (size_t i = 0; i < a.n || i < b.n; i++)
        if (i >= a.n || i >= b.n || !str_eq(a.v[i], b.v[i]))
            fail_msg("'%s' has '%s' and '%s'", path, i < a.n ? a.v[i] : "(nothing)",
                     i < b.n ? b.v[i] : "(nothing)");
    for (size_t i = 0; i < a.n; i++) {
        auto_free char *child = top ? mem_strdup(a.v[i]) : path_join(path, a.v[i]);
        tree_compare_node(c, child);
    }
}

static inline void tree_compare_node(struct tree_compare *c, const char *path)
{
    struct stat a, b;
    bool top = str_eq(path, ".");
    tree_stat(c->left, path, &a);
    tree_stat(c->right, path, &b);
    c->n++;
    if (a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid)
        fail_msg("'%s': mode %o %u:%u became %o %u:%u", path, a.st_mode, a.st_uid, a.st_gid,
                 b.st_mode, b.st_uid, b.st_gid);
    if (a.st_mtim.tv_sec != b.st_mtim.tv_sec || a.st_mtim.tv_nsec != b.st_mtim.tv_nsec)
        fail_msg("'%s': time %lld.%09ld became %lld.%09ld", path, (long long)a.st_mtim.tv_sec,
                 a.st_mtim.tv_nsec, (long long)b.st_mtim.tv_sec, b.st_mtim.tv_nsec);
    if (a.st_rdev != b.st_rdev)
        fail_msg("'%s': another device", path);
    if (!S_ISDIR(a.st_mode) && (a.st_nlink != b.st_nlink || a.st_size != b.st_size))
        fail_msg("'%s': %lu links, %lld bytes became %lu, %lld", path, (unsigned long)a.st_nlink,
                 (long long)a.st_size, (unsigned long)b.st_nlink, (long long)b.st_size);
    auto_free char *xa = tree_xattrs(c->left, path), *xb = tree_xattrs(c->right, path);
    if (!str_eq(xa, xb))
        fail_msg("'%s': attributes\n%s\nbecame\n%s", path, xa, xb);
    if (S_ISLNK(a.st_mode)) {
        char ta[4096] = { 0 }, tb[4096] = { 0 };
        auto_close int fa = tree_open(c->left, path, O_PATH),
                       fb = tree_open(c->right, path, O_PATH);
        assert_true(readlinkat(fa, "", ta, sizeof ta - 1) > 0);
        assert_true(readlinkat(fb, "", tb, sizeof tb - 1) > 0);
        assert_string_equal(ta, tb);
    }
    if (S_ISREG(a.st_mode))
        tree_compare_content(c, path, (uint64_t)a.st_size);
    if (S_ISDIR(a.st_mode))
        tree_compare_dir(c, path);
    (void)top;
}

/* Fails the test at the first difference; returns the number of nodes. */
static inline unsigned tree_assert_equal(const char *left, const char *right, bool holes)
{
    struct tree_compare c = { .left = left, .right = right, .holes = holes };
    tree_compare_node(&c, ".");
    return c.n;
}

#endif
