/* SPDX-License-Identifier: BSD-3-Clause */
#include "runtime/envscript.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"

/* Each script is run by the host's /bin/sh too: what it exports has to be the same. */

static const char *const start[] = { "PATH=/usr/bin:/bin", "HOME=/home/me", "EMPTY=",
                                     "WORDS=a b",          "ONE=1",         NULL };

struct seen {
    struct strv lines;
};

static void keep(void *ctx, const char *line)
{
    struct seen *seen = ctx;
    /* what shells add by themselves, and the prompt, which some take away */
    static const char *const own[] = { "PWD=", "SHLVL=", "_=", "OLDPWD=", "PS1=" };
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (str_starts(line, own[i]))
            return;
    strv_add(&seen->lines, line);
}

static char *by_shell(const char *script)
{
    struct seen seen = { 0 };
    const char *const argv[] = { "/bin/sh", "-c", "eval \"$1\" && exec env", "sh", script, NULL };
    struct proc_spec spec = { .argv = argv,
                              .envp = start,
                              .stdin_fd = -1,
                              .stdout_fd = -1,
                              .stderr_fd = -1,
                              .on_line = keep,
                              .ctx = &seen };
    int status = 0;
    if (proc_run(&spec, &status, NULL) < 0 || status != 0) {
        strv_free(&seen.lines);
        return NULL;
    }
    strv_sort(&seen.lines);
    char *text = strv_join(&seen.lines, "\n");
    strv_free(&seen.lines);
    return text;
}

/* NULL: a shell is asked for. */
static char *by_us(const char *script)
{
    struct envscript s = { 0 };
    struct seen seen = { 0 };
    strv_add_all(&s.env, start);
    bool done = envscript_run(&s, script, strlen(script));
    for (size_t i = 0; done && i < s.env.n; i++)
        keep(&seen, s.env.v[i]);
    strv_sort(&seen.lines);
    char *text = done ? strv_join(&seen.lines, "\n") : NULL;
    strv_free(&seen.lines);
    envscript_fini(&s);
    return text;
}

static void same(const char *script)
{
    auto_free char *ours = by_us(script);
    auto_free char *theirs = by_shell(script);
    if (!ours || !theirs || !str_eq(ours, theirs))
        fail_msg("%s\n-- we:\n%s\n-- the shell:\n%s", script, ours ? ours : "(ask a shell)",
                 theirs ? theirs : "(failed)");
}

static void plain_scripts_are_run_as_a_shell_would(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "",
        "\n\n  # only a comment",
        "#!/bin/sh\nexport A=1\n",
        "A=1",
        "A=1\nexport A",
        "A=1; export A; export B=2 C=3 # and so on",
        "ONE=2",
        "export A=\"a b\" B='c  $d' C=e\"f g\"'h'i",
        "export PATH=/opt/bin:$PATH",
        "export PATH=\"/opt/bin:${PATH}\"",
        "LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/libs\nexport LD_LIBRARY_PATH",
        ("LD_LIBRARY_PATH=/x\nLD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}/libs\n"
         "export LD_LIBRARY_PATH"),
        "export A=${EMPTY:-x} B=${EMPTY:+y} C=${ONE:-x} D=${ONE:+y} E=${NONE:-x}",
        "export LANG=\"${LANG:-\"C.UTF-8\"}\"",
        "A=${NONE:-a b> c}; export A",
        "export A=\"${NONE:-${EMPTY:-${ONE:-x}}}\"",
        "A=$WORDS; export A",
        "export A=\"$WORDS and 'more'\"",
        "unset ONE; export B=$ONE.",
        "unset ONE EMPTY",
        "if [ -n \"${NONE:-}\" ]; then\n  echo no; exit 1\n  if x; then\n y\n  fi\nfi\nexport A=1",
        "if [ -n \"${EMPTY:-}\" ]; then\nexport A=1\nfi\n",
        "   \t export A=tabs\t# x\n",
        "A=;export A",
        "export A=a=b B=c:d,e@f%g+h^i-j",
        "export A='\xc3\xa4'",
        "export A=\"#no comment\"",
    };
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++)
        same(scripts[i]);
}

