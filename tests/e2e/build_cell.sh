#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a hostile base, package, mirror or section does to the one who builds: nothing. Each case has
# its control, hpcc-full-controls with the defences in question off, which lets the attack succeed.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
need_user
controls=$HPCC_BINARY_DIR/tests/hpcc-full-controls
[ -x "$controls" ] || skip "hpcc-full-controls is not built"
command -v cc > /dev/null || skip "needs a C compiler"
command -v busybox > /dev/null || skip "busybox is not installed"
export HPCC_DISABLE_CACHE=1 HPCC_E2E_SECRET=xyzzy
cd "$work"
chmod 777 .
mkdir -m 777 host
cc -static -D_GNU_SOURCE -DHOST_DIR="\"$work/host\"" -DKEY='"hpcc-e2e-build"' -o probe \
    "$HPCC_SOURCE_DIR/tests/e2e/_probe.c" || skip "cannot link statically"
cc -static -D_GNU_SOURCE -o attack "$HPCC_SOURCE_DIR/tests/e2e/_attack.c" || skip "cannot link statically"
mkdir -p bin
cp "$controls" bin/controls
chmod 755 bin/controls probe attack

me() { if [ "$who" = user ]; then as_user "$@"; else "$@"; fi; }

# attempt DEF [OFF]: $got is what the probe found in a build with the defences OFF switched off.
attempt() {
    local program=$hpcc
    [ -z "${2:-}" ] || program=$work/bin/controls
    rm -rf host/* "$who.img" "$who.img.log"
    out=$(me "$work/attack" with-key hpcc-e2e-build /usr/bin/env HPCC_TEST_OFF="${2:-}" "$program" -v bootstrap \
        --no-verify "$work/$who.img" "$1" 2>&1 < /dev/null) || true
    if [ -e "$who.img.log" ]; then out+=$(cat "$who.img.log"); fi
    # the lines of a base program are links in the image
    if [ -e "$who.img" ]; then
        for dir in found probed; do
            out+=$(debugfs -R "ls -p /$dir" "$who.img" 2> /dev/null | cut -d/ -f6 | sed "s:^:$dir/:")
        done
    fi
    grep -qE 'probed/all|zz/by-tar|Extracting ab-through' <<< "$out" || fail "the attack did not run: $1 as $who"
    got=$(grep -oE 'found/[a-z-]+' <<< "$out" | sort -u | tr '\n' ' ') || true
    got+=$(ls host)
}

nothing() { # CASE DEF
    attempt "$2"
    [ -z "$got" ] || fail "$1 ($who): $got"
    ok "$1 ($who)"
}

control() { # WANT DEF OFF
    attempt "$2" "$3"
    [[ " $got " == *$1* ]] || fail "with '$3' off the attack ($who) finds only '$got', not '$1'"
}

cat > base.def << DEF
Bootstrap: busybox
MirrorURL: file://$work/probe
DEF
cat > post.def << DEF
Bootstrap: busybox
%files
    $work/probe /probe
%post
    /probe
DEF
cat > test.def << DEF
Bootstrap: busybox
%files
    $work/probe /probe
%test
    /probe
DEF

for who in root user; do
    nothing 'C1: a fetched base program reaches nothing' base.def
    nothing 'C3, H1, M3: %post reaches no device, variable or key of the host' post.def
    nothing 'neither does %test' test.def
    control 'found/chroot' base.def 'cell-root cell-pids cell-caps cell-filter cell-env'
    control 'found/environ' post.def 'cell-env cell-caps cell-filter'
    control 'found/key' post.def 'keyring cell-filter'
    control 'found/proc-root' post.def 'cell-pids cell-env cell-caps cell-filter'
done
who=root
control 'found/device' post.def 'cell-caps nodev'
control 'found/mount' post.def 'cell-caps cell-filter'
ok "with the defences off, each of them does"

# ── a hostile mirror of Debian packages ──
if [ -x /usr/sbin/debootstrap ]; then
    package() { # NAME, its tree is in pkg/NAME
        mkdir -p "pkg/$1/DEBIAN" mirror/pool
        printf 'Package: %s\nVersion: 1\nArchitecture: amd64\nMaintainer: x <x@x>\nPriority: required\nSection: misc\nDescription: x\n' \
            "$1" > "pkg/$1/DEBIAN/control"
        dpkg-deb -Zgzip --root-owner-group -b "pkg/$1" "mirror/pool/$1.deb" > /dev/null
        cat "pkg/$1/DEBIAN/control"
        printf 'Filename: pool/%s.deb\nSize: %s\nSHA256: %s\n\n' "$1" "$(stat -c %s "mirror/pool/$1.deb")" \
            "$(sha256sum < "mirror/pool/$1.deb" | cut -d' ' -f1)"
    }
    mirror() { # NAME PACKAGES…: a mirror of these, and a definition that uses it
        local dist=mirror/dists/bookworm name=$1 f=main/binary-amd64/Packages
        shift
        rm -rf mirror
        mkdir -p $dist/main/binary-amd64
        for one in "$@"; do package "$one"; done > $dist/$f
        {
            printf 'Suite: stable\nCodename: bookworm\nDate: %s\nArchitectures: amd64\nComponents: main\nSHA256:\n' \
                "$(date -u '+%a, %d %b %Y %H:%M:%S UTC')"
            echo " $(sha256sum < $dist/$f | cut -d' ' -f1) $(stat -c %s $dist/$f) $f"
        } > $dist/Release
        chmod -R a+rX mirror
        mv mirror "$name"
        printf 'Bootstrap: debootstrap\nOSVersion: bookworm\nMirrorURL: file://%s\nArch: amd64\n' "$work/$name" > "$name.def"
    }
    mkdir -p pkg/aa-link pkg/ab-through/zz pkg/evil/bin pkg/evil/usr/share
    ln -s "$work/host" pkg/aa-link/zz
    echo x > pkg/ab-through/zz/by-tar
    cp probe pkg/evil/bin/true
    echo x > pkg/evil/usr/share/x
    mirror links aa-link ab-through apt usr-is-merged
    mirror program evil apt usr-is-merged
    for who in root user; do
        nothing "C2: what a package has debootstrap run reaches nothing" program.def
        nothing 'C2: tar follows no link out of the root' links.def
        control 'found/proc-root' program.def 'cell-pids cell-env cell-caps cell-filter'
        control 'by-tar' links.def 'cell-private'
    done
    ok "with the defences off, both get out"
fi

# ── a password in an address ──
if command -v python3 > /dev/null; then
    mkdir -p www/deb
    cp probe www/busybox
    if [ -d program ]; then cp -a program/. www/deb/; fi
    (cd www && exec python3 -u -m http.server --bind 127.0.0.1 0 > ../port 2> /dev/null) &
    server=$!
    stop_server() {
        touch "$work/stop"
        kill "$server"
    }
    cleanup_hooks+=(stop_server)
    for _ in $(seq 100); do
        if grep -q 'port [0-9]' port; then break; fi
        sleep 0.1
    done
    at=http://muser:e2epassword@127.0.0.1:$(grep -oE 'port [0-9]+' port | cut -d' ' -f2)
    # What ps shows of any process while hpcc runs; the definition is no part of its arguments.
    watch_ps() {
        while [ ! -e stop ]; do
            grep -laFf word /proc/[0-9]*/cmdline 2> /dev/null >> seen || true
        done
    }
    who=root
    printf 'Bootstrap: busybox\nMirrorURL: %s/busybox\n%%runscript\n    true\n' "$at" > secret.def
    printf 'Bootstrap: debootstrap\nOSVersion: bookworm\nMirrorURL: %s/deb\nArch: amd64\n' "$at" > secretdeb.def
    : > seen
    echo e2epassword > word # for greps whose own arguments must not show it
    watch_ps &
    watcher=$!
    nothing 'M4: a password of MirrorURL is not in the base' secret.def
    if grep -qaFf word root.img <<< "$out"; then fail "the image holds the password"; fi
    if [ -d program ]; then
        nothing 'M4: … nor in what packages see' secretdeb.def
        if grep -qFf word root.img.log <<< "$out"; then fail "the log holds the password"; fi
    fi
    touch stop
    wait "$watcher" || true
    [ ! -s seen ] || fail "ps shows the password: $(cat seen)"
    ok "neither ps, the image nor the log shows it"
