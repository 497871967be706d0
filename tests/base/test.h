/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TESTS_BASE_TEST_H
#define TESTS_BASE_TEST_H

/* cmocka with what it needs included first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#endif
