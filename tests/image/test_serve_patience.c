/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/base/test.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "image/server/patience.h"

enum { START = 63, BURST = 64 }; /* requests of a small start; what makes polling worthwhile */

static void skip_on_one_processor(void)
{
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) == 1)
        skip();
}

/* N requests that are there as soon as the last one is done with. */
static void requests(struct patience *p, int fd, unsigned n)
{
    while (n--) {
        patience_wait(p, fd);
        patience_learn(p);
    }
}

/* A pipe with something in it, as the device when a request waits, or with nothing. */
static int make_pipe(int ends[2], bool full)
{
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    if (full)
        assert_int_equal(write(ends[1], "r", 1), 1);
    return ends[0];
}

static void close_pipe(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static void only_a_burst_is_waited_for(void **state)
{
    (void)state;
    int ends[2];
    struct patience p = { 0 };
    int fd = make_pipe(ends, true);
    requests(&p, fd, START);
    assert_false(p.polls);
    for (unsigned i = 0; i < 100 * BURST && !p.polls; i++) /* on a busy machine some are late */
        requests(&p, fd, 1);
    assert_true(p.polls);
    /* late ones end it: each counts for several that came soon */
    for (unsigned i = 0; i < BURST && p.polls; i++) {
        patience_wait(&p, fd);
        usleep(1000);
        patience_learn(&p);
        assert_true(i < 8);
    }
    assert_false(p.polls);
    close_pipe(ends);
}

static void what_does_not_help_is_given_up_for_longer_and_longer(void **state)
{
    (void)state;
    int ends[2];
    struct patience p = { 0 };
    skip_on_one_processor();
    int fd =
        make_pipe(ends, false); /* polls find nothing, reads do: as when all want one processor */
    unsigned last_pause = 0;
    for (unsigned setback = 1; setback <= 3; setback++) {
        for (unsigned i = 0; i < 10000 && p.setbacks < setback; i++)
            requests(&p, fd, 1);
        assert_int_equal(p.setbacks, setback);
        assert_false(p.polls);
        assert_true(p.pause > last_pause);
        last_pause = p.pause;
    }
    close_pipe(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_burst_is_waited_for),
        cmocka_unit_test(what_does_not_help_is_given_up_for_longer_and_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
