#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# overlay-kill.sh [TURNS]: runs that write into an image are killed at times by chance, hpcc alone or
# with the process that keeps the changes: the image is the old one or the new one, and sound.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/../e2e/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/../e2e/_root.sh"
need_user
need_root
turns=${1:-40}
cd "$work"
make_root root
head -c 60000000 /dev/urandom > root/usr/big
truncate -s 128M base.img
mke2fs -q -F -t ext3 -d root base.img
cd user
old=0
new=0
as=(setpriv --reuid "$test_user" --regid "$(id -g "$test_user")" --init-groups env HOME="$PWD")
for turn in $(seq "$turns"); do
    cp --sparse=always ../base.img a.img
    chown "$test_user:" a.img
    setsid "${as[@]}" "$hpcc" exec -w a.img sh -c 'echo new > /etc/new; head -c 5000000 /dev/urandom > /more' > /dev/null 2>&1 &
    pid=$!
    sleep "0.$(printf %03d $((RANDOM % 500)))"
    if [ $((turn % 2)) = 0 ]; then
        kill -9 "$pid" 2> /dev/null || true
    else
        for p in $(pgrep -P "$pid") "$pid"; do kill -9 "$p" 2> /dev/null || true; done
    fi
    wait "$pid" 2> /dev/null || true
    for _ in $(seq 50); do if [ -z "$(leftovers)" ]; then break; fi; sleep 0.1; done
    [ -z "$(leftovers)" ] || fail "turn $turn: $(leftovers)"
    e2fsck -fn a.img > /dev/null 2>&1 || fail "turn $turn: the image is damaged"
    if "$hpcc" ls a.img /etc/new > /dev/null 2>&1; then
        new=$((new + 1))
        [ "$("$hpcc" cat a.img /more | wc -c)" = 5000000 ] || fail "turn $turn: half of the changes"
    else
        old=$((old + 1))
        cmp a.img ../base.img || fail "turn $turn: neither old nor new"
    fi
done
as_user "$hpcc" exec -w a.img true
[ -z "$(find . -name '.*hpcc*')" ] || fail "something hidden is left"
ok "$turns kills: $old old, $new new, none damaged"
