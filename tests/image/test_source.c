/* SPDX-License-Identifier: BSD-3-Clause */
#include "image/tree/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"

static struct source_node *add(struct source *s, struct source_node *dir, const char *name,
                               uint32_t mode)
{
    return source_add(s, dir, name, strlen(name), mode, NULL);
}

static char *walk(struct source *s)
{
    struct str out = { 0 };
    source_sort(s);
    for (struct source_node *n = s->root; n; n = source_next(n, false)) {
        auto_free char *path = source_path(n);
        str_addf(&out, "%s ", path);
    }
    return str_steal(&out);
}

static void walk_is_in_byte_order_whatever_the_order_of_adding(void **state)
{
    (void)state;
    auto_source struct source *s = source_new(NULL, NULL);
    struct source_node *b = add(s, s->root, "b", S_IFDIR | 0755);
    add(s, s->root, "a", S_IFREG);
    add(s, b, "\xc3\xa4", S_IFREG);
    add(s, b, "Z", S_IFREG);
    add(s, s->root, "c", S_IFDIR);
    auto_free char *text = walk(s);
    assert_string_equal(text, "/ /a /b /b/Z /b/\xc3\xa4 /c ");
}

static void names_that_cannot_be_are_refused(void **state)
{
    (void)state;
    auto_source struct source *s = source_new(NULL, NULL);
    struct source_node *file = add(s, s->root, "file", S_IFREG);
    assert_null(add(s, s->root, "", S_IFREG));
    assert_null(add(s, s->root, ".", S_IFDIR));
    assert_null(add(s, s->root, "..", S_IFDIR));
    assert_null(add(s, s->root, "a/b", S_IFREG));
    assert_null(source_add(s, s->root, "a\0b", 3, S_IFREG, NULL));
    assert_null(add(s, s->root, "file", S_IFREG));
    assert_null(add(s, file, "below", S_IFREG));
    auto_free char *longest = mem_printf("%0255d", 0);
    auto_free char *longer = mem_printf("%0256d", 0);
    assert_non_null(add(s, s->root, longest, S_IFREG));
    auto_err struct err e = { 0 };
    assert_null(source_add(s, s->root, longer, 256, S_IFREG, &e));
    assert_int_equal(e.code, ERR_INPUT);
    assert_non_null(add(s, s->root, "...", S_IFREG));
}

static void depth_is_bounded(void **state)
{
    (void)state;
    auto_source struct source *s = source_new(NULL, NULL);
    struct source_node *n = s->root;
    for (unsigned i = 0; i < SOURCE_DEPTH_MAX; i++) {
        n = add(s, n, "d", S_IFDIR);
        assert_non_null(n);
    }
    assert_non_null(add(s, n, "file", S_IFREG));
    assert_null(add(s, n, "d", S_IFDIR));
}

static void many_names_are_found_again(void **state)
{
    (void)state;
    auto_source struct source *s = source_new(NULL, NULL);
    for (int i = 0; i < 20000; i++) {
        auto_free char *name = mem_printf("n%d", i);
        assert_non_null(add(s, s->root, name, S_IFREG));
    }
    for (int i = 0; i < 20000; i += 2) {
        auto_free char *name = mem_printf("n%d", i);
        source_remove(s, source_find(s, s->root, name, strlen(name)));
    }
    assert_int_equal(s->n_nodes, 10001);
    for (int i = 0; i < 20000; i++) {
        auto_free char *name = mem_printf("n%d", i);
        struct source_node *n = source_find(s, s->root, name, strlen(name));
        assert_int_equal(n != NULL, i % 2);
    }
}

static void a_file_outlives_its_first_name(void **state)
{
    (void)state;
    auto_source struct source *s = source_new(NULL, NULL);
    struct source_node *a = add(s, s->root, "a", S_IFREG | 0640);
    struct source_node *b = add(s, s->root, "b", S_IFREG), *c = add(s, s->root, "c", S_IFREG);
    a->size = 7;
    a->data = 42;
    assert_int_equal(source_xattr_set(a, "user.x", "1", 1, NULL), 0);
    assert_int_equal(source_link(b, a, NULL), 0);
    assert_int_equal(source_link(c, b, NULL), 0);
    assert_int_equal(a->n_names, 3);
    source_remove(s, a);
    struct source_node *file = source_file(b);
    assert_ptr_equal(file, source_file(c));
    assert_int_equal(file->n_names, 2);
    assert_int_equal(file->size, 7);
    assert_int_equal(file->data, 42);
    assert_int_equal(file->n_xattrs, 1);
    assert_int_equal(file->mode, S_IFREG | 0640);
    source_remove(s, file);
    struct source_node *rest = source_find(s, s->root, "b", 1);
    if (!rest)
        rest = source_find(s, s->root, "c", 1);
    assert_null(rest->link);
    assert_null(rest->next_name);
    assert_int_equal(rest->n_names, 1);
}

