#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc shrink, compact, check and expand --auto, as an ordinary user types them.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cd "$work"
mkdir tree
head -c 12000000 /dev/urandom > tree/payload
"$hpcc" -q import --size 64M a.img tree
holds_payload() {
    "$hpcc" cat a.img /payload | cmp -s - tree/payload || fail "the content is lost"
    expect 0 "'a.img' is sound" "$hpcc" check a.img
}

expect 0 "shrank 'a.img': from 64 MiB to " "$hpcc" shrink --minimum a.img
[ "$(stat -c %s a.img)" -lt $((24 << 20)) ] || fail "the least is $(stat -c %s a.img)"
holds_payload
ok "--minimum takes what the content needs"

expect 0 "expanded 'a.img'" "$hpcc" expand --auto a.img
[ "$(stat -c %s a.img)" -ge $((28 << 20)) ] || fail "--auto gave $(stat -c %s a.img)"
holds_payload
expect 0 "kept 'a.img'" "$hpcc" expand --auto a.img
ok "--auto leaves room, and does nothing twice"

refuse 2 "exclude each other" "$hpcc" shrink --minimum --size 10M a.img
refuse 2 "is missing" "$hpcc" shrink a.img
refuse 3 "has .* already" "$hpcc" shrink --size 1G a.img
refuse 3 "at least 4 MiB" "$hpcc" shrink --size -10G a.img
refuse 1 "it needs [0-9]+M" "$hpcc" shrink --size 9M a.img
refuse 3 "holds no ext file system|is not" "$hpcc" check tree
refuse 3 "" "$hpcc" compact tree
holds_payload
ok "what cannot be is refused and changes nothing"

"$hpcc" -q expand --size 200M a.img
dd if=/dev/zero of=a.img bs=1M seek=70 count=50 conv=notrunc status=none
before=$(stat -c %b a.img)
"$hpcc" compact --json a.img | jq -e '.freed_bytes >= 52428800 and .size_bytes == 209715200' > "$work/said" ||
    fail "compact --json: $(cat "$work/said")"
[ $((before - $(stat -c %b a.img))) -ge 102400 ] || fail "no disk came free"
holds_payload
ok "compact gives zeros back"

if command -v e2fsck > /dev/null && command -v debugfs > /dev/null; then
    debugfs -w -R 'clri /payload' a.img > debugfs.log 2>&1
    refuse 3 "damaged" "$hpcc" check a.img
    expect 0 "is sound again" "$hpcc" check --repair a.img
    expect 0 "is sound" "$hpcc" check a.img
    rm -f debugfs.log
    ok "damage is told and repaired"
fi
[ "$(find . -mindepth 1 -maxdepth 1 -name '.*')" = "" ] || fail "left behind: $(ls -A)"
