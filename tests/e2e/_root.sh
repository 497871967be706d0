# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Sourced by the tests of run, exec, shell and test: small images, and the same check as root and as
# an ordinary user.
#   make_root DIR        a busybox system with hpcc's layout
#   make_image DIR IMG   an ext3 image of it
#   soon CMD…            try again for some seconds until CMD succeeds
#   both CHECK           call CHECK twice: $who is "root" or "user", $me runs a command as that one
command -v busybox > /dev/null || skip "needs busybox"
command -v mke2fs > /dev/null || skip "needs mke2fs"

make_root() {
    local name
    mkdir -p "$1"/{bin,etc,dev,proc,sys,tmp,var/tmp,home,root,usr,opt,run,.singularity.d/env}
    chmod 1777 "$1/tmp" "$1/var/tmp"
    cp "$(command -v busybox)" "$1/bin/busybox"
    for name in sh cat ls echo env id pwd true false sleep kill grep head readlink stat touch mkdir rm \
        hostname ps mount umount mknod unshare chroot test wc tty ln dd ifconfig setsid date; do
        ln -sf busybox "$1/bin/$name"
    done
    echo 'root:x:0:0:root:/root:/bin/sh' > "$1/etc/passwd"
    echo 'root:x:0:' > "$1/etc/group"
    : > "$1/etc/resolv.conf"
    : > "$1/etc/hosts"
    echo 'export FROM_IMAGE=image BOTH=image' > "$1/.singularity.d/env/90-environment.sh"
    # shellcheck disable=SC2016
    printf '#!/bin/sh\necho "args $#"\nfor a; do echo "<$a>"; done\n' > "$1/.singularity.d/runscript"
    printf '#!/bin/sh\necho testing\nexit 3\n' > "$1/.singularity.d/test"
    chmod 755 "$1/.singularity.d/runscript" "$1/.singularity.d/test"
}

make_image() {
    rm -f "$2"
    truncate -s 16M "$2"
    mke2fs -q -F -t ext3 -d "$1" "$2"
}

me() {
    if [ "$who" = user ]; then as_user "$@"; else "$@"; fi
}

# Try until it works: a server that goes takes its lock along a moment after its program.
soon() {
    for _ in $(seq 50); do
        if "$@" > /dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    expect 0 '' "$@"
}

both() {
    for who in root user; do
        if [ "$who" = root ] && [ "$(id -u)" != 0 ]; then continue; fi
        "$1"
    done
}
