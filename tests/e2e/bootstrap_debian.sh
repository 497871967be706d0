#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A real Debian from the mirror of this machine's apt: as root and as an ordinary user, then again
# from the cache.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
[ -x /usr/sbin/debootstrap ] || skip "debootstrap is not installed"
export HPCC_CACHEDIR=$work/cache
unset HPCC_DISABLE_CACHE
cd "$work"

cat > python.def << 'DEF'
Bootstrap: debootstrap
OSVersion: bookworm
Include: python3
%post
echo first > /made
%runscript
exec python3 "$@"
DEF
printf 'Bootstrap: debootstrap\nOSVersion: bookworm\nInclude: nosuch-package-x\n' > missing.def

out=$("$hpcc" bootstrap py.img python.def 2>&1 < /dev/null) || {
    if grep -q 'cannot fetch' <<< "$out"; then skip "the mirror of this machine's apt cannot be reached"; fi
    fail "bootstrap of bookworm"
}
[ ! -e py.img.log ] || fail "a log is kept although all went well"
ok "bookworm with python3 is bootstrapped from the mirror of the host's apt"

e2fsck -fn py.img > fsck.txt 2>&1 || fail "e2fsck: $(cat fsck.txt)"
expect 0 '^2$' "$hpcc" exec py.img python3 -c 'print(1 + 1)'
expect 0 '^ii' "$hpcc" exec py.img dpkg -l python3
expect 0 '' "$hpcc" exec py.img dpkg --audit
[ -z "$out" ] || fail "dpkg finds packages that are not configured"
ok "the image is clean, its packages are configured, python3 runs"

expect 0 '' "$hpcc" exec py.img cat /.singularity.d/hpcc/build.json
jq -e '.base | .agent == "debootstrap" and .suite == "bookworm" and .verified and (.signed_by | length == 40)
    and (.packages | map(.name) | contains(["python3", "libc6", "apt"]))' <<< "$out" > /dev/null ||
    fail "the image does not say how it was made"
expect 0 '^deb (http|ftp).* bookworm main$' "$hpcc" exec py.img cat /etc/apt/sources.list
expect 0 '^0$' "$hpcc" exec py.img sh -c 'ls /var/cache/apt/archives/*.deb /var/lib/apt/lists/*_* 2> /dev/null | wc -l'
ok "it says what it holds; no package, list or name server of the host is left in it"

sed -i 's/echo first/echo second/' python.def
start=$SECONDS
expect 0 'using the base root kept' "$hpcc" bootstrap --fresh py.img python.def
[ $((SECONDS - start)) -le 30 ] || fail "the kept base took $((SECONDS - start)) s"
expect 0 '^second$' "$hpcc" exec py.img cat /made
expect 0 '^2$' "$hpcc" exec py.img python3 -c 'print(1 + 1)'
expect 0 'bookworm' "$hpcc" cache list
expect 0 'freed' "$hpcc" cache clean base
ok "a changed %post takes the base from the cache"

refuse 3 "missing\.def:3: suite 'bookworm' has no package 'nosuch-package-x'" \
    "$hpcc" bootstrap bad.img missing.def
[ ! -e bad.img ] || fail "an image is there"
ok "a package that the suite lacks is told by its line"

mkdir small
mount -t tmpfs -o size=120m,mode=755 tmpfs small
unmount_small() { umount "$work/small"; }
cleanup_hooks+=(unmount_small)
refuse 5 'the disk is full|No space left' "$hpcc" bootstrap --tmpdir "$work/small" full.img python.def
[ ! -e full.img ] || fail "an image is there"
[ -z "$(ls -A small)" ] || fail "the stage is left: $(ls -A small)"
ok "a full disk is told, and the stage goes away"

need_user
if ! grep -q "^$test_user:" /etc/subuid; then
    echo "# no subuid range: the user's bootstrap is left out"
    exit 0
fi
cd "$work/user"
export HPCC_CACHEDIR=$work/user/cache
printf 'Bootstrap: debootstrap\nOSVersion: bookworm\n%%post\nid -u > /made\n' > small.def
expect 0 "built 'small.img'" as_user "$hpcc" bootstrap small.img small.def
expect 0 '^0$' as_user "$hpcc" exec small.img cat /made
e2fsck -fn small.img > fsck.txt 2>&1 || fail "e2fsck: $(cat fsck.txt)"
debugfs -R 'stat /var/log/btmp' small.img 2> /dev/null | grep -qE 'User: +0 +Group: +43' ||
    fail "owners inside the user's image are not the distribution's"
ok "an ordinary user bootstraps the same Debian, owners and all"