fi

# ── a hostile package of rpm ──
if command -v rpmbuild > /dev/null && command -v createrepo_c > /dev/null; then
    cat > evil.spec << SPEC
Name: evil
Version: 1
Release: 1
Summary: t
License: x
AutoReqProv: no
Provides: bash coreutils rpm glibc filesystem
%description
x
%install
mkdir -p %{buildroot}/opt %{buildroot}/etc
echo x > %{buildroot}/etc/redhat-release
cp $work/probe %{buildroot}/opt/probe
%files
/etc/redhat-release
/opt/probe
%dev(c 1 5) /opt/zero
%post -p <lua>
for _, f in ipairs(posix.dir("/proc/self/fd")) do
    local name = posix.readlink("/proc/self/fd/" .. f) or "" -- of a file on a mount of its own: "/"
    if (name == "/" or name:find("[.]rpm$")) and io.open("/proc/self/fd/" .. f, "r+") then print("found/cache-by-lua") end
end
local h = io.open("/proc/self/environ")
if h and h:read("*a"):find("HPCC_E2E_SECRET") then print("found/environ-by-lua") end
local pid = posix.fork()
if pid == 0 then posix.exec("/opt/probe") end
posix.wait(pid)
SPEC
    rpmbuild -bb --quiet --define "_topdir $work/rb" --define "_rpmdir $work/rpms" --define '_build_id_links none' \
        --define '__os_install_post %{nil}' --define 'debug_package %{nil}' evil.spec > rpmbuild.txt 2>&1 || fail "rpmbuild: $(cat rpmbuild.txt)"
    createrepo_c -q --no-database rpms
    chmod -R a+rX rpms
    printf 'Bootstrap: yum\nMirrorURL: file://%s/rpms\nInclude: evil\n%%post\n    true\n' "$work" > rpm.def # no /bin/sh: the log is kept
    unset HPCC_DISABLE_CACHE
    who=root
    export HPCC_CACHEDIR=$work/cache
    nothing 'H1, M1: a scriptlet reaches neither variables nor the cache' rpm.def
    control 'found/cache-by-lua' rpm.def cell-shut
    control 'found/environ-by-lua' rpm.def 'cell-env cell-caps cell-filter'
fi
