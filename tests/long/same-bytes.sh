#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc built in two folders whose names differ in length, without a compiler cache: the same bytes.
# Arguments go to cmake, e.g. -DHPCC_BUILD=OFF.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for place in one/deep/tree another; do
    mkdir -p "$place"
    (cd "$top" && tar -c --exclude=./out --exclude=./.git .) | tar -x -C "$place"
    (cd "$place" && mkdir out && cmake --preset release -DBUILD_TESTING=OFF -DCMAKE_C_COMPILER_LAUNCHER= "$@" > log &&
        cmake --build --preset release -- --quiet)
done
for program in hpcc hpcc-full hpcc-squashfs; do
    if [ -e "another/out/release/bin/$program" ]; then
        cmp {one/deep/tree,another}/out/release/bin/$program
        sha256sum "another/out/release/bin/$program" | sed 's| .*/| |'
    fi
done
echo "the same bytes from two folders"
