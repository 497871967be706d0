/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "jail/jail.h"
#include "runtime/plan/plan.h"

/* A host of paper: these paths exist, nothing else. */
static int look(void *ctx, const char *path)
{
    static const char *const dirs[] = { "/tmp",      "/var/tmp",     "/home/ana", "/home/ana/run",
                                        "/scratch",  "/data",        "/wdir",     "/scratch2",
                                        "/wdir/tmp", "/wdir/var_tmp" };
    static const char *const files[] = { "/etc/resolv.conf", "/etc/hosts", "/etc/localtime",
                                         "/data/file" };
    (void)ctx;
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        if (str_eq(path, dirs[i]))
            return 'd';
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (str_eq(path, files[i]))
            return 'f';
    return 0;
}

static struct plan_host ana(void)
{
    return (struct plan_host){ .uid = 1000,
                               .gid = 1000,
                               .user = "ana",
                               .home = "/home/ana",
                               .shell = "/bin/bash",
                               .gecos = "Ana",
                               .group = "ana",
                               .cwd = "/home/ana/run",
                               .look = look };
}

static struct runtime_plan *paper_image(enum plan_by by)
{
    struct runtime_plan *p = mem_zero(1, sizeof *p);
    p->image = (struct plan_image)PLAN_IMAGE_INIT;
    p->stage_parent_fd = p->stage_fd = -1;
    p->image.path = mem_strdup("/images/demo.img");
    p->image.by = by;
    return p;
}

static void add_layer(struct runtime_plan *p, struct plan_image l)
{
    p->layers = mem_grow(p->layers, p->n_layers, sizeof *p->layers);
    l.fd = -1;
    l.path = mem_strdup(l.path);
    p->layers[p->n_layers++] = l;
}

static struct runtime_plan *plan(const struct runtime_spec *spec, const struct plan_host *host,
                                 struct err *e)
{
    auto_runtime_plan struct runtime_plan *p = paper_image(host->uid ? PLAN_BY_FUSE : PLAN_BY_LOOP);
    return plan_build(p, spec, host, e) < 0 ? NULL : steal_ptr(p);
}

/* Compare with tests/runtime/plans/NAME; HPCC_UPDATE=1 writes it anew. */
static void same_as_golden(const char *name, const struct runtime_plan *p)
{
    auto_err struct err e = { 0 };
    auto_free char *text = runtime_plan_text(p);
    const char *source = getenv("HPCC_SOURCE_DIR");
    auto_free char *path = mem_printf("%s/tests/runtime/plans/%s", source ? source : ".", name);
    if (getenv("HPCC_UPDATE")) {
        FILE *f = fopen(path, "we");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
    }
    auto_str struct str want = { 0 };
    assert_int_equal(fs_read_file(path, 1 << 20, &want, &e), 0);
    assert_string_equal(text, str_text(&want));
}

static void expect_golden(const char *name, const struct runtime_spec *spec,
                          const struct plan_host *host)
{
    auto_err struct err e = { 0 };
    auto_runtime_plan struct runtime_plan *p = plan(spec, host, &e);
    assert_non_null(p);
    same_as_golden(name, p);
}

static const char *const true_argv[] = { "true", NULL };

static void a_user_sees_the_host_by_default(void **state)
{
    (void)state;
    struct plan_host host = ana();
    const char *const envp[] = { "TERM=xterm", "LD_PRELOAD=/x.so", "PYTHONPATH=/p", NULL };
    struct runtime_spec spec = { .action = RUNTIME_EXEC, .argv = true_argv, .envp = envp };
    expect_golden("user-default.txt", &spec, &host);
}

static void contain_shows_nothing_of_the_host(void **state)
{
    (void)state;
    struct plan_host host = ana();
    const char *const set[] = { "A=1", NULL };
    struct runtime_spec spec = {
        .action = RUNTIME_RUN,
        .env_set = set,
        .flags = RUNTIME_CONTAIN | RUNTIME_CLEANENV | RUNTIME_PID_NS | RUNTIME_IPC_NS,
    };
    expect_golden("user-containall.txt", &spec, &host);
}

