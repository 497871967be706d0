#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc copy: files into images and out of them, as root and as an ordinary user.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cd "$work"

mkdir -p base/etc base/opt base/usr/lib host/sub
ln -s usr/lib base/lib
echo one > base/etc/one
printf x > base/opt/keep
printf y > base/opt/hard
ln base/opt/hard base/opt/link
echo new > host/file
echo deep > host/sub/deep
ln host/file host/sub/again
ln -s file host/symlink
chmod 4755 host/file
truncate -s 30M host/sub/sparse
head -c 40M /dev/urandom > big
"$hpcc" -q import --size 32M a.img base
uuid() { dumpe2fs -h "$1" 2> /dev/null | grep -E 'UUID|Hash Seed|volume name'; }
clean() { e2fsck -fn "$1" > fsck.log 2>&1 || fail "e2fsck: $(cat fsck.log)"; }
before=$(uuid a.img)

expect 0 '' "$hpcc" copy host/file a.img:/etc/
[ "$("$hpcc" cat a.img:/etc/file)" = new ] || fail "the file is not there"
[ "$("$hpcc" ls --json -d a.img:/etc/file | jq -c '.[0] | [.mode, .uid]')" = '["0755",0]' ] || fail "owner or mode"
expect 0 '' "$hpcc" copy host a.img:/opt/new
[ "$("$hpcc" cat a.img:/opt/new/sub/deep)" = deep ] || fail "the directory is not there"
[ "$("$hpcc" ls --json -d a.img:/opt/new/sub/again | jq '.[0].links')" = 2 ] || fail "the hard link is gone"
[ "$("$hpcc" ls --json -d a.img:/opt/new/sub/sparse | jq '.[0].disk_bytes')" = 0 ] || fail "the hole is gone"
expect 0 '' "$hpcc" copy host/. a.img:/lib
[ "$("$hpcc" cat a.img:/usr/lib/sub/deep)" = deep ] || fail "a link to a directory was not followed"
expect 0 '' "$hpcc" copy host/file host/symlink a.img:/opt
expect 0 '^symlink$' "$hpcc" ls a.img:/opt
[ "$("$hpcc" cat a.img:/opt/hard)$("$hpcc" cat a.img:/etc/one)" = yone ] || fail "what was there changed"
[ "$(uuid a.img)" = "$before" ] || fail "the image lost its identity"
clean a.img
ok "copies go in"

refuse 1 "'/opt/file' exists already" "$hpcc" copy host/file a.img:/opt
expect 0 '' "$hpcc" copy -F host/sub/deep a.img:/opt/link
[ "$("$hpcc" cat a.img:/opt/link)$("$hpcc" cat a.img:/opt/hard)" = deepy ] || fail "a copy wrote through a hard link"
mkdir -p clash/one/x clash2
echo f > clash2/new
refuse 1 "'/opt/new' is a directory there" "$hpcc" copy -F clash2/new a.img:/opt
refuse 1 "'/etc/one' is a file there" "$hpcc" copy -F clash/. a.img:/etc
refuse 3 "no directory '/nothing' in the image" "$hpcc" copy host/file a.img:/nothing/x
refuse 3 "no directory '/nothing/' in the image" "$hpcc" copy host/file a.img:/nothing/
refuse 1 "cannot copy 'missing'.*No such file" "$hpcc" copy missing a.img:/opt
refuse 2 'neither side' "$hpcc" copy host/file host/symlink
refuse 2 'both sides' "$hpcc" copy a.img:/etc/one a.img:/etc/two
refuse 3 '' "$hpcc" copy host/file base:/etc
refuse 3 '' "$hpcc" copy host/file big:/etc
clean a.img
ok "what cannot be is refused"

expect 0 'grows from 32' "$hpcc" copy big a.img:/opt/
"$hpcc" cat a.img:/opt/big | cmp - big || fail "the large file is another"
[ "$(stat -c %s a.img)" -gt 40000000 ] || fail "the image did not grow"
clean a.img
ok "an image grows when it must"

