#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The positive control of the fuzzing of squashfs: with one of the checks that stand before libsquashfuse
# taken out, the fuzzer must find it.
# squashfs-control.sh [SECONDS]; needs clang and squashfs-tools. Each line: the check, and how long it took. The
# lengths of names are not in the list: what they would overrun is longer than the small images here.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
limit=${1:-120}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$top/tests/fuzz/squashfs-seeds.sh" "$work/seeds"
flags=$(pkg-config --cflags-only-I squashfuse)

build() { # DIR
    # shellcheck disable=SC2046,SC2086 # words of compiler flags
    (cd "$1" && clang -std=gnu17 -O1 -g -fsanitize=address,undefined,fuzzer -fno-sanitize-recover=all \
        -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. ${flags//-I/-isystem } tests/fuzz/fuzz_squashfs.c image/squash*.c \
        image/server/ext.c image/reader*.c base/*.c -o fuzz $(pkg-config --libs squashfuse json-c yaml-0.1) \
        $(pkg-config --cflags json-c) 2> "$work/log") || { cat "$work/log"; exit 1; }
}

failed=0
try() { # NAME FILE FROM TO
    rm -rf "$work/tree" "$work/corpus"
    mkdir "$work/tree" "$work/corpus"
    cp -r "$top/image" "$top/base" "$top/tests" "$work/tree"
    python3 - "$work/tree/image/$2" "$3" "$4" << 'PY'
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
assert text.count(old) == 1, (path, old, text.count(old))
open(path, "w").write(text.replace(old, new))
PY
    build "$work/tree"
    local begin=$SECONDS
    if (cd "$work" && ASAN_OPTIONS=allocator_may_return_null=1 nice "$work/tree/fuzz" -max_len=80000 \
        -max_total_time="$limit" -timeout=10 -artifact_prefix="$work/" "$work/corpus" "$work/seeds" > "$work/log" 2>&1); then
        echo "NOT FOUND in $limit s: $1"
        failed=1
    else
        echo "found after $((SECONDS - begin)) s: $1"
    fi
}

try "where metadata is read" squash.c 'return cur->offset < block->size ? 0 : -EUCLEAN;' 'return 0;'
try "an index into a table" squash.c 'idx >= table.n || !table.table->blocks' '!table.table->blocks'
try "the block size" squash.c 'sb->block_size != UINT32_C(1) << sb->block_log' 'sb->block_log > 99'
try "what a block holds" squash_data.c 'lent.block->size < p->skip + p->len' 'p->len == 0'
exit "$failed"