static void roots_binds_come_sorted_by_depth(void **state)
{
    (void)state;
    struct plan_host host = ana();
    host.uid = host.gid = 0;
    host.user = host.group = "root";
    host.cwd = "/scratch";
    struct runtime_bind binds[] = {
        { .src = (char[]){ "/data/file" }, .dst = (char[]){ "/a/b/c/file" } },
        { .src = (char[]){ "/data" }, .dst = (char[]){ "/a/../a//b" }, .read_only = true },
    };
    struct runtime_spec spec = { .action = RUNTIME_TEST, .binds = binds, .n_binds = 2 };
    auto_runtime_plan struct runtime_plan *p = paper_image(PLAN_BY_LOOP);
    add_layer(p, (struct plan_image){ .path = (char[]){ "/wdir" }, .writable = true });
    assert_int_equal(plan_build(p, &spec, &host, NULL), 0);
    assert_false(p->two_userns);
    same_as_golden("root-binds.txt", p);
}

static void layers_are_shown_from_the_lowest_to_the_uppermost(void **state)
{
    (void)state;
    struct plan_host host = ana();
    struct runtime_spec spec = { .action = RUNTIME_EXEC, .argv = true_argv };
    auto_runtime_plan struct runtime_plan *p = paper_image(PLAN_BY_FUSE);
    add_layer(p, (struct plan_image){ .path = (char[]){ "/tools" } });
    add_layer(p, (struct plan_image){
                     .path = (char[]){ "/mine.img" }, .by = PLAN_BY_FUSE, .writable = true });
    p->merge = PLAN_MERGE_LAYER;
    p->stage_parent = mem_strdup("/data");
    assert_int_equal(plan_build(p, &spec, &host, NULL), 0);
    assert_true(p->two_userns);
    same_as_golden("user-layers.txt", p);
}

/* All that was started has to be over before its writes are merged. */
static void a_merge_has_a_pid_namespace_with_an_init(void **state)
{
    (void)state;
    struct plan_host host = ana();
    struct runtime_spec spec = { .action = RUNTIME_EXEC,
                                 .argv = true_argv,
                                 .flags = RUNTIME_WRITABLE | RUNTIME_NO_INIT };
    auto_runtime_plan struct runtime_plan *p = paper_image(PLAN_BY_FUSE);
    p->merge = PLAN_MERGE_IMAGE;
    p->stage_parent = mem_strdup("/data");
    assert_int_equal(plan_build(p, &spec, &host, NULL), 0);
    assert_int_equal(p->flags & (RUNTIME_PID_NS | RUNTIME_NO_INIT), RUNTIME_PID_NS);
}

static void refuse_layers(struct runtime_plan *p, unsigned flags, const char *msg)
{
    auto_err struct err e = { 0 };
    struct plan_host host = ana();
    struct runtime_spec spec = { .action = RUNTIME_RUN, .flags = flags };
    assert_int_equal(plan_build(p, &spec, &host, &e), -1);
    assert_int_equal(e.code, ERR_USAGE);
    assert_string_equal(e.msg, msg);
}

static void layers_and_other_ways_to_write_exclude_each_other(void **state)
{
    (void)state;
    auto_runtime_plan struct runtime_plan *p = paper_image(PLAN_BY_FUSE);
    add_layer(p, (struct plan_image){ .path = (char[]){ "/wdir" }, .writable = true });
    refuse_layers(p, RUNTIME_WRITABLE, "--writable cannot go together with an overlay");
    refuse_layers(p, RUNTIME_WRITABLE_TMPFS,
                  "--overlay and --writable-tmpfs are two ways to do one thing");
    auto_runtime_plan struct runtime_plan *read_only = paper_image(PLAN_BY_FUSE);
    add_layer(read_only, (struct plan_image){ .path = (char[]){ "/wdir" } });
    struct plan_host host = ana();
    struct runtime_spec spec = { .action = RUNTIME_RUN, .flags = RUNTIME_WRITABLE_TMPFS };
    assert_int_equal(plan_build(read_only, &spec, &host, NULL), 0);
}