mkdir out
expect 0 '' "$hpcc" copy a.img:/opt/new a.img:/lib/file a.img:/lib out
[ "$(cat out/new/sub/deep)" = deep ] || fail "a directory came out wrong"
[ out/new/sub/again -ef out/new/file ] || fail "the hard link is gone"
[ "$(readlink out/lib)" = usr/lib ] || fail "a link came out as something else"
[ "$(stat -c %b out/new/sub/sparse)" -lt 100 ] || fail "the hole is gone"
expect 0 '' "$hpcc" copy a.img:/etc/one renamed
[ "$(cat renamed)" = one ] || fail "a renamed copy"
refuse 1 "exists already" "$hpcc" copy a.img:/etc/one renamed
echo other > renamed
expect 0 '' "$hpcc" copy --force a.img:/etc/one renamed
[ "$(cat renamed)" = one ] || fail "--force does not replace"
refuse 1 "exists already" "$hpcc" copy -F a.img:/opt/new out
mkdir whole
expect 0 '' "$hpcc" copy a.img:/ whole
[ -f whole/opt/keep ] || fail "the whole tree"
[ ! -e whole/lost+found ] || fail "lost+found came along"
refuse 3 "there is no '/nothing' in the image" "$hpcc" copy a.img:/nothing out
refuse 1 'cannot copy into' "$hpcc" copy a.img:/etc/one no/such/place
ok "copies come out"

# A link in the way is neither followed nor written through.
mkdir victim trap
echo precious > victim/one
ln -s ../victim/one trap/one
refuse 1 "exists already" "$hpcc" copy a.img:/etc/one trap
"$hpcc" copy -F a.img:/etc/one trap
[ "$(cat victim/one)" = precious ] || fail "a copy went through a link"
[ ! -L trap/one ] || fail "the link is still there"
ok "links in the way are not followed"

cp a.img old.img
for ms in 1 2 4 7 11 16 25 40 80; do
    "$hpcc" -q copy -F big old.img:/etc/ &
    pid=$!
    sleep "0.0$(printf %02d $ms)"
    kill -9 $pid 2> /dev/null || true
    wait $pid 2> /dev/null || true
    if ! cmp -s a.img old.img; then
        "$hpcc" cat old.img:/etc/big | cmp - big || fail "neither old nor new after $ms ms"
        cp a.img old.img
    fi
done
(
    trap '' XFSZ
    ulimit -f 8192
    refuse 1 '' "$hpcc" copy -F big old.img:/etc/
) || exit 1
cmp a.img old.img || fail "a full disk changed the image"
[ -z "$(find . -name '.*hpcc*')" ] || fail "temporary files are left"
ok "killed or out of space: the old image or the new one"

# Readers are not disturbed; two writers do not meet.
python3 - old.img << 'PY' &
import fcntl, os, struct, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 1 << 62, 1, 0)) # F_OFD_SETLK
open('locked', 'w').close()
time.sleep(60)
PY
holder=$!
for _ in $(seq 100); do if [ -e locked ]; then break; fi; sleep 0.05; done
refuse 1 "being changed by process $holder" "$hpcc" copy host/file old.img:/etc/
kill $holder
wait $holder 2> /dev/null || true
expect 0 '' "$hpcc" copy -F host/file old.img:/etc/
ok "a second writer is told who was first"

if [ "$(id -u)" = 0 ]; then
    mknod host/null c 1 3
    chown 1234:5678 host/file
    chmod 4755 host/file
    expect 0 '' "$hpcc" copy --archive host a.img:/opt/kept
    [ "$("$hpcc" ls --json -d a.img:/opt/kept/file | jq -c '.[0] | [.mode, .uid, .gid]')" = '["4755",1234,5678]' ] ||
        fail "--archive does not keep owner and mode"
    expect 0 '^null$' "$hpcc" ls a.img:/opt/kept
    need_user
    cp a.img user/u.img
    echo mine > user/mine
    chown -R "$test_user:" user
    cd user
    as_user "$hpcc" copy mine u.img:/etc/
    [ "$("$hpcc" cat u.img:/etc/mine)" = mine ] || fail "a user's copy is not there"
    [ "$(stat -c %U u.img)" = "$test_user" ] || fail "the image has another owner"
    [ "$("$hpcc" ls --json -d u.img:/opt/kept/file | jq -c '.[0] | [.mode, .uid, .gid]')" = '["4755",1234,5678]' ] ||
        fail "a user's copy changed what was there"
    as_user "$hpcc" copy u.img:/opt/kept out
    [ "$(stat -c '%a %U' out/file)" = "755 $test_user" ] || fail "a setuid bit or an owner came out"
    [ ! -e out/null ] || fail "a device came out"
    ok "an ordinary user copies too, without owners and devices on the host"
fi
