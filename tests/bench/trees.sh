#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Trees in and out of images against the tools that people use for it, in the same run; prints the
# median of 5 and the ratio. The tree is DIRECTORY, or one made of this host's documentation, Python
# and compiler.
#   tests/bench/trees.sh [DIRECTORY]
# HPCC names the binary (default out/release/bin/hpcc).
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
hpcc=${HPCC:-$top/out/release/bin/hpcc}
work=$(mktemp -d /var/tmp/hpcc-bench-XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"
tree=${1:-}
if [ -z "$tree" ]; then
    tree=$work/tree
    mkdir tree
    for part in /usr/share/doc /usr/share/perl /usr/lib/python3 /usr/lib/python3.11 /usr/lib/gcc; do
        if [ -d "$part" ]; then cp -a "$part" tree/; fi
    done
fi
bytes=$(du -s --apparent-size -B1 "$tree" | cut -f 1)
printf 'tree: %d files, %d MB\n\n' "$(find "$tree" | wc -l)" "$((bytes / 1000000))"

once() { # COMMAND: milliseconds, after taking away what it makes
    rm -rf made
    local from to
    from=$(date +%s%N)
    eval "$1" > /dev/null
    to=$(date +%s%N)
    echo $(((to - from) / 1000000))
}
median() { # COMMAND
    for _ in 1 2 3 4 5; do once "$1"; done | sort -n | sed -n 3p
}
compare() { # WHAT OURS THEIRS-NAME THEIRS
    local ours theirs
    ours=$(median "$2")
    theirs=$(median "$4")
    printf '%-28s %7d ms   %-12s %7d ms   %5.2f x\n' "$1" "$ours" "$3" "$theirs" \
        "$(awk "BEGIN { print $ours / ($theirs ? $theirs : 1) }")"
}

"$hpcc" -q import a.img "$tree"
"$hpcc" export a.img > a.tar
compare 'import of a directory' "$hpcc -q import made $tree" 'mke2fs -d' \
    "mke2fs -qF -t ext3 -b 4096 -d $tree made $((bytes / 500000 + 64))m"
compare 'import of an archive' "$hpcc -q import made a.tar" 'tar -x' 'mkdir made && tar -C made -xf a.tar'
compare 'export of an image' "$hpcc export a.img > made" 'tar -c' "tar -C $tree --sort=name --sparse --xattrs -cf made ."
compare 'export of a directory' "$hpcc export $tree > made" 'tar -c' "tar -C $tree --sort=name --sparse --xattrs -cf made ."
compare 'copy of all out of an image' "mkdir made && $hpcc copy a.img:/ made" 'cp -a' "cp -a $tree made"
compare 'copy of a file into an image' "$hpcc -q copy -F /etc/passwd a.img:/" 'cp of the image' 'cp --sparse=always a.img made'
compare 'list of all files' "$hpcc ls -R a.img" 'find' "find $tree"
