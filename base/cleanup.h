/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

/* Scope-bound ownership: a local that owns something carries an `auto_…` macro and is released when
 * its scope ends; ownership leaves by `steal_…`. Every cleanup keeps errno, so an error path may
 * report it. */

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MUST_CHECK      __attribute__((warn_unused_result))
#define PRINTF(f, a)    __attribute__((format(printf, f, a)))
#define NORETURN        __attribute__((noreturn))
#define ARRAY_LEN(a)    (sizeof(a) / sizeof((a)[0]))
#define cleanup_with(f) __attribute__((cleanup(f)))

/* Define `static inline void NAME(T *p)` that calls FREE(*p) when *p is set, keeping errno. */
#define CLEANUP_DEFINE(T, name, free_fn)                                                           \
    static inline void name(T *p)                                                                  \
    {                                                                                              \
        if (*p) {                                                                                  \
            int saved = errno;                                                                     \
            free_fn(*p);                                                                           \
            errno = saved;                                                                         \
        }                                                                                          \
    }

static inline void cleanup_fd(int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

static inline void cleanup_free(void *p)
{
    void *mem;
    __builtin_memcpy(&mem, p, sizeof mem);
    free(mem); /* keeps errno since glibc 2.33; before that only a failing munmap changed it */
}

static inline int steal_fd(int *fd)
{
    int out = *fd;
    *fd = -1;
    return out;
}

CLEANUP_DEFINE(FILE *, cleanup_file, fclose)
CLEANUP_DEFINE(DIR *, cleanup_dir, closedir)

#define auto_close cleanup_with(cleanup_fd)
#define auto_free  cleanup_with(cleanup_free)
#define auto_file  cleanup_with(cleanup_file)
#define auto_dir   cleanup_with(cleanup_dir)

/* Take the value out of an owning pointer, leaving NULL behind. */
#define steal_ptr(p)                                                                               \
    __extension__({                                                                                \
        __typeof__(p) *steal_at = &(p);                                                            \
        __typeof__(p) steal_out = *steal_at;                                                       \
        *steal_at = NULL;                                                                          \
        steal_out;                                                                                 \
    })

#endif
