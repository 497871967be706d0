#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The positive control of the reader's fuzzing: with one check taken out, the fuzzer must find it.
# reader-control.sh [SECONDS]; needs clang. Each line: the check, and how long it took. Checks that stand
# behind another one (a link's length, a name's length within its block) are not in the list: alone they
# are not missed.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
limit=${1:-120}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$top/tests/fuzz/reader-seeds.sh" "$work/all" >/dev/null 2>&1
mkdir "$work/seeds"
find "$work/all" -size -900k -type f -exec cp {} "$work/seeds" \;

build() { # DIR
    (cd "$1" && clang -std=gnu17 -O1 -g -fsanitize=address,undefined,fuzzer -fno-sanitize-recover=all \
        -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I. tests/fuzz/fuzz_reader.c image/probe.c image/reader*.c \
        base/mem.c base/err.c base/str.c -o fuzz 2>"$work/log") || { cat "$work/log"; exit 1; }
}

failed=0
try() { # NAME FILE FROM TO
    rm -rf "$work/tree" "$work/corpus"
    mkdir "$work/tree" "$work/corpus"
    cp -r "$top/image" "$top/base" "$top/tests" "$work/tree"
    python3 - "$work/tree/image/$2" "$3" "$4" <<'PY'
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
assert text.count(old) == 1, (path, old, text.count(old))
open(path, "w").write(text.replace(old, new))
PY
    build "$work/tree"
    local begin=$SECONDS
    if (cd "$work" && nice "$work/tree/fuzz" -max_len=830000 -max_total_time="$limit" -timeout=10 \
        -artifact_prefix="$work/" "$work/corpus" "$work/seeds" >"$work/log" 2>&1); then
        echo "NOT FOUND in $limit s: $1"
        failed=1
    else
        echo "found after $((SECONDS - begin)) s: $1"
    fi
}

try "a fast link's length" reader_data.c 'if (size >= sizeof inode.block)' 'if (size > 9999)'
try "an attribute's value" reader_xattr.c 'value_at > a->len || value_len > a->len - value_at' 'value_at > 99999'
try "an extent node's count" reader_map.c 'n > n_max ||' 'n > 9999 ||'
try "inode numbers" reader_inode.c 'ino == 0 || ino > r->n_inodes' 'ino == 0'
exit "$failed"
