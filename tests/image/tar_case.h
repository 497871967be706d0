/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_IMAGE_TAR_CASE_H
#define TESTS_IMAGE_TAR_CASE_H

/* What the tests of the tar importer share: an archive in memory, the tree it gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "image/tar/tar.h"
#include "tests/image/tar_make.h"

static int spill_fd = -1;

static inline int open_spill(void **state)
{
    (void)state;
    spill_fd = memfd_create("spill", MFD_CLOEXEC);
    return spill_fd < 0 ? -1 : 0;
}

static inline int close_spill(void **state)
{
    (void)state;
    return close(spill_fd);
}

static inline struct source *import_limited(const struct str *tar, uint64_t max_bytes,
                                            uint32_t max_nodes, struct err *e)
{
    assert_int_equal(ftruncate(spill_fd, 0), 0);
    struct tar_input in = {
        .fd = -1,
        .data = str_text(tar),
        .data_len = tar->len,
        .spill_fd = spill_fd,
        .max_bytes = max_bytes,
        .max_nodes = max_nodes,
    };
    return source_from_tar(&in, e);
}

static inline struct source *import(struct str *tar, struct err *e)
{
    tar_end(tar);
    return import_limited(tar, 1 << 30, 100000, e);
}

/* "path[=content|->target] …" of the whole tree. */
static inline char *listing(struct source *s)
{
    struct str out = { 0 };
    source_sort(s);
    for (struct source_node *n = source_next(s->root, false); n; n = source_next(n, false)) {
        auto_free char *path = source_path(n);
        struct source_node *f = source_file(n);
        str_addf(&out, "%s%s", out.len ? " " : "", path);
        if (S_ISLNK(f->mode))
            str_addf(&out, "->%s", f->target);
        if (S_ISREG(f->mode) && f->size) {
            char buf[64];
            ssize_t len = s->ops->read(s->ctx, f, buf, sizeof buf, 0, NULL);
            assert_true(len >= 0);
            str_add_c(&out, '=');
            str_add_n(&out, buf, (size_t)len);
        }
    }
    if (!out.data)
        str_add(&out, "");
    return str_steal(&out);
}

static inline void assert_tree(struct str *tar, const char *want)
{
    auto_err struct err e = { 0 };
    auto_source struct source *s = import(tar, &e);
    assert_null(e.msg);
    assert_non_null(s);
    auto_free char *text = listing(s);
    assert_string_equal(text, want);
    str_free(tar);
}

static inline void assert_refused(struct str *tar, const char *words)
{
    auto_err struct err e = { 0 };
    assert_null(import(tar, &e));
    assert_int_equal(e.code, ERR_INPUT);
    if (!strstr(e.msg, words))
        assert_string_equal(e.msg, words);
    str_free(tar);
}

static inline void file(struct str *tar, const char *name, const char *data)
{
    tar_entry(tar, &(struct entry){ name, '0', .data = data });
}

static inline void dir(struct str *tar, const char *name)
{
    tar_entry(tar, &(struct entry){ name, '5', .mode = 0755 });
}

static inline void lnk(struct str *tar, const char *name, char type, const char *target)
{
    tar_entry(tar, &(struct entry){ name, type, .link = target });
}

#endif
