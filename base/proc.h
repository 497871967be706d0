/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_PROC_H
#define BASE_PROC_H

/* Run host programs: an argv, never a shell string; a fixed environment unless told otherwise. */

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

struct proc_spec {
    const char *const *argv; /* argv[0] absolute, or a name looked up with proc_find */
    const char *const *envp; /* NULL: PATH, LC_ALL=C.UTF-8, HOME=/nonexistent only */
    const char *cwd;         /* NULL: stay */
    int stdin_fd;            /* -1: /dev/null */
    int stdout_fd;           /* -1: our stderr, or on_line when that is set */
    int stderr_fd;           /* -1: our stderr, or on_line when that is set */

    /* Called in the parent for each line of stdout and stderr that has no descriptor of its own,
     * without the newline; a line over 16 KiB comes in pieces. NULL: not captured. */
    void (*on_line)(void *ctx, const char *line);

    /* Called in the child after fork, before exec: only descriptors that it places with dup2 (onto
     * another number) are inherited besides 0, 1 and 2. Not 0 makes the child exit with 127. Only
     * async-signal-safe work. NULL: nothing. */
    int (*before_exec)(void *ctx);
    void *ctx;

    unsigned timeout_ms; /* 0: none; else the child is killed and the error says so */
    bool die_with_us;    /* the child gets SIGKILL when the calling thread dies */
};

/* Run to its end. *STATUS gets the exit status (128+n for signal n) and may be NULL, in which case
 * anything but 0 is an error that names the program. ERR_HOST: the program is not installed.
 * Descriptors of ours are O_CLOEXEC and stay here; SIGPIPE and the signal mask are reset in the
 * child. */
MUST_CHECK int proc_run(const struct proc_spec *spec, int *status, struct err *e);

/* Absolute path of the host program NAME in the fixed list /usr/local/sbin … /bin, never the
 * caller's PATH; NULL when it is not there. Caller frees. */
MUST_CHECK char *proc_find(const char *name);

/* The environment that proc_run gives when envp is NULL. */
extern const char *const proc_clean_env[];

/* Close the descriptors FIRST to LAST, those of them that are open. For qsort(3): by number. */
void proc_close_span(unsigned first, unsigned last);
int proc_compare_fds(const void *a, const void *b);

/* Start a thread that nobody waits for. Returns 0, or an error number. */
MUST_CHECK int proc_thread(size_t stack_bytes, void *(*run)(void *arg), void *arg);

/* Every signal back to its default and none blocked, for a child that starts afresh. */
void proc_signals_default(void);

/* 128+n for a child that died of signal n, else its exit status. STATUS as waitpid gives it. */
int proc_exit_status(int wait_status);

#endif
