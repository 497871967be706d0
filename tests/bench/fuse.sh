#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# File work through the FUSE server against a kernel loop mount, fuse2fs and squashfuse_ll, side by
# side in one run. Needs root, python3-numpy, fio, fuse2fs, squashfuse, squashfs-tools, and 6 GB.
#   fuse.sh [BINARY_DIR] [MOUNTS]     e.g. fuse.sh out/release "loop hpcc"
set -eu
bin=$(readlink -f "${1:-out/release}")
mounts=${2:-loop hpcc fuse2fs squashfuse_ll}
work=${BENCH_DIR:-/var/tmp/hpcc-bench}
rounds=${BENCH_ROUNDS:-12}
mkdir -p "$work"

umount_it() {
    for kind in $mounts; do
        while mountpoint -q "$work/$kind"; do umount "$work/$kind" || umount -l "$work/$kind"; done
    done
}
trap 'umount_it' EXIT

# The tree: what numpy needs, as Debian installs it, and one file of 1 GiB.
make_tree() {
    local packages
    packages=$(apt-cache depends --recurse --installed --no-suggests --no-enhances --no-recommends \
        --no-conflicts --no-breaks --no-replaces python3-numpy bash coreutils tar findutils git perl gcc |
        grep '^[a-z0-9]' | sort -u)
    mkdir -p "$work"/tree/usr/{bin,sbin,lib,lib64}
    for link in bin sbin lib lib64; do ln -sn "usr/$link" "$work/tree/$link"; done
    # shellcheck disable=SC2086
    dpkg -L $packages 2>/dev/null | sort -u |
        tar -C / --no-recursion --ignore-failed-read -cf - -T - 2>/dev/null | tar -C "$work/tree" --keep-directory-symlink -xf - || true
    # as the packages' scripts would have set them
    cp -a /etc/alternatives "$work/tree/etc/"
    find / -xdev -path /proc -prune -o -type l -lname '/etc/alternatives/*' -print 2>/dev/null |
        grep '^/usr/lib' | tar -C / -cf - -T - 2>/dev/null | tar -C "$work/tree" -xf -
    chroot "$work/tree" /usr/bin/python3 -m compileall -q /usr/lib/python3 /usr/lib/python3.11 >/dev/null || true
    head -c 1G /dev/urandom >"$work/tree/big"
}

prepare() {
    [ -d "$work/tree" ] || make_tree
    [ -s "$work/image" ] || mke2fs -qF -t ext3 -b 4096 -J size=8 -m 0 -d "$work/tree" "$work/image" 3G
    [ -s "$work/squash" ] || mksquashfs "$work/tree" "$work/squash" -comp zstd -quiet -no-progress >/dev/null
}

mount_it() { # KIND
    mnt=$work/$1
    mkdir -p "$mnt"
    case $1 in
    loop) mount -o loop,ro,noload "$work/image" "$mnt" ;;
    hpcc) "$bin/tests/bench_serve" "$work/image" "$mnt" ;;
    fuse2fs) fuse2fs -o ro,allow_other "$work/image" "$mnt" >/dev/null ;;
    squashfuse_ll) squashfuse_ll -o allow_other "$work/squash" "$mnt" ;;
    esac
}

work_find() { find "$mnt" -xdev -printf '%s %m %T@\n' >/dev/null; }
work_numpy4() {
    for _ in 1 2 3 4; do chroot "$mnt" /usr/bin/python3 -B -c 'import numpy' & done
    wait
}
work_py1() { chroot "$mnt" /usr/bin/python3 -B -c pass; }
work_seq1g() { dd if="$mnt/big" of=/dev/null bs=1M status=none; }
work_tar() { tar -C "$mnt" --exclude=./big --one-file-system -cf - . | cat >/dev/null; }
work_rand() {
    fio --name=r --filename="$mnt/big" --readonly --rw=randread --bs=4k --size=1g --io_size=96m \
        --invalidate=0 --randseed=7 --ioengine=psync --output-format=terse >/dev/null
}

seconds() { # WORK KIND
    mnt=$work/$2
    local begin=$EPOCHREALTIME
    "work_$1" >/dev/null 2>"$work/stderr" || { cat "$work/stderr" >&2; exit 1; }
    awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.4f\n", b - a }'
}

# The best of all rounds, in turns, so that what else the machine does hits all alike.
measure() { # WORK
    local kind i
    for ((i = 0; i < (rounds + 3) / 4; i++)); do
        for kind in $mounts; do
            mount_it "$kind"
            sync
            echo 3 >/proc/sys/vm/drop_caches
            echo "$1 $kind cold $(seconds "$1" "$kind")"
            umount_it
        done
    done
    for kind in $mounts; do
        mount_it "$kind"
        seconds "$1" "$kind" >/dev/null
    done
    for ((i = 0; i < rounds; i++)); do
        for kind in $mounts; do echo "$1 $kind warm $(seconds "$1" "$kind")"; done
    done
    umount_it
}

prepare
for w in ${BENCH_WORKS:-find numpy4 py1 seq1g tar rand}; do measure "$w"; done >"$work/results"

awk '
    $3 == "cold" && (!(($1, $2) in cold) || $4 < cold[$1, $2]) { cold[$1, $2] = $4 }
    $3 == "warm" && (!(($1, $2) in warm) || $4 < warm[$1, $2]) { warm[$1, $2] = $4 }
    {
        if (!($1 in w)) { w[$1]; ws[++nw] = $1 }
        if (!($2 in m)) { m[$2]; ms[++nm] = $2 }
    }
    END {
        printf "%-8s", "cold"; for (i = 1; i <= nm; i++) printf "%16s", ms[i]; print "   hpcc/loop time"
        for (j = 1; j <= nw; j++) {
            printf "%-8s", ws[j]
            for (i = 1; i <= nm; i++) printf "%16.3f", cold[ws[j], ms[i]]
            printf "   %.2f\n", cold[ws[j], "loop"] ? cold[ws[j], "hpcc"] / cold[ws[j], "loop"] : 0
        }
        printf "%-8s", "warm"; for (i = 1; i <= nm; i++) printf "%16s", ms[i]; print "   speed: of loop, over fuse2fs, over squashfuse_ll"
        for (j = 1; j <= nw; j++) {
            printf "%-8s", ws[j]
            for (i = 1; i <= nm; i++) printf "%16.3f", warm[ws[j], ms[i]]
            h = warm[ws[j], "hpcc"]
            if (h) printf "   %.2f  %.1f  %.1f", warm[ws[j], "loop"] / h, warm[ws[j], "fuse2fs"] / h, warm[ws[j], "squashfuse_ll"] / h
            print ""
        }
    }' "$work/results"