static const struct plan_op *op_at(const struct runtime_plan *p, const char *dst)
{
    for (size_t i = 0; i < p->n_ops; i++)
        if (str_eq(p->ops[i].dst, dst))
            return &p->ops[i];
    return NULL;
}

static void the_working_directory_is_bound_unless_it_is_seen_already(void **state)
{
    (void)state;
    struct plan_host host = ana();
    struct runtime_spec spec = { .action = RUNTIME_EXEC, .argv = true_argv };
    auto_runtime_plan struct runtime_plan *in_home = plan(&spec, &host, NULL);
    assert_null(op_at(in_home, "/home/ana/run"));
    assert_string_equal(in_home->cwd, "/home/ana/run");
    host.cwd = "/scratch2";
    auto_runtime_plan struct runtime_plan *elsewhere = plan(&spec, &host, NULL);
    assert_non_null(op_at(elsewhere, "/scratch2"));
    host.cwd = "/etc";
    auto_runtime_plan struct runtime_plan *in_etc = plan(&spec, &host, NULL);
    assert_null(op_at(in_etc, "/etc"));
    host.cwd = NULL;
    auto_runtime_plan struct runtime_plan *gone = plan(&spec, &host, NULL);
    assert_string_equal(gone->cwd, "/home/ana");
}

static void a_bind_hides_the_working_directory_only_by_whole_components(void **state)
{
    (void)state;
    struct plan_host host = ana();
    host.cwd = "/scratch2";
    struct runtime_bind bind = { .src = (char[]){ "/scratch" }, .dst = (char[]){ "/scratch" } };
    struct runtime_spec spec = {
        .action = RUNTIME_EXEC, .argv = true_argv, .binds = &bind, .n_binds = 1
    };
    auto_runtime_plan struct runtime_plan *p = plan(&spec, &host, NULL);
    assert_non_null(op_at(p, "/scratch2"));
}

static void refuse(const struct runtime_spec *spec, enum err_code code, const char *msg)
{
    auto_err struct err e = { 0 };
    struct plan_host host = ana();
    assert_null(plan(spec, &host, &e));
    assert_int_equal(e.code, code);
    assert_string_equal(e.msg, msg);
}

static void what_cannot_work_is_refused_on_paper(void **state)
{
    (void)state;
    struct runtime_bind gone = { .src = (char[]){ "/gone" }, .dst = (char[]){ "/x" } };
    struct runtime_bind root = { .src = (char[]){ "/data" }, .dst = (char[]){ "/a/../" } };
    const char *const scratch[] = { "/../", NULL };
    struct runtime_spec spec = { .action = RUNTIME_RUN, .binds = &gone, .n_binds = 1 };
    refuse(&spec, ERR_INPUT, "cannot bind '/gone': there is no such file or directory on the host");
    spec.binds = &root;
    refuse(&spec, ERR_INPUT, "cannot bind '/data' onto the container's '/'");
    spec = (struct runtime_spec){ .action = RUNTIME_EXEC };
    refuse(&spec, ERR_USAGE, "hpcc exec: no command given");
    spec = (struct runtime_spec){ .flags = RUNTIME_WRITABLE | RUNTIME_WRITABLE_TMPFS };
    refuse(&spec, ERR_USAGE, "--writable cannot go together with an overlay");
    spec = (struct runtime_spec){ .home_src = "/gone" };
    refuse(&spec, ERR_INPUT, "--home: there is no directory '/gone'");
    spec = (struct runtime_spec){ .scratch = scratch };
    refuse(&spec, ERR_USAGE, "--scratch cannot be '/'");
}

