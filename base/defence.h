/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_DEFENCE_H
#define BASE_DEFENCE_H

/* A test of a defence is worth something only when the attack works without it. In the tests' own
 * build (HPCC_TEST_CONTROLS) each defence named here can be switched off; in every other build this
 * is the constant true. */

#include <stdbool.h>

#ifdef HPCC_TEST_CONTROLS
bool defence(const char *name);
#else
static inline bool defence(const char *name)
{
    (void)name;
    return true;
}
#endif

#endif