static void hard_links_to_directories_and_to_oneself_are_refused(void **state)
{
    (void)state;
    auto_source struct source *s = source_new(NULL, NULL);
    struct source_node *d = add(s, s->root, "d", S_IFDIR), *n = add(s, s->root, "n", S_IFREG);
    assert_int_equal(source_link(n, d, NULL), -1);
    assert_int_equal(source_link(n, n, NULL), -1);
}

static void removing_a_directory_takes_all_below(void **state)
{
    (void)state;
    auto_source struct source *s = source_new(NULL, NULL);
    struct source_node *d = add(s, s->root, "d", S_IFDIR), *dd = add(s, d, "e", S_IFDIR);
    struct source_node *deep = add(s, dd, "f", S_IFREG), *keep = add(s, s->root, "k", S_IFREG);
    assert_int_equal(source_link(keep, deep, NULL), 0);
    add(s, d, "g", S_IFREG);
    source_remove(s, d);
    assert_null(keep->link);
    assert_int_equal(keep->n_names, 1);
    auto_free char *text = walk(s);
    assert_string_equal(text, "/ /k ");
    assert_int_equal(s->n_nodes, 2);
}

static void xattrs_are_sorted_and_bounded(void **state)
{
    (void)state;
    auto_source struct source *s = source_new(NULL, NULL);
    struct source_node *n = s->root;
    static char big[SOURCE_XATTR_MAX];
    assert_int_equal(source_xattr_set(n, "user.b", "2", 1, NULL), 0);
    assert_int_equal(source_xattr_set(n, "user.c", "3", 1, NULL), 0);
    assert_int_equal(source_xattr_set(n, "user.a", "", 0, NULL), 0);
    assert_int_equal(source_xattr_set(n, "user.b", "22", 2, NULL), 0);
    assert_int_equal(n->n_xattrs, 3);
    assert_string_equal(n->xattrs[0].name, "user.a");
    assert_string_equal(n->xattrs[1].name, "user.b");
    assert_int_equal(n->xattrs[1].len, 2);
    assert_string_equal(n->xattrs[2].name, "user.c");
    assert_int_equal(source_xattr_set(n, "user.d", big, sizeof big, NULL), -1);
    assert_int_equal(n->n_xattrs, 3);
}

static void a_directory_that_tells_a_name_twice_is_refused(void **state)
{
    (void)state;
    auto_err struct err e = { 0 };
    auto_source struct source *s = source_new(NULL, NULL);
    static const char *const names[] = { "b", "c", "a" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_non_null(source_append(s, s->root, names[i], 1, S_IFREG, &e));
    assert_int_equal(source_sort_dir(s->root, &e), 0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(s->root->children[i]->name[0], 'a' + (int)i);
        assert_int_equal(s->root->children[i]->index, i);
    }
    assert_non_null(source_find(s, s->root, "b", 1)); /* the table is made when it is asked for */
    assert_null(source_find(s, s->root, "d", 1));
    assert_null(source_add(s, s->root, "c", 1, S_IFREG, &e));
    assert_string_equal(e.msg, "'/c' is there twice");
    assert_non_null(source_append(s, s->root, "b", 1, S_IFREG, &e));
    assert_int_equal(source_sort_dir(s->root, &e), -1);
    assert_string_equal(e.msg, "'/b' is there twice");
    assert_int_equal(e.code, ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walk_is_in_byte_order_whatever_the_order_of_adding),
        cmocka_unit_test(names_that_cannot_be_are_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(many_names_are_found_again),
        cmocka_unit_test(a_file_outlives_its_first_name),
        cmocka_unit_test(hard_links_to_directories_and_to_oneself_are_refused),
        cmocka_unit_test(removing_a_directory_takes_all_below),
        cmocka_unit_test(xattrs_are_sorted_and_bounded),
        cmocka_unit_test(a_directory_that_tells_a_name_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
