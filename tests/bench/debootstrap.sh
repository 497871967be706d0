#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc bootstrap against plain debootstrap, alternating, from the mirror of this machine's apt: wall and
# processor seconds of each run. Needs root. ROUNDS=3, SUITE=bookworm, INCLUDE=python3.
set -eu
hpcc=${HPCC:-out/release/bin/hpcc}
suite=${SUITE:-bookworm}
include=${INCLUDE:-python3}
work=$(mktemp -d "${TMPDIR:-/var/tmp}/hpcc-bench.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
export HPCC_CACHEDIR=$work/cache
TIMEFORMAT='%R %U %S'

printf 'Bootstrap: debootstrap\nOSVersion: %s\nInclude: %s\n' "$suite" "$include" > "$work/x.def"

# timed WHAT COMMAND…
timed() {
    local what=$1 t
    shift
    t=$({ time "$@" > "$work/log" 2>&1; } 2>&1) || {
        cat "$work/log" >&2
        exit 1
    }
    read -r real user sys <<< "$t"
    awk -v w="$what" -v r="$real" -v u="$user" -v s="$sys" \
        'BEGIN { printf "%-44s %6.1f s wall %6.1f s cpu\n", w, r, u + s }'
}

for _ in $(seq "${ROUNDS:-3}"); do
    timed 'debootstrap to a directory' debootstrap --variant=minbase --include="$include" "$suite" "$work/plain"
    rm -rf --one-file-system "$work/plain" "$work/cache" "$work"/*.img
    timed 'hpcc to an image, nothing kept' "$hpcc" bootstrap "$work/a.img" "$work/x.def"
    rm -rf "$work/cache/base"
    timed 'hpcc to an image, packages kept' "$hpcc" bootstrap "$work/b.img" "$work/x.def"
    timed 'hpcc to an image, base kept' "$hpcc" bootstrap "$work/c.img" "$work/x.def"
done
