/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include "base/mem.h"
#include "base/progress.h"
#include "bootstrap/deb/deb.h"

static void tell(struct deb_talk *t, const char *lines)
{
    auto_strv struct strv all = { 0 };
    strv_split(&all, lines, "\n");
    for (size_t i = 0; i < all.n; i++)
        deb_talk_line(t, all.v[i]);
}

/* The error and hint for LINES and STATUS, joined by " | ". Caller frees. */
static char *explained(const char *lines, int status, enum err_code code)
{
    struct deb_plan p = { .suite = (char *)"bookworm",
                          .arch = (char *)"amd64",
                          .mirror = (char *)"http://u:secret@m.example/debian" };
    auto_deb_talk struct deb_talk t = { .log_fd = -1 };
    auto_err struct err e = { 0 };
    tell(&t, lines);
    assert_int_equal(deb_talk_explain(&t, &p, status, &e), -1);
    assert_int_equal(e.code, code);
    assert_null(strstr(e.msg, "secret"));
    return mem_printf("%s | %s", e.msg, e.hint ? e.hint : "");
}

struct seen {
    struct str text;
};

static void note(void *ctx, const struct progress_event *ev)
{
    struct seen *s = ctx;
    str_addf(&s->text, "[%s %s %llu/%llu%s]", ev->stage, ev->detail ? ev->detail : "-",
             (unsigned long long)ev->done, (unsigned long long)ev->total,
             ev->finished ? " end" : "");
}

static void stages_become_progress(void **state)
{
    (void)state;
    struct seen s = { 0 };
    progress_sink_set(&(struct progress_sink){ .event = note, .ctx = &s });
    auto_deb_talk struct deb_talk t = { .log_fd = -1 };
    tell(&t, "P: 0 2000 DOWNDEBS\nPF: Downloading packages\n"
             "I: RETRIEVING\nIA: libc6\nIA: 2.36\nIF: Retrieving %s %s\n"
             "P: 1000 2000\n"
             "P: 1 3 EXTRACTPKGS\nPF: Extracting packages\n"
             "P: 5 9 NOSUCHSTAGE\nPF: x\n");
    deb_talk_end(&t);
    progress_sink_set(NULL);
    assert_string_equal(str_text(&s.text),
                        "[fetch packages - 0/2000][fetch packages libc6 0/2000]"
                        "[fetch packages - 1000/2000][fetch packages - 2000/2000 end]"
                        "[extract packages - 1/3][extract packages - 3/3 end]");
    str_free(&s.text);
}

static void causes_are_told_in_words_with_a_cure(void **state)
{
    (void)state;
    auto_free char *missing = explained("E: LEFTOVERDEBS\nEA: nosuch\n"
                                        "EF: Couldn't find these debs: %s\n",
                                        1, ERR_INPUT);
    assert_non_null(strstr(missing, "suite 'bookworm' has no package 'nosuch' | check Include"));
    auto_free char *full = explained("tar: x: Cannot write: No space left on device\n"
                                     "E: IN_TARGET_FAIL\nEF: x\n",
                                     1, ERR_STEP);
    assert_non_null(strstr(full, "the disk is full"));
    auto_free char *fetch = explained("W: COULDNTDL\nWA: bash\nWA: 5\nWA: amd64\nWA: http://x\n"
                                      "WF: Couldn't download package %s\n"
                                      "E: COULDNTDLPKGS\nEA: bash\nEF: Couldn't download: %s\n",
                                      1, ERR_STEP);
    assert_non_null(strstr(fetch, "could not fetch 'bash' from 'http://m.example/debian'"));
    auto_free char *broken = explained("dpkg: error processing package base-passwd (--install):\n"
                                       "W: CONF_REQ_FAIL\nWF: Failure while configuring\n",
                                       1, ERR_STEP);
    assert_non_null(strstr(broken, "package 'base-passwd' could not be installed"));
    auto_free char *killed = explained("I: X\nIF: y\n", 137, ERR_STEP);
    assert_non_null(strstr(killed, "signal 9"));
    auto_free char *silent = explained("", 7, ERR_STEP);
    assert_non_null(strstr(silent, "status 7"));
}

static void hostile_output_does_no_harm(void **state)
{
    (void)state;
    auto_free char *a = explained("P: x y z\nP:\nP: 99999999999999999999 1 A\nPF: %n%n%s%d\n"
                                  "E: E\nEF: %s%s%n \x1b[31m %\nIA: stray\nEF: stray\n",
                                  1, ERR_STEP);
    assert_null(strchr(a, '\x1b'));
    auto_free char *b = explained("E: LEFTOVERDEBS\nEF: no colon\n", 1, ERR_INPUT);
    assert_non_null(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_become_progress),
        cmocka_unit_test(causes_are_told_in_words_with_a_cure),
        cmocka_unit_test(hostile_output_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
