#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Why an image is one file: the same Python start-up from a directory tree and from an image of it,
# both on a file system whose every metadata operation takes longer, as on a loaded parallel file
# system. BENCH_DELAYS: how much longer, in microseconds. Caches are dropped before each start.
# shellcheck source=tests/bench/_lib.sh
. "$(dirname "$0")/_lib.sh"
rounds=${BENCH_ROUNDS:-3}
delays=${BENCH_DELAYS:-0 100 500}
need cc=gcc pkg-config=pkgconf mke2fs=e2fsprogs
pkg-config --exists fuse3 || { echo "${0##*/}: needs: apt-get install libfuse3-dev" >&2; exit 77; }
make_images

scratch=$(mktemp -d /tmp/hpcc-bench-XXXXXX)
finish() {
    if mountpoint -q "$scratch/slow"; then umount "$scratch/slow" 2> /dev/null || umount -l "$scratch/slow"; fi
    rm -rf "$scratch"
}
trap finish EXIT
mkdir "$scratch/slow"
# shellcheck disable=SC2046 # the flags are words
cc -O2 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 "$top/tests/bench/slowfs.c" -o "$scratch/slowfs" \
    $(pkg-config --cflags --libs fuse3)

slow_down() { # MICROSECONDS
    "$scratch/slowfs" "$work" "$scratch/slow" "$1" &
    for _ in $(seq 100); do
        mountpoint -q "$scratch/slow" && return
        sleep 0.05
    done
    echo "slowfs did not mount" >&2
    exit 1
}
program='import json, email, http.client, logging, unittest, xml.dom.minidom'

seconds() { # WHAT
    local begin end
    drop_caches
    begin=$EPOCHREALTIME
    "$hpcc" exec --contain "$scratch/slow/$1" /usr/bin/python3 -B -c "$program"
    end=$EPOCHREALTIME
    awk -v a="$begin" -v b="$end" 'BEGIN { printf "%.4f\n", b - a }'
}

for delay in $delays; do
    slow_down "$delay"
    for ((i = 0; i < rounds; i++)); do
        record metadata cold "$delay" directory "$(seconds tree)"
        record metadata cold "$delay" image "$(seconds image)"
    done
    umount "$scratch/slow"
    wait
done
