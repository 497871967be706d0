#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A signing key is right when its fingerprint is, whatever carried it: keys that repositories and a key server on
# loopback serve, right ones and wrong ones.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/e2e/_rpm.sh
. "$(dirname "$0")/_rpm.sh"
command -v jq > /dev/null || skip "jq is not installed"
cd "$work"
export GNUPGHOME=$fx/keys/gnupg
fingerprint() { gpg -q --batch --with-colons --list-keys "$1@hpcc.invalid" | awk -F: '$1 == "fpr" { print $10; exit }'; }
good=$(fingerprint good)
evil=$(fingerprint evil)
good_repo=$repo/7/os/x86_64

# Repositories that are alike but for the keys beside their metadata.
mkdir www
stall() { # NAME REPOSITORY KEYFILE…
    local dir=www/$1 from=$2
    shift 2
    mkdir -p "$dir/repodata"
    ln -s "$from/Packages" "$dir/Packages"
    cp "$from"/repodata/* "$dir/repodata"
    if [ $# -gt 0 ]; then cat "$@" > "$dir/repodata/repomd.xml.key"; fi
}
key() { gpg -q --batch --export "$1@hpcc.invalid"; }
key good > good.gpg
key evil > evil.gpg
stall plain "$good_repo"
stall right "$good_repo" "$good_key"
stall binary "$good_repo" good.gpg
stall wrong "$good_repo" evil.gpg
stall surplus "$good_repo" "$fx/keys/RPM-GPG-KEY-evil" "$good_key"
stall forged "$repo/bad/evilasc" "$fx/keys/RPM-GPG-KEY-evil" "$good_key"
stall centos/7 "$good_repo" "$good_key"

# The good certificate with the evil key as a subkey that it never bound, alone and with the signature of a
# binding that is another's.
python3 - << 'PY'
import struct
def packets(data):
    at = 0
    while at < len(data):
        tag = data[at]
        if tag & 0x40:
            kind, n, head = tag & 0x3f, data[at + 1], 2
            if n >= 192: n, head = (n - 192 << 8) + data[at + 2] + 192, 3
        else:
            kind, size = tag >> 2 & 15, 1 << (tag & 3)
            n, head = int.from_bytes(data[at + 1:at + 1 + size], "big"), 1 + size
        yield kind, data[at + head:at + head + n]
        at += head + n
def packet(kind, body):
    return bytes([0xc0 | kind, 0xff]) + struct.pack(">I", len(body)) + body
good, evil = [list(packets(open(n + ".gpg", "rb").read())) for n in ("good", "evil")]
subkey = packet(14, evil[0][1])
whole = b"".join(packet(*p) for p in good)
signature = packet(2, [b for k, b in good if k == 2][-1])
open("unbound.gpg", "wb").write(whole + subkey)
open("misbound.gpg", "wb").write(whole + subkey + signature)
PY
stall unbound "$repo/bad/evilasc" unbound.gpg
stall misbound "$repo/bad/evilasc" misbound.gpg

# A key that has expired, as it was and with its life extended.
GNUPGHOME=$work/gnupg
export GNUPGHOME
mkdir -m 700 gnupg
gpg -q --batch --no-tty --passphrase '' --faked-system-time 20200101T000000 \
    --quick-gen-key old@hpcc.invalid rsa2048 sign 10d 2> /dev/null
old=$(fingerprint old)
gpg -q --batch --export old@hpcc.invalid > expired.gpg
gpg -q --batch --no-tty --passphrase '' --quick-set-expire "$old" 10y 2> /dev/null
gpg -q --batch --export old@hpcc.invalid > extended.gpg
cp -r www/plain www/old
gpg -q --batch --yes --no-tty --passphrase '' --armor -u old@hpcc.invalid --detach-sign www/old/repodata/repomd.xml
cp -r www/old www/expired
cp expired.gpg www/expired/repodata/repomd.xml.key
cp -r www/old www/extended
cp extended.gpg www/extended/repodata/repomd.xml.key
stop_gpg() { gpgconf --kill all; }
cleanup_hooks+=(stop_gpg)

repo=$work/www
serve

# taken FINGERPRINT TEXT KEY VALUE…: this definition's metadata is taken, checked by that key
taken() {
    local want=$1 text=$2
    shift 2
    definition "$@" OSVersion 7 Include bash > x.def
    expect 0 '' "$hpcc" --quiet bootstrap --dry-run --json x.img x.def
    [ "$(jq -r '.stages[0].base.keys | join(" ")' <<< "$out")" = "${want,,}" ] || fail "not the key $want"
    ok "$text"
}
refused() { # STATUS PATTERN TEXT KEY VALUE…
    local status=$1 pattern=$2 text=$3
    shift 3
    definition "$@" OSVersion 7 Include bash > x.def
    refuse "$status" "$pattern" "$hpcc" bootstrap --no-cache x.img x.def
    rm -f x.img.log
    ok "$text"
}
export HPCC_KEYSERVER=none HPCC_DISABLE_CACHE=1
taken "$good" "the key that lies beside the metadata" MirrorURL "$http/right" Key "$good"
taken "$good" "the same without armor" MirrorURL "$http/binary" Key "$good"
taken "$good" "among others, and only it" MirrorURL "$http/surplus" Key "$good"
taken "$good" "by plain http, its fingerprint behind the address" MirrorURL "$http/plain" \
    Key "$http/right/repodata/repomd.xml.key $good"
refused 5 "is signed by key [0-9a-f]+, which is none of: good" "what another key of the same file has signed" \
    MirrorURL "$http/forged" Key "$good"
refused 5 "x.def:3: '$good' gives no OpenPGP key .*asked for; looked at $http/wrong/repodata/repomd.xml.key" "another key in its place" \
    MirrorURL "$http/wrong" Key "$good"
refused 3 "x.def:3: '$http/right/repodata/repomd.xml.key' gives no OpenPGP key with the fingerprint asked for" \
    "an address whose key has another fingerprint" MirrorURL "$http/plain" Key "$http/right/repodata/repomd.xml.key $evil"
refused 3 "x.def:3: a key is not fetched over plain http" "plain http without a fingerprint" \
    MirrorURL "$http/plain" Key "$http/right/repodata/repomd.xml.key"
refused 5 "gives no OpenPGP key|is signed by key [0-9a-f]+, which is none of" "a subkey that the key never bound" MirrorURL "$http/unbound" Key "$good"
refused 5 "gives no OpenPGP key|is signed by key [0-9a-f]+, which is none of" "a subkey with another's binding" MirrorURL "$http/misbound" Key "$good"

# As with rpm itself, a release outlives the date on its key; the fingerprint is the same.
for state in expired extended; do
    definition MirrorURL "$http/$state" Key "$old" OSVersion 7 Include bash > x.def
    expect 0 '' "$hpcc" --quiet bootstrap --dry-run --json x.img x.def
    [ "$(jq -r '.stages[0].base.keys[0]' <<< "$out")" = "${old,,}" ] || fail "not the old key"
    ok "a key whose life is $state"
done

# What the repository lacks a key server has; what was found is kept.
mkdir -p www/pks
question='lookup?op=get&options=mr&search=0x'
cp "$good_key" "www/pks/$question$good"
cp "$good_key" "www/pks/$question$evil"
export HPCC_KEYSERVER=$http
refused 5 "'$evil' gives no OpenPGP key" "a key server that gives another key" MirrorURL "$http/plain" Key "$evil"
unset HPCC_DISABLE_CACHE
taken "$good" "from a key server" MirrorURL "$http/plain" Key "$good"
grep -q "/pks/lookup?op=get&options=mr&search=0x$good" "$requests" || fail "it was asked in other words"
rm www/pks/*
: > "$requests"
taken "$good" "from the cache" MirrorURL "$http/plain" Key "$good"
! grep -q "key\|pks" "$requests" || fail "a key was asked for again"
touch -d '-2 months' "$HPCC_CACHEDIR/keys/${good,,}"
taken "$good" "an old one of the cache is asked for again, and used when nobody has it" MirrorURL "$http/plain" Key "$good"
grep -q pks "$requests" || fail "nobody was asked"
printf 'garbage' > "$HPCC_CACHEDIR/keys/${good,,}"
refused 5 "'$good' gives no OpenPGP key" "a damaged one of the cache" MirrorURL "$http/plain" Key "$good"
export HPCC_DISABLE_CACHE=1 HPCC_KEYSERVER=none

# A list from the network names mirrors of the network: a file:// address in it is passed over.
printf 'file://%s\n' "$good_repo" > www/list
controls=$HPCC_BINARY_DIR/tests/hpcc-full-controls
refused 5 "names no mirror" "a list of the network that names a file of this host" MirrorList "$http/list" Key "$good_key"
definition MirrorList "$http/list" Key "$good_key" OSVersion 7 Include bash > x.def
expect 0 '' env HPCC_TEST_OFF=mirror-files "$controls" --quiet bootstrap --dry-run --json x.img x.def
ok "without the defence it is read"

# Without 'Key:' the distribution that the address names tells the fingerprint.
if [ ! -e /etc/pki/rpm-gpg ]; then
    refused 5 "the key 6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5, which signs 'centos', was not found at $http/centos/7/RPM-GPG-KEY-CentOS-7, " \
        "a mirror of CentOS without its key" MirrorURL "$http/centos/7"
    refused 3 "no key to check the repositories with" "a mirror of nobody in particular" MirrorURL "$http/right"
fi
