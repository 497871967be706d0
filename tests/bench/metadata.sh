#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Why an image is one file: the same Python start-up from a directory tree and from an image, both on
# a file system whose every metadata operation takes MICROSECONDS (default 500) longer, as on a
# loaded parallel file system. Run as root:
#   tests/bench/metadata.sh [MICROSECONDS]
# HPCC names the binary (default out/release/bin/hpcc); IMAGE an image with python3, else one is
# bootstrapped.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
hpcc=${HPCC:-$top/out/release/bin/hpcc}
delay=${1:-500}
work=$(mktemp -d /var/tmp/hpcc-bench-XXXXXX)
mounts=()
finish() {
    for m in "${mounts[@]}"; do umount "$m" 2> /dev/null || umount -l "$m"; done
    rm -rf "$work"
}
trap finish EXIT

# shellcheck disable=SC2046 # the flags are words
cc -O2 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 "$top/tests/bench/slowfs.c" -o "$work/slowfs" \
    $(pkg-config --cflags --libs fuse3)

mkdir -p "$work/data/tree" "$work/slow"
if [ -n "${IMAGE:-}" ]; then
    cp --sparse=always "$IMAGE" "$work/data/py.img"
else
    printf 'Bootstrap: debootstrap\nOSVersion: bookworm\nInclude: python3\n' > "$work/py.def"
    "$hpcc" -q bootstrap "$work/data/py.img" "$work/py.def" > /dev/null
fi
"$hpcc" export "$work/data/py.img" | tar -xf - -C "$work/data/tree"

start_slowfs() {
    "$work/slowfs" "$work/data" "$work/slow" "$delay" &
    mounts+=("$work/slow")
    for _ in $(seq 100); do
        mountpoint -q "$work/slow" && return
        sleep 0.05
    done
    echo "slowfs did not mount" >&2
    exit 1
}
program='import json, email, http.client, logging, unittest, xml.dom.minidom'

seconds() { # COMMAND...: wall time of one start, cold
    sync
    echo 3 > /proc/sys/vm/drop_caches
    local from to
    from=$(date +%s%N)
    "$@" > /dev/null
    to=$(date +%s%N)
    echo $(((to - from) / 1000000))
}

start_slowfs
run() { "$hpcc" exec --contain "$1" /usr/bin/python3 -c "$program"; }
printf '%-34s %10s %10s\n' "python3 start-up, ${delay} us/operation" 'directory' 'image'
for n in 1 2 3; do
    tree=$(seconds run "$work/slow/tree")
    image=$(seconds run "$work/slow/py.img")
    printf '%-34s %7d ms %7d ms   directory/image %s\n' "start $n (cold)" "$tree" "$image" \
        "$(awk -v a="$tree" -v b="$image" 'BEGIN { printf "%.1f", a / b }')"
done
