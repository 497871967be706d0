/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

/* SHA-256 (FIPS 180-4) of short texts: names that nobody can make two texts agree on. */

#include <stddef.h>

enum { SHA256_HEX_BYTES = 64 + 1 };

void sha256_hex(const void *data, size_t len, char out[SHA256_HEX_BYTES]);

#endif
