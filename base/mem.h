/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_MEM_H
#define BASE_MEM_H

/* Allocation that never returns NULL: out of memory aborts with one line on stderr. Sizes that come
 * from hostile bytes must be bounded before they reach these. Release with free(3). */

#include <stdarg.h>
#include <stddef.h>

#include "base/cleanup.h"

MUST_CHECK void *mem_alloc(size_t size_bytes);              /* uninitialised */
MUST_CHECK void *mem_zero(size_t count, size_t size_bytes); /* zeroed; overflow aborts */
MUST_CHECK void *mem_resize(void *take, size_t count, size_t size_bytes);

/* Room for one more element behind the first N of the array TAKE (NULL: there is none yet). Its
 * capacity is not kept anywhere: it is MEM_FIRST or the power of two above N, as long as every
 * element came through here, so that growing costs what it should and an array is a pointer and a
 * count. */
enum { MEM_FIRST = 4 };
MUST_CHECK void *mem_grow(void *take, size_t n, size_t size_bytes);
MUST_CHECK char *mem_strdup(const char *s); /* NULL gives NULL */
MUST_CHECK char *mem_strndup(const char *s, size_t len);
MUST_CHECK void *mem_dup(const void *data, size_t size_bytes);
MUST_CHECK char *mem_printf(const char *fmt, ...) PRINTF(1, 2);
MUST_CHECK char *mem_vprintf(const char *fmt, va_list ap) PRINTF(1, 0);

#endif
