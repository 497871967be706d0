#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# How long hpcc takes to make, fill, resize and export images, and how long the tools that people
# use for it: the least of $RUNS (5) runs each, in turn, on this machine, in seconds.
#   HPCC_BINARY_DIR=out/release tests/bench/image.sh [TREE…]
# TREE is a directory to pack (a Debian with python3-numpy, say); without one only a tree of 100,000
# small files is made and measured. Needs e2fsprogs, and root for trees that root owns.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/../e2e/_lib.sh"
full=$(dirname "$HPCC")/hpcc-full
packer=$HPCC_BINARY_DIR/tests/image-test_pack
runs=${RUNS:-5}
cd "$work"

# Seconds of one run; what it makes is synced inside the measured time, since hpcc syncs too.
seconds() {
    local began ended
    began=$(date +%s%N)
    "$@" > /dev/null 2> "$work/said" ||
        { cat "$work/said" >&2 && return 1; }
    ended=$(date +%s%N)
    echo $(((ended - began) / 1000))
}
least() { # A B: two functions run in turn; sets a and b to microseconds
    local i now
    a=0 b=0
    for ((i = 0; i < runs; i++)); do
        now=$(seconds "$1")
        if [ "$a" = 0 ] || [ "$now" -lt "$a" ]; then a=$now; fi
        now=$(seconds "$2")
        if [ "$b" = 0 ] || [ "$now" -lt "$b" ]; then b=$now; fi
    done
}
row() { # WHAT OTHER: after least
    awk -v w="$1" -v o="$2" -v a="$a" -v b="$b" \
        'BEGIN { printf "| %s | %.3f | %s | %.3f | %.2f |\n", w, a / 1e6, o, b / 1e6, a / b }'
}
disk() { echo "$(($(stat -c %b "$1") / 2048)) MiB"; }

ours_create() { rm -f o.img && "$full" -q create --size 32G o.img; }
their_create() { rm -f t.img && truncate -s 32G t.img && mkfs.ext3 -qF t.img && sync t.img; }
ours_pack() { rm -f o.img && "$packer" "$tree" o.img; }
their_pack() {
    rm -f t.img && truncate -s "$size" t.img &&
        mke2fs -qF -t ext3 -m 0 -N $((n_files * 9 / 8 + 100)) -J size=4 -d "$tree" t.img && sync t.img
}
ours_expand() { cp --sparse=always base.img o.img && "$full" -q expand --size 64G o.img; }
their_expand() {
    cp --sparse=always base.img t.img && truncate -s 64G t.img && e2fsck -fp t.img &&
        resize2fs t.img && sync t.img
}
ours_export() { "$full" export base.img -F -o o.tar; }
their_export() { tar --numeric-owner --xattrs -cf t.tar -C "$tree" . && sync t.tar; }

small_files() {
    mkdir -p small && cd small
    local i
    for i in $(seq 0 99); do
        mkdir -p "d$((i % 10))/s$i"
        (cd "d$((i % 10))/s$i" && seq 1000 | awk '{ f = sprintf("file%05d.py", $1)
            n = ($1 * 37) % 300; for (i = 0; i <= n; i++) print "0123456" > f; close(f) }')
    done
    cd ..
}

echo "| what | hpcc | against | seconds | ratio |"
echo "|---|---|---|---|---|"
least ours_create their_create
row "create 32 GiB ($(disk o.img) on disk)" "mkfs.ext3 ($(disk t.img))"
small_files
for tree in "$work/small" "$@"; do
    n_files=$(find "$tree" -xdev | wc -l)
    label="$n_files files, $(du -smx "$tree" | cut -f 1) MiB"
    size=$(($(du -smx "$tree" | cut -f 1) * 5 / 4 + 64))M
    least ours_pack their_pack
    row "pack $label" "mke2fs -d"
    e2fsck -fn o.img > fsck.log 2>&1 || fail "not clean: $(cat fsck.log)"
    echo "<!-- $(tail -n 1 fsck.log) -->"
    "$full" -q import --force --size 32G base.img "$tree"
    least ours_expand their_expand
    row "expand it from 32 to 64 GiB ($(disk o.img) on disk)" "e2fsck, resize2fs ($(disk t.img))"
    least ours_export their_export
    row "export it" "tar of the directory"
done
