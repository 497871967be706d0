#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every build type with every compiler, tests included, without a warning. Arguments choose:
# `tests/long/build-types.sh gcc Release`.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
launcher=()
if command -v ccache > /dev/null; then launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache); fi

build() { # COMPILER TYPE
    cmake -G Ninja -S "$top" -B "$work/out" -DCMAKE_C_COMPILER="$1" -DCMAKE_BUILD_TYPE="$2" -DHPCC_WERROR=ON \
        "${launcher[@]}" > "$work/log" 2>&1 && cmake --build "$work/out" -- --quiet -k 0 > "$work/log" 2>&1
}

bad=0
for compiler in ${1:-gcc clang}; do
    for type in ${2:-None Debug Release RelWithDebInfo MinSizeRel}; do
        rm -rf "$work/out"
        if build "$compiler" "$type"; then
            echo "$compiler $type: no warning"
        else
            cat "$work/log"
            echo "$compiler $type: not clean"
            bad=1
        fi
    done
done
exit $bad
