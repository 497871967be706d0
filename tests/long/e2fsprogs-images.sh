#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# I01 of docs/security.md: the damaged file systems that e2fsprogs tests its e2fsck with. Each is listed,
# exported, inspected and run by an hpcc built with sanitizers: an answer or one clear error, no report, no
# more than the time and memory given. Prints what became of how many.
# e2fsprogs-images.sh DIRECTORY: of the source (Debian: apt-get source --download-only e2fsprogs, then tar).
set -eu
export LC_ALL=C.UTF-8
top=$(cd "$(dirname "$0")/../.." && pwd)
hpcc=${HPCC:-$top/out/dev/bin/hpcc}
source=${1:?usage: e2fsprogs-images.sh DIRECTORY}
seconds=${HPCC_SECONDS:-10}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:hard_rss_limit_mb=512
chmod 755 "$work"
opened=0 refused=0 partly=0 n=0 worst=0

complain() {
    echo "$name: $1: $2"
    head -n 30 "$work/err"
    exit 1
}

try() { # COMMAND…: sets rc
    local begin=${EPOCHREALTIME/./} took
    rc=0
    timeout -k 1 $((seconds * 5)) "$hpcc" "$@" > "$work/out" 2> "$work/err" < /dev/null || rc=$?
    took=$(((${EPOCHREALTIME/./} - begin) / 1000))
    if [ "$took" -gt "$worst" ]; then worst=$took slowest="$name: $1"; fi
    if grep -qE 'Sanitizer|runtime error' "$work/err"; then complain "$1" "a report"; fi
    if [ "$took" -gt $((seconds * 1000)) ]; then complain "$1" "$took ms"; fi
    case $rc in
        0) ;;
        1 | 3 | 4 | 125) [ "$(grep -c '^hpcc: error: ' "$work/err")" = 1 ] || complain "$1" "not one error, status $rc" ;;
        126 | 127) [ "$1" = exec ] || complain "$1" "status $rc" ;;
        *) complain "$1" "status $rc" ;;
    esac
}

while read -r packed; do
    name=$(basename "$(dirname "$packed")")/$(basename "$packed")
    case $packed in
        *.gz) gzip -dc "$packed" > "$work/packed" ;;
        *) bzip2 -dc "$packed" > "$work/packed" ;;
    esac
    cp --sparse=always "$work/packed" "$work/x.img"
    before=$(sha256sum < "$work/x.img")
    n=$((n + 1))
    try inspect "$work/x.img"
    try ls -lR "$work/x.img"
    listed=$rc
    try export "$work/x.img"
    case $listed$rc in
        00) opened=$((opened + 1)) ;;
        *) if [ "$(wc -c < "$work/out")" -gt 0 ] || [ "$listed" = 0 ]; then partly=$((partly + 1)); else refused=$((refused + 1)); fi ;;
    esac
    chmod 644 "$work/x.img"
    try exec -C -u "$work/x.img" true
    [ "$before" = "$(sha256sum < "$work/x.img")" ] || complain all "the image was changed"
done < <(find "$source" -path '*/tests/*' \( -name 'image*.gz' -o -name 'image*.bz2' -o -name '*.img.gz' \) | sort)
[ "$n" -gt 0 ] || { echo "no images below $source"; exit 1; }
echo "$n images: $opened read whole, $partly in part, $refused refused; slowest $worst ms (${slowest:-})"
