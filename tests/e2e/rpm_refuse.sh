#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every crafted repository gives its own clear error and leaves nothing behind.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
# shellcheck source=tests/e2e/_rpm.sh
. "$(dirname "$0")/_rpm.sh"
serve
cd "$work"

# The packages of these repositories have no /etc/redhat-release and no coreutils: those come from
# the distribution.
base="file://$repo/7/os/x86_64"
mkdir empty
before=$(listing empty)

# wrong PATTERN URL PACKAGES [KEY VALUE]... - one error with PATTERN, no image, nothing else
wrong() {
    local pattern=$1 url=$2 packages=$3
    shift 3
    definition MirrorURL "$base" OtherURL1 "$url" Key "$good_key" Include "$packages" "$@" > bad.def
    cd empty
    refuse '[135]' "$pattern" "$hpcc" bootstrap --no-cache x.img ../bad.def
    rm -f x.img.log
    cd ..
    [ "$(listing empty | grep -v '^empty d')" = "$(grep -v '^empty d' <<< "$before")" ] ||
        fail "left behind: $(ls -A empty)"
    ok "${url#"file://$repo"}${packages:+ with $packages}: $(grep -m1 -oE "$pattern" <<< "$out" | cut -c1-60)"
}
# the exit status differs by cause: input, host, step
expect() {
    local want=$1 pattern=$2 got=0
    shift 2
    out=$(timeout 120 "$@" 2>&1 < /dev/null) || got=$?
    [[ $got =~ ^$want$ ]] || fail "exit status $got instead of $want: $*"
    grep -qE -- "$pattern" <<< "$out" || fail "'$pattern' is not in what this says: $*"
}
bad="file://$repo/bad"

# files that are not what the metadata says
wrong 't-pay-none-1-1.noarch.rpm. does not have the checksum' "$bad/flip" t-pay-none
wrong 't-disk-1-1.noarch.rpm. has 2000 bytes where' "$bad/trunc" t-disk
wrong 't-base-1-1.noarch.rpm. has [0-9]+ bytes where' "$bad/long-rpm" t-base
wrong 'cannot open .*t-base-1-1.noarch.rpm' "$bad/missing-rpm" t-base
wrong 'cannot open .*repomd.xml' "$bad/no-repomd" t-base
wrong 'is a web page' "$bad/html" t-base
wrong 'primary.xml.gz. has [0-9]+ bytes where|does not have the checksum' "$bad/primary-sum" t-base
wrong 'cannot open .*primary.xml.gz' "$bad/primary-404" t-base
wrong 'primary.xml.gz. has 300 bytes where' "$bad/primary-trunc" t-base
# signatures
wrong 'signature of .*badasc/repodata/repomd.xml. by key [0-9a-f]+ is BAD' "$bad/badasc" t-base
wrong 'is signed by key [0-9a-f]+, which is none of: good' "$bad/evilasc" t-base
wrong 'is not signed \(there is no repomd.xml.asc\)' "$bad/noasc" t-base
wrong 'package .t-base. is not signed' "$bad/unsigned" t-base
wrong 'package .t-base. .*signed by a key that is none of: good' "$bad/evilkey" t-base
wrong 'package .t-base. .*is damaged or its signature is BAD' "$bad/badhdr" t-base
wrong "key: cannot open '/nonexistent'" "$bad/noasc" t-base Keyring /nonexistent
wrong 'is signed by key' "file://$repo/t/ed" t-base
# locations
wrong 'location leads out of repository' "$bad/loc-dotdot" t-base
wrong 'location leads out of repository' "$bad/loc-abs" t-base
# requests that cannot be met
wrong 'no package is called or provides .t-base.' "$bad/empty-repo" t-base
wrong 'no package is called or provides .t-foreign.|different architecture|not installable' "$bad/wrongarch" t-foreign.aarch64
wrong 't-conf-a.* conflicts with t-conf-b' "$bad/conflict" 't-conf-a t-conf-b'
wrong 'nothing provides t-nothing-has-this >= 4 needed by t-needs-missing' "$bad/missing-dep" t-needs-missing
wrong 'nothing provides t-base >= 9 needed by t-needs-newer' "$bad/missing-dep" t-needs-newer
wrong "did you mean 'bash'" "$base" bsah
wrong 'rpmlib\(FutureFeature\)' "$bad/missing-dep" t-needs-rpmlib
# librpm's own objections
wrong '/usr/share/t/clash.*conflicts' "$bad/fileclash" 't-clash-1 t-clash-2'
wrong 'a scriptlet failed: t-fail-pre %pre' "$bad/fail" t-fail-pre
wrong 'a scriptlet failed: t-fail-pretrans %pretrans' "$bad/fail" t-fail-pretrans
wrong 'module stream that is not enabled' "$bad/modules" t-modular
wrong "module 'tmod' has no stream '9'" "$bad/modules" t-modular Modules tmod:9
# the definition itself
wrong 'bad.def:5: .*no package name' "$base" 'a;b'
wrong 'bad.def:5: .*no package name' "$base" '--nogpgcheck'
wrong 'bad.def:6: a key is not fetched over plain http' "$base" bash GPG http://127.0.0.1/key
wrong 'gives no OpenPGP key with the fingerprint asked for' "$base" bash Fingerprints 0123456789012345678901234567890123456789
wrong 'SetOpt .gpgcheck=0. has no meaning' "$base" bash SetOpt gpgcheck=0

# the network
wrong 'gave up after 3 tries: the server answered 503' "$http/busy/t/good" t-base
wrong 'redirects' "$http/loop/t/good" t-base
wrong 'cannot fetch' "$http/tofile/t/good" t-base
wrong 'is a web page' "$http/login/t/good" t-base
wrong 'the server answered 404' "$http/nowhere" t-base
wrong 'cannot fetch .*(refused|connect)' 'http://127.0.0.1:1' t-base

# not fatal, but told
definition MirrorURL "$base" OtherURL1 "$bad/fail" Key "$good_key" Include t-fail-post > warn.def
expect 0 'a scriptlet failed: t-fail-post %post' "$hpcc" bootstrap warn.img warn.def
ok "a failing %post is told with its package"

definition MirrorURL "$bad/unsigned" OtherURL1 "$base" Include t-base > loud.def
expect 0 'signatures are not checked' "$hpcc" bootstrap --no-verify loud.img loud.def
"$hpcc" inspect loud.img | grep -q 'verified: no' || fail "the image does not tell that nothing was verified"
ok "--no-verify is loud and recorded"
