/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>

#include "base/fs.h"
#include "base/mem.h"
#include "bootstrap/rpm/install.h"

void yum_say(int fd, enum yum_word word, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    auto_free char *text = mem_vprintf(fmt, ap);
    va_end(ap);
    auto_free char *shown = str_printable(text);
    for (char *p = shown; *p; p++)
        *p = *p == '\n' || *p == '\r' ? ' ' : *p;
    auto_free char *line = mem_printf("%c %s\n", (char)word, shown);
    (void)!fs_write_full(fd, line, strlen(line));
}
