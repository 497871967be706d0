/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "runtime/plan/plan.h"

/* Who is trusted with an image's bytes. Only files of root itself show all of it. */

enum { SOMEBODY = 1234, NOBODY = 65534 };

struct files {
    char dir[32];
    struct plan_image image;
};

static int make(void **state)
{
    struct files *f = mem_zero(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/hpcc-image-XXXXXX");
    f->image = (struct plan_image)PLAN_IMAGE_INIT;
    if (!mkdtemp(f->dir))
        return -1;
    f->image.path = mem_printf("%s/image", f->dir);
    int fd = open(f->image.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 || fchmod(fd, 0644) < 0 || close(fd) < 0)
        return -1;
    f->image.fd = open(f->image.path, O_RDONLY | O_CLOEXEC);
    f->image.info.kind = IMAGE_EXT;
    *state = f;
    return f->image.fd < 0 ? -1 : 0;
}

static int drop(void **state)
{
    struct files *f = *state;
    (void)unlink(f->image.path);
    (void)rmdir(f->dir);
    plan_image_fini(&f->image);
    free(f);
    return 0;
}

static void judge(struct plan_image *i, uid_t uid, bool userns)
{
    auto_err struct err e = { 0 };
    i->drop_to_owner = false;
    assert_int_equal(plan_image_judge(i, uid, userns, &e), 0);
}

static void need_root(void)
{
    if (geteuid() != 0)
        skip();
}

static void a_users_image_is_read_by_our_own_reader(void **state)
{
    struct plan_image *i = &((struct files *)*state)->image;
    judge(i, SOMEBODY, true);
    assert_int_equal(i->by, PLAN_BY_FUSE);
    assert_false(i->drop_to_owner);
    assert_true(i->owner_uid == geteuid());
    assert_true(i->stat.st_ino != 0);
}

static void a_directory_is_bound_whoever_asks(void **state)
{
    struct plan_image *i = &((struct files *)*state)->image;
    i->info.kind = IMAGE_DIR;
    judge(i, 0, false);
    assert_int_equal(i->by, PLAN_BY_BIND);
    assert_false(i->drop_to_owner);
    judge(i, SOMEBODY, true);
    assert_int_equal(i->by, PLAN_BY_BIND);
}

static void the_kernel_reads_what_is_roots_alone(void **state)
{
    struct plan_image *i = &((struct files *)*state)->image;
    need_root();
    judge(i, 0, false);
    assert_int_equal(i->by, PLAN_BY_LOOP);
    assert_true(i->owner_uid == 0);
    judge(i, 0, true); /* no right to mount it in a user namespace, but nothing to fear */
    assert_int_equal(i->by, PLAN_BY_FUSE);
    assert_true(i->drop_to_owner);
    assert_true(i->owner_uid == 0);
}

static void root_reads_anothers_image_as_the_other(void **state)
{
    struct plan_image *i = &((struct files *)*state)->image;
    need_root();
    assert_int_equal(chown(i->path, SOMEBODY, SOMEBODY + 1), 0);
    judge(i, 0, false);
    assert_int_equal(i->by, PLAN_BY_FUSE);
    assert_true(i->drop_to_owner);
    assert_true(i->owner_uid == SOMEBODY && i->owner_gid == SOMEBODY + 1);
}

static void roots_image_that_others_may_write_is_read_as_nobody(void **state)
{
    struct plan_image *i = &((struct files *)*state)->image;
    const mode_t modes[] = { 0664, 0646 };
    need_root();
    for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
        assert_int_equal(chmod(i->path, modes[m]), 0);
        judge(i, 0, false);
        assert_int_equal(i->by, PLAN_BY_FUSE);
        assert_true(i->drop_to_owner);
        assert_true(i->owner_uid == NOBODY && i->owner_gid == NOBODY);
    }
}

static void an_old_descriptor_for_writing_keeps_the_kernel_away(void **state)
{
    struct plan_image *i = &((struct files *)*state)->image;
    need_root();
    int writer = open(i->path, O_WRONLY | O_CLOEXEC);
    assert_true(writer >= 0);
    judge(i, 0, false);
    close(writer);
    assert_int_equal(i->by, PLAN_BY_FUSE);
    assert_true(i->owner_uid == NOBODY);
}

static void what_is_opened_for_writing_is_the_file_that_was_judged(void **state)
{
    struct plan_image *i = &((struct files *)*state)->image;
    auto_err struct err e = { 0 };
    judge(i, geteuid(), false);
    assert_int_equal(plan_image_reopen_writable(i, &e), 0);
    assert_int_equal(fcntl(i->fd, F_GETFL) & O_ACCMODE, O_RDWR);

    int old = i->fd;
    assert_int_equal(unlink(i->path), 0); /* the old inode is held, so its number is not reused */
    int fd = open(i->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(plan_image_reopen_writable(i, &e), -1);
    assert_non_null(strstr(e.msg, "was replaced just now"));
    assert_int_equal(i->fd, old);
}

static void a_merge_changes_the_image_or_the_uppermost_layer(void **state)
{
    struct plan_image layers[2] = { PLAN_IMAGE_INIT, PLAN_IMAGE_INIT };
    struct runtime_plan p = { .layers = layers, .n_layers = 2, .merge = PLAN_MERGE_IMAGE };
    (void)state;
    assert_ptr_equal(plan_merge_target(&p), &p.image);
    p.merge = PLAN_MERGE_LAYER;
    assert_ptr_equal(plan_merge_target(&p), &layers[1]);
}

#define WITH_FILE(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FILE(a_users_image_is_read_by_our_own_reader),
        WITH_FILE(a_directory_is_bound_whoever_asks),
        WITH_FILE(the_kernel_reads_what_is_roots_alone),
        WITH_FILE(root_reads_anothers_image_as_the_other),
        WITH_FILE(roots_image_that_others_may_write_is_read_as_nobody),
        WITH_FILE(an_old_descriptor_for_writing_keeps_the_kernel_away),
        WITH_FILE(what_is_opened_for_writing_is_the_file_that_was_judged),
        cmocka_unit_test(a_merge_changes_the_image_or_the_uppermost_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
