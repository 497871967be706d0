#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Seeds for fuzz_reader: small images of every shape that the reader knows, into the directory named.
set -eu
out=${1:?usage: reader-seeds.sh DIRECTORY}
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tree=$work/tree
mkdir -p "$tree/sub/deep" "$tree/a"
echo hello >"$tree/sub/hello"
head -c 30000 /dev/urandom >"$tree/a/file"
truncate -s 900000 "$tree/a/sparse"
printf x | dd of="$tree/a/sparse" bs=1 seek=500000 conv=notrunc status=none
ln -s sub/hello "$tree/fast"
ln -s "$(printf 'long/%.0s' {1..30})end" "$tree/slow"
ln -s /sub "$tree/sub/link"
ln "$tree/sub/hello" "$tree/sub/deep/again"
mkfifo "$tree/sub/fifo"
for i in {1..40}; do : >"$tree/sub/deep/entry-$i"; done
setfattr -n user.small -v value "$tree/sub/hello"
setfattr -n user.large -v "$(printf '%0400d' 7)" "$tree/sub/hello"
setfacl -m u:7:r,g:8:rw "$tree/a/file" || true

image() { # NAME WORDS…
    local name=$1
    shift
    mke2fs -qF "$@" -N 96 -d "$tree" "$out/$name" "${size:-200}" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
}
image ext2-128 -t ext2 -b 1024 -I 128
image ext2-256 -t ext2 -b 1024 -I 256
image ext2-old -t ext2 -b 1024 -r 0
image ext2-2k -t ext2 -b 2048 -I 256
image ext2-4k -t ext2 -b 4096 -I 256
image ext2-plain -t ext2 -b 1024 -O ^filetype,^dir_index,^resize_inode
image ext4-nojournal -t ext4 -b 1024 -O ^has_journal
image ext4-nocsum -t ext4 -b 1024 -O ^has_journal,^metadata_csum,^64bit,uninit_bg,^resize_inode
image ext4-metabg -t ext4 -b 1024 -O ^has_journal,meta_bg,^resize_inode -g 256
size=2400 image ext3 -t ext3 -b 1024 -J size=1
size=2400 image ext4 -t ext4 -b 1024 -J size=1

# A journal that must be replayed: written by debugfs, then marked as not yet done.
cp "$out/ext3" "$out/ext3-dirty"
head -c 2048 /dev/zero | tr '\0' J >"$work/blocks"
debugfs -w -R "jo" "$out/ext3-dirty" >"$work/log" 2>&1 <"$work/blocks" || true
printf 'jo\njw -b 20,21 %s\njw -r 30,31\njc\n' "$work/blocks" >"$work/commands"
debugfs -w -f "$work/commands" "$out/ext3-dirty" >"$work/log" 2>&1
