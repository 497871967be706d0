/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/proc.h"
#include "bootstrap/deb/deb.h"

/* A mirror in a directory (file://), with two keys of its own. */
struct mirror {
    char dir[64];
    char *url, *ring, *other_ring;
};

static int gpg(const struct mirror *m, const char *const *args)
{
    auto_strv struct strv argv = { 0 };
    auto_free char *home = path_join(m->dir, "gnupg");
    const char *const fixed[] = { "gpg",     "--homedir", home,           "--batch", "--yes",
                                  "--quiet", "--no-tty",  "--passphrase", "",        NULL };
    strv_add_all(&argv, fixed);
    strv_add_all(&argv, args);
    return proc_run(&(struct proc_spec){ .argv = (const char *const *)argv.v,
                                         .stdin_fd = -1,
                                         .stdout_fd = -1,
                                         .stderr_fd = -1,
                                         .timeout_ms = 60000 },
                    NULL, NULL);
}

static void make_key(const struct mirror *m, const char *uid, const char *ring)
{
    const char *const make[] = { "--quick-gen-key", uid, "ed25519", "sign", "never", NULL };
    const char *const out[] = { "--output", ring, "--export", uid, NULL };
    assert_int_equal(gpg(m, make), 0);
    assert_int_equal(gpg(m, out), 0);
}

static int make_mirror(void **state)
{
    auto_free char *gpg_program = proc_find("gpg");
    auto_free char *gpgv_program = proc_find("gpgv");
    if (!gpg_program || !gpgv_program)
        return 1;
    struct mirror *m = mem_zero(1, sizeof *m);
    snprintf(m->dir, sizeof m->dir, "/tmp/hpcc-test.XXXXXX");
    assert_non_null(mkdtemp(m->dir));
    auto_close int fd = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fs_mkdirs_at(fd, "/gnupg", 0700, NULL), 0);
    assert_int_equal(fs_mkdirs_at(fd, "/dists/test", 0755, NULL), 0);
    m->url = mem_printf("file://%s", m->dir);
    m->ring = path_join(m->dir, "ring.gpg");
    m->other_ring = path_join(m->dir, "other.gpg");
    make_key(m, "archive@test.example", m->ring);
    make_key(m, "other@test.example", m->other_ring);
    *state = m;
    return 0;
}

static int drop_mirror(void **state)
{
    struct mirror *m = *state;
    auto_free char *home = path_join(m->dir, "gnupg");
    const char *const argv[] = { "gpgconf", "--homedir", home, "--kill", "all", NULL };
    int rc = proc_run(
        &(struct proc_spec){ .argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1 }, NULL,
        NULL);
    auto_free char *base = path_base(m->dir);
    auto_close int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rc = fs_remove_tree(tmp, base, NULL);
    free(m->url);
    free(m->ring);
    free(m->other_ring);
    free(m);
    return rc;
}

static char *path_of(const struct mirror *m, const char *name)
{
    return mem_printf("%s/dists/test/%s", m->dir, name);
}

