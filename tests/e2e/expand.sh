#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc expand: grows, keeps the content, refuses nonsense, leaves the old image when it fails.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cd "$work"

head -c 3000000 /dev/urandom > payload
"$hpcc" -q create --size 16M a.img
{
    echo 'mkdir dir'
    echo 'write payload dir/payload'
    echo 'symlink dir/link payload'
} | debugfs -w -f - a.img > debugfs.log 2>&1
e2fsck -fy a.img > /dev/null || true # debugfs leaves the last-check marks old

holds_payload() {
    debugfs -R 'cat dir/payload' "$1" 2> /dev/null | cmp -s - payload || fail "$1 lost its content"
    e2fsck -fn "$1" > fsck.log 2>&1 || fail "$1 is not clean: $(cat fsck.log)"
}

expect 0 "expanded 'a.img': from 16 MiB to 48 MiB" "$hpcc" expand --size +32M a.img
[ "$(stat -c %s a.img)" = $((48 << 20)) ] || fail "size is $(stat -c %s a.img)"
holds_payload a.img
ok "a plus sign adds"

expect 0 'to 40 GiB' "$hpcc" expand --size 40G a.img
[ "$(stat -c %s a.img)" = $((40 << 30)) ] || fail "size is $(stat -c %s a.img)"
[ $(($(stat -c %b a.img) * 512)) -lt $((32 << 20)) ] || fail "40 GiB take $(stat -c %b a.img) blocks of disk"
holds_payload a.img
[ "$(head -n 1 a.img | tr -d '\0')" = '#!/usr/bin/env run-hpcc' ] || fail "the #! line is gone"
[ -x a.img ] || fail "no longer executable"
ok "a large image stays sparse, executable and clean"

before=$(listing a.img payload)
for size in 0 -1 1.5 12Q +0 + ''; do
    refuse 2 '' "$hpcc" expand --size "$size" a.img
done
refuse 2 "'--size' is missing" "$hpcc" expand a.img
refuse 3 '' "$hpcc" expand --size 1G a.img
refuse 3 '' "$hpcc" expand --size 40G a.img
refuse 3 '' "$hpcc" expand --size 20T a.img
refuse 3 '' "$hpcc" expand --size +20T a.img
[ "$(listing a.img payload)" = "$before" ] || fail "a refused size changed the image"
ok "nonsense, smaller and too large sizes are refused and change nothing"

"$hpcc" -q create --size 16M j.img
"$hpcc" expand --json --size 32M j.img | jq -e '.old_size_bytes == 16777216 and .size_bytes == 33554432' > /dev/null ||
    fail "--json is not what it should be"
ok "--json is one document"

mkdir sandbox
: > empty.img
gzip -c payload > packed.img
head -c 100000 j.img > cut.img
refuse 3 '' "$hpcc" expand --size +1G sandbox
refuse 3 'is empty' "$hpcc" expand --size +1G empty.img
refuse 3 'gzip' "$hpcc" expand --size +1G packed.img
refuse 3 'truncated' "$hpcc" expand --size +1G cut.img
refuse 3 'No such file' "$hpcc" expand --size +1G missing.img
ok "what is no image is named for what it is"

# Twenty kills at random moments: the file is the old image or the new one.
"$hpcc" -q create --size 64M k.img
for i in $(seq 20); do
    cp --sparse=always k.img old.img
    "$hpcc" -q expand --size +64M k.img &
    sleep "0.0$((RANDOM % 10))"
    kill -KILL $! 2> /dev/null || true
    wait $! 2> /dev/null || true
    e2fsck -fn k.img > fsck.log 2>&1 || fail "killed $i: $(cat fsck.log)"
    if ! cmp -s k.img old.img; then
        [ "$(stat -c %s k.img)" -gt "$(stat -c %s old.img)" ] || fail "killed $i: neither old nor new"
    fi
done
left=$(find . -name '.*hpcc*' -o -name '.k.img*')
[ -z "$left" ] || fail "kills left $left"
ok "20 kills leave the old image or the new one, nothing else"

if [ "$(id -u)" = 0 ]; then
    need_user
    as_user "$hpcc" -q create --size 16M "$work/user/u.img"
    expect 0 'to 32 MiB' as_user "$hpcc" expand --size 32M "$work/user/u.img"
    [ "$(stat -c %U user/u.img)" = "$test_user" ] || fail "the image changed its owner"
    chmod 644 j.img
    before=$(listing j.img)
    refuse 1 'Permission denied|not permitted|may not' as_user "$hpcc" expand --size +32M "$work/j.img"
    [ "$(listing j.img)" = "$before" ] || fail "another's image was changed"
    ok "an owner may, others may not"
fi
