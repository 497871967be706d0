# shellcheck shell=bash
# SPDX-License-Identifier: BSD-3-Clause
# What the parts of tests/bench/runtime share. Each of them prints one record a line for every single
# measurement, KIND<TAB>GROUP<TAB>ROW<TAB>TOOL<TAB>VALUE, which runtime_report.py makes tables of; a
# record of kind "skip" tells why there is no value. Parts can be run alone, as root:
#   BENCH_DIR=/var/tmp/bench tests/bench/runtime_files.sh
# BENCH_DIR keeps the trees and images, BENCH_BIN is the build directory (a release build).
set -eu
export LC_ALL=C.UTF-8
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$(readlink -f "${BENCH_BIN:-$top/out/release}")
hpcc=${HPCC:-$bin/bin/hpcc}
work=${BENCH_DIR:?a directory for trees and images, 6 GB}

need() { # PROGRAM=PACKAGE…
    local pair missing=()
    for pair in "$@"; do command -v "${pair%=*}" > /dev/null || missing+=("${pair#*=}"); done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "${0##*/}: needs: apt-get install ${missing[*]}" >&2
        exit 77
    fi
    [ "$(id -u)" = 0 ] || { echo "${0##*/}: needs root" >&2; exit 77; }
    [ -x "$hpcc" ] || { echo "${0##*/}: no '$hpcc': cmake --build --preset release" >&2; exit 77; }
}

record() { # KIND GROUP ROW TOOL VALUE
    printf '%s\t%s\t%s\t%s\t%s\n' "$@"
}

# The tree: what python3-numpy, perl and gcc need, as Debian installs it on this host; the mount
# points that images have; one file of 1 GiB without holes or patterns.
make_tree() {
    local packages tree=$work/tree.part
    dpkg-query -W python3-numpy perl git gcc > /dev/null || exit 77 # it names what is missing
    packages=$(apt-cache depends --recurse --installed --no-suggests --no-enhances --no-recommends \
        --no-conflicts --no-breaks --no-replaces python3-numpy bash coreutils tar findutils git perl gcc |
        grep '^[a-z0-9]' | sort -u)
    rm -rf "$tree"
    mkdir -p "$tree"/usr/{bin,sbin,lib,lib64}
    for link in bin sbin lib lib64; do ln -sn "usr/$link" "$tree/$link"; done
    # shellcheck disable=SC2086 # names of packages
    dpkg -L $packages 2> /dev/null | sort -u |
        tar -C / --no-recursion --ignore-failed-read -cf - -T - 2> /dev/null |
        tar -C "$tree" --keep-directory-symlink -xf - || true
    # as the packages' scripts would have set them
    cp -a /etc/alternatives "$tree/etc/"
    find / -xdev -path /proc -prune -o -type l -lname '/etc/alternatives/*' -print 2> /dev/null |
        grep '^/usr/lib' | tar -C / -cf - -T - 2> /dev/null | tar -C "$tree" -xf -
    ldconfig -r "$tree"
    chroot "$tree" /usr/bin/python3 -m compileall -q /usr/lib/python3 /usr/lib/python3.11 > /dev/null || true
    mkdir -p "$tree"/{dev,proc,sys,tmp,home,root,run,mnt,media,opt,srv,var/tmp}
    touch "$tree"/etc/{passwd,group,hosts,resolv.conf,localtime}
    head -c 1G /dev/urandom > "$tree/big"
    mv "$tree" "$work/tree"
}

# The tree, an ext3 image and a squashfs image of it, made when they are not there.
make_images() {
    mkdir -p "$work"
    chmod 755 "$work"
    [ -d "$work/tree" ] || make_tree
    if [ ! -s "$work/image" ]; then
        mke2fs -qF -t ext3 -b 4096 -J size=8 -m 0 -d "$work/tree" "$work/part" 3G > /dev/null
        mv "$work/part" "$work/image"
    fi
    if [ ! -s "$work/squashfs" ]; then
        mksquashfs "$work/tree" "$work/part" -comp zstd -quiet -no-progress > /dev/null
        mv "$work/part" "$work/squashfs"
    fi
}

# From here on before all others (-20), or as they are (0): what else the machine does matters less.
# Not for cold work: the loop device's own threads would have to wait.
priority() { renice -n "$1" -p $$ > /dev/null; }

drop_caches() {
    sync
    echo 3 > /proc/sys/vm/drop_caches
}
