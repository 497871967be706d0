#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What writes an image, with its k-th call failing for good (ENOSPC, EIO) or killing it: the command
# says so, the old image stays or the new one is whole, nothing is left behind. Every k, or every
# STEP-th:  tests/long/image-faults.sh [STEP]
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/../e2e/_lib.sh"
command -v strace > /dev/null || skip "needs strace"
strace -o /dev/null true 2> /dev/null || skip "strace may not trace here"
command -v e2fsck > /dev/null || skip "needs e2fsck"
step=${1:-1}
full=$(dirname "$HPCC")/hpcc-full
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 # it cannot run in a traced process
mkdir "$work/t" "$work/tree" "$work/other"
cd "$work/t"

head -c 5000000 /dev/urandom > "$work/tree/data"
seq 20000 > "$work/tree/text"
mkdir "$work/tree/dir"
seq 400 | (cd "$work/tree/dir" && xargs -I N sh -c 'echo N > file-with-a-longer-name-N')
ln "$work/tree/data" "$work/tree/dir/hard"
ln -s dir/hard "$work/tree/link"
echo other > "$work/other/file"

# Every call by which a file comes to be or is named. strace counts each call for itself.
calls="pwrite64 ftruncate fallocate fchmod fchown fsync linkat renameat renameat2"

# Names, types, modes, owners, sizes and data; not times, since a new root has the present one.
content() {
    "$full" export "$1" > "$work/tar" 2> /dev/null
    { tar -tvf "$work/tar" --numeric-owner | awk '{ $4 = $5 = ""; print }' && tar -xOf "$work/tar"; } |
        sha256sum | cut -c 1-16
}

# Prepare x.img before each run of CASE, or leave it out.
prepare() {
    rm -f x.img
    case $1 in
    expand | shrink | copy) cp --sparse=always "$work/base.img" x.img ;;
    import | untar) cp --sparse=always "$work/old.img" x.img ;;
    esac
}
command_of() {
    case $1 in
    create) argv=("$full" -q create --size 16M x.img) ;;
    import) argv=("$full" -q import --force x.img "$work/tree") ;;
    untar) argv=("$full" -q import --force x.img "$work/tree.tar") ;;
    copy) argv=("$full" -q copy --force "$work/other/file" x.img:/dir/) ;;
    expand) argv=("$full" -q expand --size 96M x.img) ;;
    shrink) argv=("$full" -q shrink --minimum x.img) ;;
    esac
}
"$full" -q import --size 24M "$work/base.img" "$work/tree"
"$full" -q import --size 24M "$work/old.img" "$work/other"
tar -C "$work/tree" -cf "$work/tree.tar" .

# x.img must be absent, or clean and of one of the contents given.
is_one_of() {
    local now want
    if [ ! -e x.img ]; then
        [ "$1" = absent ] || fail "$what: the image is gone"
        return 0
    fi
    e2fsck -fn x.img > fsck.log 2>&1 || fail "$what: not clean: $(cat fsck.log)"
    rm -f fsck.log
    now=$(content x.img)
    for want; do
        if [ "$want" = "$now" ]; then return 0; fi
    done
    fail "$what: the content is neither the old nor the new one"
}
no_leftovers() {
    local left
    left=$(find . -mindepth 1 ! -name x.img)
    [ -z "$left" ] || fail "$what: left behind: $left"
}

faults=0 reported=0 unaffected=0 kills=0
# fault CASE CALLS ERROR K OLD NEW
fault() {
    local status=0
    what="$1, $3 at call $4 of $2"
    prepare "$1"
    strace -f -qq -o /dev/null -e "trace=$2" -e "inject=$2:error=$3:when=$4+" "${argv[@]}" \
        > "$work/said" 2>&1 < /dev/null || status=$?
    faults=$((faults + 1))
    no_leftovers
    if [ "$status" = 0 ]; then
        unaffected=$((unaffected + 1))
        echo "# unaffected: $what"
        is_one_of "$6"
    else
        reported=$((reported + 1))
        # The last call, the directory's fsync, comes when the new name is there already.
        is_one_of "$5" "$([ "$2" != fsync ] || echo "$6")"
        grep -q '^hpcc: error: ' "$work/said" || fail "$what: no error is told: $(cat "$work/said")"
    fi
}
# kill_at CASE CALLS K OLD NEW
kill_at() {
    what="$1, killed at call $3 of $2"
    prepare "$1"
    { strace -f -qq -o /dev/null -e "trace=$2" -e "inject=$2:signal=KILL:when=$3" "${argv[@]}" \
        > /dev/null 2>&1 < /dev/null || true; } 2> /dev/null
    kills=$((kills + 1))
    is_one_of "$4" "$5"
    # A kill between two names leaves a hidden one, which the next writer sweeps away.
    "$full" -q create --force --size 16M x.img
    no_leftovers
}
count_calls() { # CASE CALLS
    prepare "$1"
    strace -f -qq -o "$work/trace" -e "trace=$2" "${argv[@]}" > /dev/null 2>&1 < /dev/null
    grep -cE '^[0-9]+ +[a-z0-9]+\(' "$work/trace" || true
}

for name in create import untar copy expand shrink; do
    command_of "$name"
    prepare "$name"
    old=absent
    if [ -e x.img ]; then old=$(content x.img); fi
    "${argv[@]}" > /dev/null
    new=$(content x.img)
    faults=0 reported=0 unaffected=0 kills=0
    for call in $calls; do
        n=$(count_calls "$name" "$call")
        for ((k = 1; k <= n; k += step)); do
            fault "$name" "$call" ENOSPC "$k" "$old" "$new"
            fault "$name" "$call" EIO "$k" "$old" "$new"
            kill_at "$name" "$call" "$k" "$old" "$new"
        done
    done
    ok "$name: $faults faults, $reported reported, $unaffected unaffected, 0 silent; $kills kills, 0 leftovers"
done
