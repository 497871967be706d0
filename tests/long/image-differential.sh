#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Trees by chance through pack, the kernel's mount, unpack, shrink and expand, and e2fsck each time.
#   tests/long/image-differential.sh [TREES [FIRST-SEED]]        needs root; 1000 take some minutes
set -eu
build=${HPCC_BINARY_DIR:-$(dirname "$0")/../../out/dev}
exec "$build/tests/image-test_differential" "${1:-1000}" "${2:-1000}"