static void all_else_is_left_to_a_shell(void **state)
{
    (void)state;
    static const char *const scripts[] = {
        "echo hello",
        "A=1 echo hello",
        "A=1 B=2",
        "A=$(date)",
        "A=`date`",
        "A=\"$(date)\"",
        "A=$((1 + 1))",
        "A=~/bin",
        "A=a\\ b",
        "A=\"a\\\"b\"",
        "A=c#d",
        "export A=*",
        "export A=$WORDS",
        "export -n ONE",
        "export NONE",
        "A=$1",
        "A=$?",
        "A=${ONE#x}",
        "A=${ONE-x}",
        "A=${ONE:=x}",
        "A=\"${ONE:-'x'}\"",
        "A='no end",
        "A=\"no end",
        "A=\"two\nlines\"",
        "IFS=x",
        "A=$RANDOM",
        "A=$PWD",
        "BASH_ENV=/x",
        "if [ -n \"${ONE:-}\" ]; then\nA=1\nfi",
        "if [ -n \"$NONE\" ]; then\nA=1\nfi",
        "if [ -n \"${NONE:-}\" ]; then\nA=1\nelse\nexport A=2\nfi",
        "if [ -n \"${NONE:-}\" ]; then\ncat <<fi\nfi\nfi",
        "if [ -n \"${NONE:-}\" ]; then\nA='\nfi\n'\nfi",
        "if [ -n \"${NONE:-}\" ]; then\nA=1; fi\nexport A=2\nif x; then\nfi",
        "if [ -n \"${NONE:-}\" ]; then\nx || if y; then\nz\nfi\nfi\nexport A=2",
        "if [ -n \"${NONE:-}\" ]; then\nA=1\n",
        ". /etc/profile",
        "f() { :; }",
        "A=1 && B=2",
        "A=1 & B=2",
        "A=1|cat",
        "export A=1)",
        "A+=1",
        "2A=1",
        "A=1\r\n",
        "for i in 1 2; do export A=$i; done",
    };
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        auto_free char *ours = by_us(scripts[i]);
        if (ours)
            fail_msg("this is not for us:\n%s", scripts[i]);
    }
    struct envscript s = { 0 };
    assert_false(envscript_run(&s, "A=\0001", 4));
    envscript_fini(&s);
}

static void a_value_cannot_grow_without_end(void **state)
{
    (void)state;
    auto_str struct str script = { 0 };
    str_add(&script, "A=xxxxxxxxxxxxxxxx\n");
    for (int i = 0; i < 64; i++)
        str_add(&script, "A=$A$A\n");
    auto_free char *ours = by_us(str_text(&script));
    assert_null(ours);
}

static uint32_t next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

/* Scripts of random pieces: where we have an answer, it is the shell's. */
static void random_scripts_are_run_as_a_shell_would(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "export ", "A",  "B",  "ONE",   "=",      "=",      "\n", "\n",   "; ",   " ", "\"",  "\"",
        "'",       "$A", "$B", "${A}",  "${",     ":-",     ":+", "}",    "$",    "x", "a b", "/y:",
        "#",       ".",  "-",  "WORDS", "$WORDS", "unset ", "\t", "=1\n", "=2; ", ">", "~",   "*",
    };
    const char *more = getenv("HPCC_TEST_ROUNDS"); /* for a longer hunt */
    unsigned long rounds = more ? strtoul(more, NULL, 10) : 6000;
    uint32_t seed = 20261121;
    unsigned answered = 0;
    for (int round = 0; round < (int)rounds; round++) {
        auto_str struct str script = { 0 };
        for (uint32_t n = 2 + next(&seed) % 9; n; n--)
            str_add(&script, pieces[next(&seed) % ARRAY_LEN(pieces)]);
        auto_free char *ours = by_us(str_text(&script));
        if (!ours)
            continue;
        answered++;
        same(str_text(&script));
    }
    assert_true(answered > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_scripts_are_run_as_a_shell_would),
        cmocka_unit_test(all_else_is_left_to_a_shell),
        cmocka_unit_test(a_value_cannot_grow_without_end),
        cmocka_unit_test(random_scripts_are_run_as_a_shell_would),
    };
    return cmocka_run_group_tests_name("envscript", tests, NULL, NULL);
}
