/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/mem.h"

#include <stdint.h>
#include <string.h>

NORETURN static void out_of_memory(void)
{
    static const char text[] = "hpcc: out of memory\n";
    ssize_t n = write(2, text, sizeof text - 1);
    (void)n;
    abort();
}

void *mem_alloc(size_t size_bytes)
{
    void *p = malloc(size_bytes ? size_bytes : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *mem_zero(size_t count, size_t size_bytes)
{
    void *p = calloc(count ? count : 1, size_bytes ? size_bytes : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *mem_resize(void *take, size_t count, size_t size_bytes)
{
    void *p = reallocarray(take, count ? count : 1, size_bytes ? size_bytes : 1);
    if (!p)
        out_of_memory();
    return p;
}

void *mem_grow(void *take, size_t n, size_t size_bytes)
{
    if (take && (n < MEM_FIRST || (n & (n - 1)) != 0))
        return take;
    return mem_resize(take, n < MEM_FIRST ? MEM_FIRST : n * 2, size_bytes);
}

char *mem_strdup(const char *s)
{
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_strndup(const char *s, size_t len)
{
    char *p = mem_alloc(len + 1);
    if (len) /* memcpy takes no NULL, also for nothing */
        memcpy(p, s, len);
    p[len] = 0;
    return p;
}

void *mem_dup(const void *data, size_t size_bytes)
{
    void *p = mem_alloc(size_bytes);
    if (size_bytes)
        memcpy(p, data, size_bytes);
    return p;
}

char *mem_vprintf(const char *fmt, va_list ap)
{
    char *s = NULL;
    if (vasprintf(&s, fmt, ap) < 0)
        out_of_memory();
    return s;
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = mem_vprintf(fmt, ap);
    va_end(ap);
    return s;
}