static void what_breaks_containers_is_dropped(void **state)
{
    (void)state;
    static const char *const gone[] = { "LD_LIBRARY_PATH", "LD_PRELOAD",    "PYTHONPATH",
                                        "PERL5LIB",        "R_LIBS_USER",   "BASH_FUNC_module%%",
                                        "MODULEPATH",      "LMOD_CMD",      "SINGULARITY_BIND",
                                        "APPTAINERENV_X",  "HPCC_ANYTHING", "PATH" };
    static const char *const kept[] = { "TERM",    "SLURM_JOB_ID", "OMP_NUM_THREADS", "PMI_FD",
                                        "DISPLAY", "LDX",          "PYTHON",          "TMPDIR" };
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        assert_non_null(plan_env_dropped(gone[i], 0));
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        assert_null(plan_env_dropped(kept[i], 0));
    assert_non_null(plan_env_dropped("SLURM_JOB_ID", RUNTIME_CLEANENV));
    assert_null(plan_env_dropped("https_proxy", RUNTIME_CLEANENV));
}

static void an_images_name_cannot_run_code_in_the_prompt(void **state)
{
    (void)state;
    struct plan_host host = ana();
    auto_runtime_plan struct runtime_plan *p = paper_image(PLAN_BY_FUSE);
    struct runtime_spec spec = { .action = RUNTIME_SHELL };
    free(p->image.path);
    p->image.path = mem_strdup("/x/$(touch pwn)`id`\\.img");
    assert_int_equal(plan_build(p, &spec, &host, NULL), 0);
    assert_string_equal(strv_env_get(&p->env, "PS1"), "hpcc __touch_pwn__id__.img> ");
}

static void accounts_are_found_by_name_and_number(void **state)
{
    (void)state;
    const char *text = "root:x:0:0::/root:/bin/sh\nana:x:1000:1000::/:/bin/sh\nlast:x:7";
    assert_true(plan_accounts_have(text, NULL, 0));
    assert_true(plan_accounts_have(text, NULL, 1000));
    assert_true(plan_accounts_have(text, NULL, 7));
    assert_true(plan_accounts_have(text, "ana", 5));
    assert_false(plan_accounts_have(text, NULL, 100));
    assert_false(plan_accounts_have(text, "an", 5));
    assert_false(plan_accounts_have("", NULL, 0));
    assert_false(plan_accounts_have("0:0\n:::\n", NULL, 0));
}

static void mountinfo_lines_are_understood(void **state)
{
    (void)state;
    struct mountinfo mi;
    char line[] =
        "36 35 98:0 /mnt1 /mnt\\0402 ro,nosuid,noatime master:1 - ext3 /dev/root rw,errors=x";
    assert_int_equal(mountinfo_line(line, &mi), 0);
    assert_int_equal(mi.id, 36);
    assert_int_equal(mi.parent, 35);
    assert_string_equal(mi.mount_point, "/mnt 2");
    assert_string_equal(mi.type, "ext3");
    assert_string_equal(mi.super_options, "rw,errors=x");
    assert_int_equal(mountinfo_line((char[]){ "junk" }, &mi), -1);
    assert_int_equal(mountinfo_line((char[]){ "1 2 - x" }, &mi), -1);
    assert_int_equal(mountinfo_line((char[]){ "" }, &mi), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_sees_the_host_by_default),
        cmocka_unit_test(contain_shows_nothing_of_the_host),
        cmocka_unit_test(roots_binds_come_sorted_by_depth),
        cmocka_unit_test(layers_are_shown_from_the_lowest_to_the_uppermost),
        cmocka_unit_test(a_merge_has_a_pid_namespace_with_an_init),
        cmocka_unit_test(layers_and_other_ways_to_write_exclude_each_other),
        cmocka_unit_test(the_working_directory_is_bound_unless_it_is_seen_already),
        cmocka_unit_test(a_bind_hides_the_working_directory_only_by_whole_components),
        cmocka_unit_test(what_cannot_work_is_refused_on_paper),
        cmocka_unit_test(what_breaks_containers_is_dropped),
        cmocka_unit_test(an_images_name_cannot_run_code_in_the_prompt),
        cmocka_unit_test(accounts_are_found_by_name_and_number),
        cmocka_unit_test(mountinfo_lines_are_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
