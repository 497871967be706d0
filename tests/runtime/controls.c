/* SPDX-License-Identifier: BSD-3-Clause */
/* Linked into hpcc-controls only: HPCC_TEST_OFF names the defences that are off. */
#include "base/defence.h"

#include <stdlib.h>
#include <string.h>

bool defence(const char *name)
{
    const char *off = getenv("HPCC_TEST_OFF");
    size_t len = strlen(name);
    for (const char *at = off; at && (at = strstr(at, name)); at += len)
        if ((at == off || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
            return false;
    return true;
}
