#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc bootstrap killed: the old image stays byte for byte, and nothing else is left.
# HPCC_KILLS says how many times (default 6).
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
command -v busybox > /dev/null || skip "no busybox on this host"
mkdir "$work/dir"
cd "$work/dir"

cat > ../x.def <<'E2'
Bootstrap: busybox
%setup
    mkdir -p "$SINGULARITY_ROOTFS/many/levels/deep"
%post
    (while :; do sleep 1; done) &
    i=0
    while [ $i -lt 20 ]; do
        i=$((i + 1))
        dd if=/dev/zero of=/many/levels/deep/$i bs=64k count=1 2> /dev/null
    done
E2
expect 0 '' "$hpcc" bootstrap old.img ../x.def
sum=$(sha256sum < old.img)

# What remains besides the image, waiting a little for a cleanup that is at work.
remains() {
    local tries left
    for ((tries = 0; tries < 20; tries++)); do
        left=$(find . -mindepth 1 -maxdepth 1 ! -name old.img)
        [ -n "$left" ] || left=$(leftovers)
        [ -n "$left" ] || return 0
        sleep 0.2
    done
    echo "$left"
}
check() {
    local left
    left=$(remains)
    [ -z "$left" ] || fail "$1: left behind: $left"
    [ "$(sha256sum < old.img)" = "$sum" ] || { [ "$2" = maybe-new ] && e2fsck -fn old.img > /dev/null 2>&1; } ||
        fail "$1: the image changed"
    sum=$(sha256sum < old.img)
}

# Until the build into IMAGE is at work.
at_work() {
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        if compgen -G ".$1.hpcc-stage-*/root-0/many" > /dev/null; then return 0; fi
        sleep 0.05
    done
    fail "the build into $1 did not start"
}

kills=${HPCC_KILLS:-6}
for ((n = 1; n <= kills; n++)); do
    "$hpcc" bootstrap -q --fresh old.img ../x.def > /dev/null 2>&1 &
    pid=$!
    sleep "0.$(printf '%03d' $((RANDOM % 600)))"
    status=0
    kill -9 $pid 2> /dev/null || true
    wait $pid 2> /dev/null || status=$?
    if [ "$status" = 0 ]; then check "kill $n after the end" maybe-new; else check "kill $n" maybe-new; fi
done
ok "$kills times SIGKILL at a random moment"

sed 's/-lt 20/-lt 20000000/' ../x.def > ../long.def
setsid "$hpcc" bootstrap -q --fresh old.img ../long.def > /dev/null 2>&1 &
pid=$!
at_work old.img
kill -9 -- "-$pid"
wait $pid || true
check "kill of the process group" old
ok "SIGKILL to the whole process group"

"$hpcc" bootstrap -q --fresh old.img ../long.def > /dev/null 2> ../err &
pid=$!
at_work old.img
kill -9 "$(pgrep -P $pid)"
status=0
wait $pid || status=$?
[ "$status" = 1 ] || fail "exit status $status when the monitor was killed"
grep -q 'the worker died' ../err || fail "$(cat ../err)"
rm -f old.img.log
check "kill of the monitor" old
ok "SIGKILL to the process that cleans up: hpcc does it instead"

for signal in TERM HUP; do
    "$hpcc" bootstrap -q --fresh old.img ../long.def > /dev/null 2> ../err &
    pid=$!
    at_work old.img
    kill "-$signal" $pid
    status=0
    wait $pid || status=$?
    [ "$status" = $((128 + $(kill -l "$signal"))) ] || fail "exit status $status after SIG$signal"
    grep -q "interrupted (.*): 'old.img' is as it was" ../err || fail "$(cat ../err)"
    [ "$(ls -A)" = old.img ] || fail "left behind: $(ls -A)"
    check "SIG$signal" old
done
ok "SIGTERM and SIGHUP clean up before hpcc ends"

sed 's/i=0/i=0; sleep 0.5/' ../x.def > ../slow.def
(trap '' HUP && exec "$hpcc" bootstrap -q --fresh old.img ../slow.def) > /dev/null 2>&1 &
pid=$!
at_work old.img
kill -HUP $pid
wait $pid || fail "a SIGHUP that was ignored ended the build"
sum=$(sha256sum < old.img)
ok "nohup works"

"$hpcc" bootstrap -q --fresh old.img ../long.def > /dev/null 2>&1 &
pid=$!
at_work old.img
refuse 1 'old.img' "$hpcc" bootstrap old.img ../x.def
"$hpcc" bootstrap -q new.img ../long.def > /dev/null 2>&1 &
other=$!
at_work new.img
refuse 1 "another hpcc builds 'new.img'" "$hpcc" bootstrap new.img ../x.def
kill -9 $pid $other
wait || true
check "two builds at once" old
ok "a second build into the same image is refused"

# What a power cut leaves is swept by the next build.
mkdir -m 700 .old.img.hpcc-stage-1
mkdir -p .old.img.hpcc-stage-1/root-0/etc
expect 0 '' "$hpcc" bootstrap old.img ../x.def
[ "$(ls -A)" = old.img ] || fail "not swept: $(ls -A)"
ok "the stage of a dead build is swept"
