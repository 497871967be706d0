/* SPDX-License-Identifier: BSD-3-Clause */
/* Linked into hpcc-controls only: HPCC_TEST_OFF names the defences that are off. */
#include "base/defence.h"

#include <stdlib.h>
#include <string.h>

/* Asked for once: a defence of builds is to forget the environment. */
static const char *switched_off(void)
{
    static char *off;
    const char *now = getenv("HPCC_TEST_OFF");
    if (!off)
        off = strdup(now ? now : "");
    return off;
}

bool defence(const char *name)
{
    const char *off = switched_off();
    size_t len = strlen(name);
    for (const char *at = off; (at = strstr(at, name)); at += len)
        if ((at == off || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
            return false;
    return true;
}
