#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Random images, the reader against the kernel: reader-differential.sh [BINARY_DIR] [COUNT] [SEED]
# Root; a minute or two for 1,000 images. The seed of a failure repeats it.
set -eu
bin=${1:-out/dev} count=${2:-1000} seed=${3:-$RANDOM}
echo "seed $seed"
"$bin/tests/image-test_reader_random" "$count" "$seed" 2>&1 | tail -5
