#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# 1,000 runs in a row (or as many as $1 says), as root and as an ordinary user: no mount, loop device,
# process, namespace or file may be left, and the last runs may not be slower than the first.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/../e2e/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/../e2e/_root.sh"
need_user
runs=${1:-1000}
cd "$work"
make_root root
make_image root a.img

state() {
    echo "mounts $(grep -cE "hpcc|$work" /proc/self/mountinfo || true)"
    echo "loops $(grep -lsF "$work" /sys/block/loop*/loop/backing_file | wc -l)"
    echo "servers $(find /proc -maxdepth 3 -path '/proc/[0-9]*/exe' -lname "*$(basename "$hpcc")" 2> /dev/null | wc -l)"
    echo "files $(find "$work" | wc -l)"
}

series() {
    local before after i start first last
    before=$(state)
    for ((i = 0; i < runs; i++)); do
        if [ $((i % (runs / 10))) = 0 ]; then start=$(date +%s%N); fi
        me "$hpcc" exec a.img true || fail "$who: run $i fails"
        if [ $((i % (runs / 10))) = $((runs / 10 - 1)) ]; then
            last=$((($(date +%s%N) - start) / 1000000))
            first=${first:-$last}
        fi
    done
    sleep 1
    after=$(state)
    [ "$before" = "$after" ] || { out="$before"$'\n'"$after" fail "$who: something grew"; }
    [ "$last" -lt $((first * 3)) ] || fail "$who: a tenth of the runs took $first ms at first, $last ms at last"
    ok "$who: $runs runs leave nothing (a tenth took $first ms at first, $last ms at last)"
}
both series
