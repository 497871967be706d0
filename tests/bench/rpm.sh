#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# rpm.sh [RUNS] [small] - hpcc bootstrap beside dnf --installroot on the same repositories, both on tmpfs:
#   small    install a system from the fixture with empty caches; hpcc packs its image besides, and keeps
#            the root for next time         alone    the same with --no-cache: neither keeps anything
#   cold     choose packages from 50,000, nothing cached          warm     the same once more
# Prints medians of wall time, user+sys time and peak memory, the ratio hpcc / dnf of each, and whether
# both chose the same packages. Needs root, dnf, python3; uses HPCC, HPCC_RPMREPO as the e2e tests do.
# shellcheck source=tests/e2e/_lib.sh
TMPDIR=${HPCC_BENCH_DIR:-/dev/shm}
export TMPDIR
. "$(dirname "$0")/../e2e/_lib.sh"
need_root
command -v dnf > /dev/null || skip "dnf is not installed"
# shellcheck source=tests/e2e/_rpm.sh
. "$(dirname "$0")/../e2e/_rpm.sh"
"$HPCC_SOURCE_DIR/tests/fixtures/rpmrepo/make.sh" "$fx" big
runs=${1:-5} only=${2:-}
cd "$work"
names="/etc/redhat-release coreutils rpm procps less iputils-ping ca-certificates findutils passwd iproute2"
read -r -d '' big_names < <(head -22 "$fx/big/targets" | tr '\n' ' '; printf '\0') || :
mapfile -t small_list <<< "${names// /$'\n'}"
mapfile -t big_list < <(head -22 "$fx/big/targets")

dnf_conf() { # REPO GPGCHECK
    cat << CONF
[main]
gpgcheck=$2
reposdir=/nonexistent
plugins=0
install_weak_deps=0
keepcache=0
[base]
name=base
baseurl=file://$1
gpgkey=file://$good_key
CONF
}
dnf_conf "$repo/7/os/x86_64" 1 > small.conf
dnf_conf "$fx/big" 0 > big.conf
definition MirrorURL "file://$repo/7/os/x86_64" Key "$good_key" Include "${names#* coreutils }" > small.def
definition MirrorURL "file://$fx/big" Include "$big_names" > big.def
sed -i '/^Include/s/$/ big-release/' big.def

by_dnf() { dnf -q -y -c "$1.conf" --installroot "$work/root" --releasever 7 "${@:2}"; }
timed() { # NAME CMD... -> NAME.times: wall, cpu, KiB
    local name=$1
    shift
    /usr/bin/python3 - "$name.times" "$@" << 'PY'
import os, resource, subprocess, sys, time
t = time.monotonic()
p = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=open('last.out', 'w'), stderr=subprocess.STDOUT)
t = time.monotonic() - t
r = resource.getrusage(resource.RUSAGE_CHILDREN)
open(sys.argv[1], 'a').write('%.3f %.3f %d %d\n' % (t, r.ru_utime + r.ru_stime, r.ru_maxrss, p.returncode))
PY
}
median() { sort -n <(cut -d' ' -f"$2" "$1.times") | sed -n "$(((runs + 1) / 2))p"; }
row() { # NAME [NAME of dnf's]
    local d h i
    printf '%-8s' "$1"
    for i in 1 2 3; do
        d=$(median "${2:-$1}.dnf" $i)
        h=$(median "$1.hpcc" $i)
        printf ' | %10s %10s %5.2f' "$d" "$h" "$(jq -n "$h / $d")"
    done
    echo
}

export -f by_dnf
export work
for _ in $(seq "$runs"); do
    rm -rf root small.img cache
    timed small.dnf bash -c 'by_dnf small install "$@"' - "${small_list[@]}"
    rm -rf root
    timed small.hpcc "$hpcc" -q bootstrap --tmpdir "$work" small.img small.def
    rm -rf small.img cache
    timed alone.hpcc "$hpcc" -q bootstrap --no-cache --tmpdir "$work" small.img small.def
    rm -rf root cache
    [ -z "$only" ] || continue
    timed cold.dnf bash -c 'by_dnf big --assumeno install "$@"' - big-release coreutils "${big_list[@]}"
    timed cold.hpcc "$hpcc" -q bootstrap --no-verify --dry-run big.img big.def
    timed warm.dnf bash -c 'by_dnf big -C --assumeno install "$@"' - big-release coreutils "${big_list[@]}"
    timed warm.hpcc "$hpcc" -q bootstrap --no-verify --dry-run big.img big.def
done
echo "         |  wall s: dnf, hpcc, ratio    |  cpu s: dnf, hpcc, ratio     |  KiB: dnf, hpcc, ratio"
row small
row alone small
[ -n "$only" ] || row cold
[ -n "$only" ] || row warm

by_dnf small install "${small_list[@]}" > /dev/null 2>&1 || :
rm -rf root
dnf -y -c small.conf --installroot "$work/root" --releasever 7 --assumeno install "${small_list[@]}" 2> /dev/null |
    awk '$2 == "x86_64" || $2 == "noarch" { print $1 }' | sort > dnf.list
"$hpcc" -q bootstrap --dry-run --json n.img small.def | jq -r '.. | objects | select(has("checksum")) | .name' | sort > hpcc.list
if diff dnf.list hpcc.list > both.diff; then echo "both choose the same $(wc -l < hpcc.list) packages"; else cat both.diff; fi
