#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Seeds for fuzz_squashfs: small images, with plain and with packed metadata, into the directory
# named.
set -eu
out=${1:?usage: squashfs-seeds.sh DIRECTORY}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tree=$work/tree
mkdir -p "$tree/sub/deep" "$tree/a"
echo hello >"$tree/hello"
head -c 13000 /dev/urandom >"$tree/a/file"
truncate -s 60000 "$tree/a/sparse"
printf x | dd of="$tree/a/sparse" bs=1 seek=50000 conv=notrunc status=none
ln -s sub/hello "$tree/fast"
ln -s "$(printf 'long/%.0s' {1..30})end" "$tree/slow"
ln "$tree/hello" "$tree/sub/deep/again"
mkfifo "$tree/sub/fifo"
for i in {1..40}; do : >"$tree/sub/deep/entry-with-a-name-$i"; done
setfattr -n user.small -v value "$tree/hello"
setfattr -n user.large -v "$(printf '%0400d' 7)" "$tree/hello"
setfattr -n user.large -v "$(printf '%0400d' 7)" "$tree/a/file"
if [ "$(id -u)" = 0 ]; then mknod "$tree/sub/device" c 1 3; fi

image() { # NAME WORDS…
    local name=$1
    shift
    mksquashfs "$tree" "$out/$name" -noappend -nopad -no-progress -quiet "$@" >/dev/null
}
plain="-noI -noD -noF -noX"
# shellcheck disable=SC2086
image plain $plain -b 4096
# shellcheck disable=SC2086
image plain-large $plain -b 1M -always-use-fragments
# shellcheck disable=SC2086
image plain-nofrag $plain -b 4096 -no-fragments -no-exports
image gzip -b 4096
image zstd -comp zstd -b 8192
image xz -comp xz
image lz4 -comp lz4
image lzo -comp lzo

# A directory with an index.
mkdir "$tree/index"
for i in {1..450}; do : >"$tree/index/an-entry-with-quite-a-long-name-$i"; done
# shellcheck disable=SC2086
image index $plain -b 4096
