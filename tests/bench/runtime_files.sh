#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# File work through hpcc's FUSE server (ext3 and squashfs) against a kernel loop mount, fuse2fs and
# squashfuse_ll, cold and warm, in turns. BENCH_WORKS and BENCH_MOUNTS choose, e.g. BENCH_MOUNTS="loop hpcc".
# shellcheck source=tests/bench/_lib.sh
. "$(dirname "$0")/_lib.sh"
rounds=${BENCH_ROUNDS:-12}
mounts=${BENCH_MOUNTS:-loop hpcc fuse2fs hpcc-squashfs squashfuse_ll}
works=${BENCH_WORKS:-find numpy4 python seq1g random tar}
need mke2fs=e2fsprogs mksquashfs=squashfs-tools fuse2fs=fuse2fs squashfuse_ll=squashfuse fio=fio
make_images

umount_all() {
    local kind
    for kind in $mounts; do
        while mountpoint -q "$work/mnt/$kind"; do
            umount "$work/mnt/$kind" 2> /dev/null || umount -l "$work/mnt/$kind"
        done
    done
}
trap umount_all EXIT

mount_it() { # KIND
    local mnt=$work/mnt/$1
    mkdir -p "$mnt"
    case $1 in
    loop) mount -o loop,ro,noload "$work/image" "$mnt" ;;
    hpcc) "$bin/tests/bench_serve" "$work/image" "$mnt" ;;
    hpcc-squashfs) "$bin/tests/bench_serve" "$work/squashfs" "$mnt" ;;
    fuse2fs) fuse2fs -o ro,allow_other "$work/image" "$mnt" > /dev/null ;;
    squashfuse_ll) squashfuse_ll -o allow_other "$work/squashfs" "$mnt" ;;
    *) echo "no such mount: $1" >&2 && return 1 ;;
    esac
}

# The work, in the directory mnt.
do_find() { find "$mnt" -xdev -printf '%s %m %T@\n' > /dev/null; }
do_numpy4() {
    local pids=()
    for _ in 1 2 3 4; do
        chroot "$mnt" /usr/bin/python3 -B -c 'import numpy' &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
}
do_python() { chroot "$mnt" /usr/bin/python3 -B -c pass; }
do_seq1g() { dd if="$mnt/big" of=/dev/null bs=1M status=none; }
do_tar() { tar -C "$mnt" --exclude=./big --one-file-system -cf - . | cat > /dev/null; }
do_random() {
    fio --name=r --filename="$mnt/big" --readonly --rw=randread --bs=4k --size=1g --io_size=96m \
        --invalidate=0 --randseed=7 --ioengine=psync --output-format=terse > /dev/null
}

seconds() { # WORK KIND
    local mnt=$work/mnt/$2 begin=$EPOCHREALTIME end
    "do_$1" > /dev/null 2> "$work/stderr" || { cat "$work/stderr" >&2; exit 1; }
    end=$EPOCHREALTIME
    awk -v a="$begin" -v b="$end" 'BEGIN { printf "%.4f\n", b - a }'
}

measure() { # WORK
    local kind i
    for ((i = 0; i < (rounds + 3) / 4; i++)); do
        for kind in $mounts; do
            mount_it "$kind"
            drop_caches
            record files cold "$1" "$kind" "$(seconds "$1" "$kind")"
            umount_all
        done
    done
    priority -20
    for kind in $mounts; do
        mount_it "$kind"
        seconds "$1" "$kind" > /dev/null
    done
    for ((i = 0; i < rounds; i++)); do
        for kind in $mounts; do record files warm "$1" "$kind" "$(seconds "$1" "$kind")"; done
    done
    priority 0
    umount_all
}

for w in $works; do measure "$w"; done