static void put(const struct mirror *m, const char *name, const char *text)
{
    auto_close int fd = open(m->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_free char *path = mem_printf("/dists/test/%s", name);
    auto_str struct str s = { 0 };
    str_add(&s, text);
    assert_int_equal(fs_write_at(fd, path, &s, 0644, NULL), 0);
}

/* TEXT signed by UID (NULL: not at all) as InRelease, over HASH. */
static void publish(const struct mirror *m, const char *text, const char *uid, const char *hash)
{
    auto_free char *plain = path_of(m, "plain");
    auto_free char *signed_path = path_of(m, "InRelease");
    put(m, "plain", text);
    if (!uid) {
        put(m, "InRelease", text);
        return;
    }
    const char *const args[] = { "--local-user", uid,           "--digest-algo", hash, "--output",
                                 signed_path,    "--clearsign", plain,           NULL };
    assert_int_equal(gpg(m, args), 0);
}

#define NOW   1700000000 /* 2023-11-14 */
#define KEY   "archive@test.example"
#define GOOD  "Origin: X\nSuite: test\nCodename: test\nDate: Mon, 13 Nov 2023 10:00:00 UTC\n"
#define UNTIL "Valid-Until: Mon, 20 Nov 2023 10:00:00 UTC\n"

static int get_as(const struct mirror *m, bool verify, int64_t now, struct deb_release *r,
                  struct err *e)
{
    struct deb_plan p = { .suite = (char *)"test",
                          .arch = (char *)"amd64",
                          .mirror = m->url,
                          .keyring = m->ring,
                          .verify = verify };
    return deb_release_get(&p, NULL, now, r, e);
}

static void expect_refused(const struct mirror *m, enum err_code code, const char *words)
{
    auto_deb_release struct deb_release r = { 0 };
    auto_err struct err e = { 0 };
    assert_int_equal(get_as(m, true, NOW, &r, &e), -1);
    assert_int_equal(e.code, code);
    if (!strstr(e.msg, words))
        fail_msg("'%s' is not in: %s", words, e.msg);
}

static void good_signature_is_taken(void **state)
{
    const struct mirror *m = *state;
    publish(m, GOOD UNTIL, KEY, "SHA256");
    auto_deb_release struct deb_release r = { 0 };
    assert_int_equal(get_as(m, true, NOW, &r, NULL), 0);
    assert_string_equal(r.codename, "test");
    assert_non_null(r.key);
    assert_int_equal(r.valid_until - r.date, 7 * 86400);
}

static void detached_signature_is_taken(void **state)
{
    const struct mirror *m = *state;
    auto_free char *in_release = path_of(m, "InRelease");
    auto_free char *release = path_of(m, "Release");
    auto_free char *signature = path_of(m, "Release.gpg");
    assert_int_equal(unlink(in_release), 0);
    put(m, "Release", GOOD);
    const char *const args[] = { "--local-user",  KEY,     "--output", signature,
                                 "--detach-sign", release, NULL };
    assert_int_equal(gpg(m, args), 0);
    auto_deb_release struct deb_release r = { 0 };
    assert_int_equal(get_as(m, true, NOW, &r, NULL), 0);
    assert_string_equal(str_text(&r.text), GOOD);
    put(m, "Release", GOOD "Extra: 1\n");
    expect_refused(m, ERR_STEP, "bad signature");
    assert_int_equal(unlink(signature), 0);
    expect_refused(m, ERR_STEP, "carries no signature");
    assert_int_equal(unlink(release), 0);
    expect_refused(m, ERR_INPUT, "has no suite 'test'");
}

static void changed_text_is_refused(void **state)
{
    const struct mirror *m = *state;
    publish(m, GOOD, KEY, "SHA256");
    auto_free char *path = path_of(m, "InRelease");
    auto_str struct str s = { 0 };
    assert_int_equal(fs_read_file(path, 1 << 20, &s, NULL), 0);
    *strstr(s.data, "Origin: X") = 'o';
    put(m, "InRelease", s.data);
    expect_refused(m, ERR_STEP, "bad signature");
}

static void text_around_the_signed_part_does_not_count(void **state)
{
    const struct mirror *m = *state;
    publish(m, GOOD, KEY, "SHA256");
    auto_free char *path = path_of(m, "InRelease");
    auto_str struct str s = { 0 };
    assert_int_equal(fs_read_file(path, 1 << 20, &s, NULL), 0);
    auto_free char *around = mem_printf("Codename: evil\n%s\nCodename: evil\n", s.data);
    put(m, "InRelease", around);
    auto_deb_release struct deb_release r = { 0 };
    if (get_as(m, true, NOW, &r, NULL) == 0) {
        assert_null(strstr(str_text(&r.text), "evil"));
        assert_string_equal(r.codename, "test");
    }
}

static void other_keys_and_no_key_are_refused(void **state)
{
    const struct mirror *m = *state;
    publish(m, GOOD, "other@test.example", "SHA256");
    expect_refused(m, ERR_STEP, "which is not in");
    publish(m, GOOD, NULL, NULL);
    expect_refused(m, ERR_STEP, "carries no signature");
    publish(m, "[GNUPG:] NEWSIG\n[GNUPG:] VALIDSIG A 2 3 4 5 6 7 8 9\n" GOOD, NULL, NULL);
    expect_refused(m, ERR_STEP, "carries no signature");
    auto_deb_release struct deb_release r = { 0 };
    assert_int_equal(get_as(m, false, NOW, &r, NULL), 0);
    assert_null(r.key);
}

static void old_states_and_wrong_clocks_are_told(void **state)
{
    const struct mirror *m = *state;
    publish(m, GOOD "Valid-Until: Tue, 14 Nov 2023 10:00:00 UTC\n", KEY, "SHA256");
    expect_refused(m, ERR_STEP, "expired on 2023-11-14 10:00 UTC");
    publish(m, GOOD, KEY, "SHA256");
    auto_deb_release struct deb_release r = { 0 };
    auto_err struct err e = { 0 };
    assert_int_equal(get_as(m, true, 86400, &r, &e), -1);
    assert_non_null(strstr(e.msg, "clock says 1970-01-02"));
    publish(m, "Suite: test\nCodename: test\nDate: whenever\n", KEY, "SHA256");
    expect_refused(m, ERR_STEP, "a date that is none");
}

static void another_suite_is_refused(void **state)
{
    const struct mirror *m = *state;
    publish(m, "Suite: stable\nCodename: else\nDate: Mon, 13 Nov 2023 10:00:00 UTC\n", KEY,
            "SHA256");
    expect_refused(m, ERR_INPUT, "gave suite 'else' where 'test' was asked for");
}

static void dates_are_read_strictly(void **state)
{
    (void)state;
    assert_int_equal(deb_release_date("Sat, 11 Jan 2025 10:01:02 UTC"), 1736589662);
    assert_int_equal(deb_release_date("Thu, 01 Jan 1998 00:00:00 +0000"), 883612800);
    static const char *const bad[] = { "",
                                       ",",
                                       "Sat, 11 Jun",
                                       "Sat, 11 Foo 2025 10:01:02 UTC",
                                       "Sat, 11 anF 2025 10:01:02 UTC",
                                       "2025-01-11",
                                       "Sat, 11 Jan 2025 10:01:02 PST",
                                       "Sat, 99 Jan 2025 10:01:02 UTC",
                                       "Sat, 11 Jan 2025 25:01:02 UTC" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(deb_release_date(bad[i]), -1);
}

static void verdict_prefers_the_sound_signature(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "[GNUPG:] NEWSIG",
        "[GNUPG:] EXPKEYSIG AAAA old key",
        "[GNUPG:] VALIDSIG FPR1 2023-01-01 1 0 4 0 1 10 01 FPR1",
        "[GNUPG:] NEWSIG",
        "[GNUPG:] GOODSIG BBBB present key",
        "[GNUPG:] VALIDSIG FPR2 2023-01-01 1 0 4 0 1 10 01 FPR2",
        "[GNUPG:] NEWSIG",
        "[GNUPG:] ERRSIG CCCC",
        "[GNUPG:] NO_PUBKEY CCCC",
    };
    struct deb_verdict v = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        deb_verdict_line(&v, lines[i]);
    assert_string_equal(v.good, "FPR2");
    assert_string_equal(v.stale, "FPR1");
    assert_string_equal(v.unknown, "CCCC");
    deb_verdict_fini(&v);

    deb_verdict_line(&v, "[GNUPG:] NEWSIG");
    deb_verdict_line(&v, "[GNUPG:] GOODSIG DDDD sha1 key");
    deb_verdict_line(&v, "[GNUPG:] VALIDSIG FPR3 2023-01-01 1 0 4 0 1 2 01 FPR3");
    assert_null(v.good);
    assert_true(v.weak);
    deb_verdict_fini(&v);
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(dates_are_read_strictly),
        cmocka_unit_test(verdict_prefers_the_sound_signature),
    };
    const struct CMUnitTest with_keys[] = {
        cmocka_unit_test(good_signature_is_taken),
        cmocka_unit_test(detached_signature_is_taken),
        cmocka_unit_test(changed_text_is_refused),
        cmocka_unit_test(text_around_the_signed_part_does_not_count),
        cmocka_unit_test(other_keys_and_no_key_are_refused),
        cmocka_unit_test(old_states_and_wrong_clocks_are_told),
        cmocka_unit_test(another_suite_is_refused),
    };
    auto_free char *gpg_program = proc_find("gpg");
    int rc = cmocka_run_group_tests(plain, NULL, NULL);
    if (rc || !gpg_program) /* without gpg there is nothing to sign with */
        return rc;
    return cmocka_run_group_tests(with_keys, make_mirror, drop_mirror);
}
