/* SPDX-License-Identifier: BSD-3-Clause */
/* What librpm's child says, through real pipes. */
#include "tests/base/test.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/progress.h"
#include "bootstrap/rpm/watch.h"

struct scene {
    struct yum_transaction trans;
    struct yum_install_spec in;
    struct yum_watch w;
    int words, output; /* the child's ends */
};

static struct str told; /* warnings and progress, in order */

static void on_log(void *ctx, enum log_level level, const char *text)
{
    (void)ctx;
    if (level == LOG_WARN)
        str_addf(&told, "W %s|", text);
    if (level == LOG_INFO)
        str_addf(&told, "I %s|", text);
}

static void on_progress(void *ctx, const struct progress_event *p)
{
    (void)ctx;
    str_addf(&told, "P %llu/%llu %s%s|", (unsigned long long)p->done, (unsigned long long)p->total,
             p->detail ? p->detail : "-", p->finished ? " end" : "");
}

static const struct log_sink log_sink = { .write = on_log, .max = LOG_INFO };
static const struct progress_sink progress_sink = { .event = on_progress };

static int open_scene(void **state)
{
    struct scene *s = mem_zero(1, sizeof *s);
    int words[2], output[2];
    assert_int_equal(pipe2(words, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC | O_NONBLOCK), 0);
    assert_true(fcntl(words[1], F_SETPIPE_SZ, 1 << 20) > 0);
    assert_true(fcntl(output[1], F_SETPIPE_SZ, 1 << 20) > 0);
    s->trans.n = 2;
    s->in = (struct yum_install_spec){ .trans = &s->trans, .log_fd = -1 };
    s->w = (struct yum_watch){ .in = &s->in, .words_fd = words[0], .output_fd = output[0] };
    s->words = words[1];
    s->output = output[1];
    str_reset(&told);
    log_sink_set(&log_sink);
    progress_sink_set(&progress_sink);
    *state = s;
    return 0;
}

static int close_scene(void **state)
{
    struct scene *s = *state;
    log_sink_set(NULL);
    progress_sink_set(NULL);
    close(s->w.words_fd);
    close(s->w.output_fd);
    cleanup_fd(&s->words);
    cleanup_fd(&s->output);
    yum_watch_fini(&s->w);
    str_free(&told);
    free(s);
    return 0;
}

static void say(int fd, const char *text)
{
    assert_int_equal(fs_write_full(fd, text, strlen(text)), 0);
}

/* The child ends: both of its ends are closed. */
static void end(struct scene *s)
{
    cleanup_fd(&s->words);
    cleanup_fd(&s->output);
    s->words = s->output = -1;
}

static void a_quiet_child_is_a_success(void **state)
{
    struct scene *s = *state;
    auto_err struct err e = { 0 };
    say(s->words, "p 1 bash\np 2 coreutils\n");
    end(s);
    assert_true(yum_watch_follow(&s->w));
    assert_int_equal(yum_watch_verdict(&s->w, 0, &e), 0);
    assert_string_equal(str_text(&told), "P 1/2 bash|P 2/2 coreutils end|");
}

static void a_failed_scriptlet_is_a_warning_with_its_output(void **state)
{
    struct scene *s = *state;
    auto_err struct err e = { 0 };
    say(s->output, "cannot do it\n");
    say(s->words, "l a word of librpm\nx bash %post\ne bash\n");
    end(s);
    assert_true(yum_watch_follow(&s->w));
    assert_int_equal(yum_watch_verdict(&s->w, 0, &e), 0);
    assert_string_equal(str_text(&told),
                        "W a scriptlet failed: bash %post\n  cannot do it\n  a word of librpm|");
}

static void a_fatal_one_is_the_failure(void **state)
{
    struct scene *s = *state;
    auto_err struct err e = { 0 };
    say(s->words, "s bash %pre\nX bash %pre\nf and more\nh look there\n");
    end(s);
    assert_true(yum_watch_follow(&s->w));
    assert_int_equal(yum_watch_verdict(&s->w, 1, &e), -1);
    assert_string_equal(e.msg, "a scriptlet failed: bash %pre\nand more");
    assert_string_equal(e.hint, "look there");
}

static void a_failure_told_counts_whatever_the_status(void **state)
{
    struct scene *s = *state;
    auto_err struct err e = { 0 };
    say(s->words, "f it is broken\n");
    end(s);
    assert_true(yum_watch_follow(&s->w));
    assert_int_equal(yum_watch_verdict(&s->w, 0, &e), -1);
    assert_string_equal(e.msg, "it is broken");
    assert_null(e.hint);
}

