#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# SIGKILL at $HPCC_KILLS (20) random moments of a bootstrap: the old image stays byte-identical, and
# no file, mount, loop device or process is left. A definition file may be given; without one a
# busybox with enough work to be hit in every step is built.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/../e2e/_lib.sh"
need_root
def=${1:+$(realpath "$1")}
export HPCC_CACHEDIR=$work/cache
mkdir "$work/t"
cd "$work/t"
if [ -z "$def" ]; then
    def=$work/kill.def
    cat > "$def" << 'DEF'
Bootstrap: busybox
%post
    i=0
    while [ $i -lt 300 ]; do
        mkdir -p /opt/$i
        echo $i > /opt/$i/file
        i=$((i + 1))
    done
    dd if=/dev/urandom of=/opt/big bs=1M count=16
    sleep 0.2 & sleep 0.1
DEF
fi

began=$(date +%s%N)
"$hpcc" -q bootstrap x.img "$def" > "$work/log" 2>&1 || fail "bootstrap: $(cat "$work/log")"
took_ms=$((($(date +%s%N) - began) / 1000000))
sum=$(sha256sum x.img)
before=$(find . -mindepth 1 | sort)
echo "# a bootstrap takes $took_ms ms"

kills=0
tries=0
while [ "$kills" -lt "${HPCC_KILLS:-20}" ]; do
    tries=$((tries + 1))
    [ "$tries" -le 200 ] || fail "only $kills of $tries kills hit"
    wait_ms=$((RANDOM % (took_ms + 1)))
    "$hpcc" -q bootstrap --fresh x.img "$def" > "$work/log" 2>&1 &
    pid=$!
    sleep "$((wait_ms / 1000)).$(printf '%03d' $((wait_ms % 1000)))"
    if ! kill -KILL $pid 2> /dev/null; then
        wait $pid || fail "bootstrap: $(cat "$work/log")"
        sum=$(sha256sum x.img) # it was done before
        continue
    fi
    status=0
    wait $pid 2> /dev/null || status=$?
    if [ "$status" != 137 ]; then
        sum=$(sha256sum x.img)
        continue
    fi
    kills=$((kills + 1))
    # What outlives hpcc cleans up; it has five seconds.
    for _ in $(seq 50); do
        left=$(leftovers)
        if [ -z "$left" ] && [ "$(find . -mindepth 1 | sort)" = "$before" ]; then break; fi
        sleep 0.1
    done
    [ -z "$left" ] || fail "killed after $wait_ms ms: $left"
    now=$(find . -mindepth 1 | sort)
    [ "$now" = "$before" ] || fail "killed after $wait_ms ms: $(diff <(echo "$before") <(echo "$now") | head)"
    if [ "$(sha256sum x.img)" != "$sum" ]; then
        # Killed between rename and end: then it is the new one, whole.
        e2fsck -fn x.img > /dev/null 2>&1 || fail "killed after $wait_ms ms: the image is neither old nor new"
        sum=$(sha256sum x.img)
        echo "# kill $kills came after the rename"
    fi
    echo "# kill $kills after $wait_ms ms"
done
ok "$kills kills in $tries bootstraps"
