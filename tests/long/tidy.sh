#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# clang-tidy with the checks of .clang-tidy has no remark about the rooms, or about the FILEs that are
# named. `tests/long/tidy.sh --fast FILE...` leaves out the analyzer, which takes most of the time.
set -eu
cd "$(dirname "$0")/../.."
fast=()
if [ "${1:-}" = --fast ]; then
    fast=('--checks=-clang-analyzer-*')
    shift
fi
if [ $# = 0 ]; then
    mapfile -t files < <(git ls-files 'base/*.c' 'deffile/*.c' 'jail/*.c' 'image/*.c' 'bootstrap/*.c' 'runtime/*.c' \
        'build/*.c' 'cli/*.c' 'contents/*.c')
    set -- "${files[@]}"
fi
mkdir -p out
cmake --preset clang -DBUILD_TESTING=OFF > out/configure.log 2>&1 || { cat out/configure.log && exit 1; }
printf '%s\n' "$@" | xargs -n 4 -P "$(nproc)" clang-tidy --quiet -p out/clang "${fast[@]}"
echo "$# files, no remark"
