#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc create: what it makes, what it refuses, what it leaves behind.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cd "$work"

expect 0 "created 'a.img': 32 GiB, of which" "$hpcc" create --size 32G a.img
[ "$(stat -c %s a.img)" = $((32 << 30)) ] || fail "size is $(stat -c %s a.img)"
[ $(($(stat -c %b a.img) * 512)) -lt $((8 << 20)) ] || fail "takes $(stat -c %b a.img) blocks of disk"
expect 0 'ext3 filesystem' file a.img
expect 0 '' e2fsck -fn a.img
[ "$(head -n 1 a.img | tr -d '\0')" = '#!/usr/bin/env run-hpcc' ] || fail "no #! line"
[ -x a.img ] || fail "not executable"
ok "32 GiB take less than 8 MiB and are a clean ext3"

for size in 0 -1 1.5 9999P 12Q '' ' 1G' 1G1 0x10 +1G 1e3; do
    refuse 2 '32G' "$hpcc" create --size "$size" bad.img
done
refuse 3 '' "$hpcc" create --size 1M bad.img
refuse 3 '' "$hpcc" create --size 17T bad.img
[ ! -e bad.img ] || fail "a refused size left a file"
ok "nonsense sizes are refused with the accepted forms"

for pair in 8:8388608 8M:8388608 8MiB:8388608 8192K:8388608 0.0625G:67108864; do
    expect 0 '' "$hpcc" create --force --size "${pair%%:*}" s.img
    [ "$(stat -c %s s.img)" = "${pair##*:}" ] || fail "--size ${pair%%:*} gives $(stat -c %s s.img)"
done
ok "all forms of a size mean what they say"

expect 0 '' "$hpcc" create d.img
[ "$(stat -c %s d.img)" = $((1 << 30)) ] || fail "default size is $(stat -c %s d.img)"
ok "the default is 1 GiB"

echo precious > p.img
before=$(listing p.img)
refuse 1 'exists already' "$hpcc" create --size 8M p.img
[ "$(cat p.img)" = precious ] || fail "an existing file was overwritten"
[ "$(listing p.img)" = "$before" ] || fail "an existing file was touched"
expect 0 '' "$hpcc" create --force --size 8M p.img
expect 0 'ext3' file p.img
ok "an existing file needs --force"

refuse 2 'is a directory' "$hpcc" create --force .
refuse 1 'No such file or directory' "$hpcc" create nowhere/x.img
mkfifo pipe
refuse 2 'not a regular file' "$hpcc" create --force pipe
ok "directories, missing folders and pipes are refused"

"$hpcc" create --json --size 8M j.img | jq -e '.image == "j.img" and .size_bytes == 8388608 and .disk_bytes > 0' > /dev/null ||
    fail "--json is not what it should be"
ok "--json is one document"

ln -s target.img link.img
refuse 1 'exists already' "$hpcc" create --size 8M link.img
echo old > target.img
expect 0 '' "$hpcc" create --force --size 8M link.img
[ -L link.img ] || fail "the link was replaced"
expect 0 'ext3' file target.img
ok "a symlink stays, what it names is replaced"

expect 0 '' "$hpcc" create --size 8M $'esc\033[31m.img'
! grep -q $'\033' <<< "$out" || fail "a hostile name reached the terminal"
ok "a hostile file name is made printable"

if [ "$(id -u)" = 0 ]; then
    need_user
    as_user "$hpcc" -q create --size 8M "$work/user/u.img" || fail "an ordinary user cannot create"
    [ "$(stat -c %U user/u.img)" = "$test_user" ] || fail "the image is not the user's"
    mkdir locked
    refuse 1 'Permission denied' as_user "$hpcc" create "$work/locked/x.img"
    [ -z "$(ls -A locked)" ] || fail "something is in the locked folder"
    ok "any user may create where he may write"

    mkdir tiny
    mount -t tmpfs -o size=64k none tiny
    untiny() { umount "$work/tiny"; }
    cleanup_hooks+=(untiny)
    refuse 1 'No space left|disk is full' "$hpcc" create --size 32G tiny/x.img
    [ -z "$(ls -A tiny)" ] || fail "a full disk keeps $(ls -A tiny)"
    ok "a full disk leaves nothing behind"
fi

left=$(find . -mindepth 1 -maxdepth 1 -regextype egrep ! -regex \
    '\./(([adjps]|link|target|esc.*)\.img|pipe|user|locked|tiny|bin)')
[ -z "$left" ] || fail "files of hpcc's own are left: $left"
ok "nothing else was made"