static void a_child_that_dies_is_told_with_the_scriptlet_in_hand(void **state)
{
    struct scene *s = *state;
    auto_err struct err e = { 0 }, other = { 0 };
    say(s->words, "s bash %post\n");
    end(s);
    assert_true(yum_watch_follow(&s->w));
    assert_int_equal(yum_watch_verdict(&s->w, 139, &e), -1);
    assert_string_equal(e.msg, "librpm died (status 139) in scriptlet bash %post");
    str_reset(&s->w.script);
    assert_int_equal(yum_watch_verdict(&s->w, 1, &other), -1);
    assert_string_equal(other.msg, "librpm died (status 1)");
}

static void output_belongs_to_the_scriptlet_that_made_it(void **state)
{
    struct scene *s = *state;
    say(s->words, "l of the first\ns second %post\nx second %post\n");
    end(s);
    assert_true(yum_watch_follow(&s->w));
    assert_string_equal(str_text(&told), "W a scriptlet failed: second %post|");
}

static void only_the_end_of_long_output_is_kept(void **state)
{
    struct scene *s = *state;
    for (int i = 0; i < 3000; i++) {
        auto_free char *line = mem_printf("line %d\n", i);
        say(s->output, line);
    }
    say(s->words, "x a %post\n");
    end(s);
    assert_true(yum_watch_follow(&s->w));
    assert_null(strstr(str_text(&told), "line 2989\n"));
    assert_non_null(strstr(str_text(&told), "\n  line 2990\n"));
    assert_non_null(strstr(str_text(&told), "\n  line 2999"));
    assert_true(s->w.output.len <= 16384);
}

static void a_word_without_end_is_dropped(void **state)
{
    struct scene *s = *state;
    auto_free char *much = mem_alloc(900001);
    memset(much, 'f', 900000);
    much[900000] = 0;
    say(s->words, much);
    end(s);
    assert_true(yum_watch_follow(&s->w));
    assert_true(s->w.words.len < 200000);
    assert_true(s->w.failure.len < 200000);
}

static void failures_without_end_are_bounded(void **state)
{
    struct scene *s = *state;
    for (int i = 0; i < 20000; i++)
        say(s->words, "f again and again and again and again\n");
    end(s);
    assert_true(yum_watch_follow(&s->w));
    assert_true(s->w.failure.len > 1000 && s->w.failure.len < 200000);
}

static void a_scriptlet_that_takes_too_long_is_ended(void **state)
{
    struct scene *s = *state;
    auto_err struct err e = { 0 };
    s->in.script_timeout_s = 1;
    say(s->words, "s slow %post\n");
    assert_false(yum_watch_follow(&s->w));
    assert_int_equal(yum_watch_verdict(&s->w, 137, &e), -1);
    assert_string_equal(e.msg, "scriptlet 'slow %post' took longer than 1 s and was stopped");
}

/* It writes as fast as it is read. */
static void chatter(int fd)
{
    static char text[4096];
    memset(text, 'y', sizeof text);
    fcntl(fd, F_SETFL, 0);
    while (write(fd, text, sizeof text) > 0)
        ;
    _exit(0);
}

static void neither_does_one_that_never_stops_talking(void **state)
{
    struct scene *s = *state;
    s->in.script_timeout_s = 1;
    say(s->words, "s loud %post\n");
    pid_t pid = fork();
    if (pid == 0)
        chatter(s->output);
    assert_false(yum_watch_follow(&s->w));
    kill(pid, 9);
}

#define IN_SCENE(test) cmocka_unit_test_setup_teardown(test, open_scene, close_scene)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_SCENE(a_quiet_child_is_a_success),
        IN_SCENE(a_failed_scriptlet_is_a_warning_with_its_output),
        IN_SCENE(a_fatal_one_is_the_failure),
        IN_SCENE(a_failure_told_counts_whatever_the_status),
        IN_SCENE(a_child_that_dies_is_told_with_the_scriptlet_in_hand),
        IN_SCENE(output_belongs_to_the_scriptlet_that_made_it),
        IN_SCENE(only_the_end_of_long_output_is_kept),
        IN_SCENE(a_word_without_end_is_dropped),
        IN_SCENE(failures_without_end_are_bounded),
        IN_SCENE(a_scriptlet_that_takes_too_long_is_ended),
        IN_SCENE(neither_does_one_that_never_stops_talking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
