#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc import, export, ls, cat, df: trees in and out of images, as root and as an ordinary user.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cd "$work"
export SOURCE_DATE_EPOCH=1600000000

mkdir -p tree/etc tree/usr/bin
echo 'NAME=demo' > tree/etc/os-release
ln -s ../../etc/os-release tree/usr/release
ln -s /etc/os-release tree/abs
ln -s usr/bin tree/b
printf '#!/bin/sh\n' > tree/usr/bin/tool
chmod 4755 tree/usr/bin/tool
ln tree/usr/bin/tool tree/usr/bin/other
truncate -s 40M tree/sparse
printf end >> tree/sparse
printf 'x' > "tree/name with
newline"
python3 -c 'import os; os.setxattr("tree/etc/os-release", "user.note", b"hello")'
if [ "$(id -u)" = 0 ]; then
    mknod tree/null c 1 3
    chown 70000:80000 tree/usr/release -h
fi
find tree -exec touch -hd @1500000000 {} +
tar -C tree --sort=name --xattrs --numeric-owner --sparse -cf gnu.tar .

expect 0 "imported 'a.img': 5 files" "$hpcc" import a.img tree
"$hpcc" -q import b.img gnu.tar
"$hpcc" -q import c.img < gnu.tar
for other in b.img c.img; do cmp a.img $other || fail "directory, archive and stream give different images"; done
e2fsck -fn a.img > fsck.log 2>&1 || fail "e2fsck: $(cat fsck.log)"
ok "a directory and its archive give the same image"

"$hpcc" export a.img > a.tar
"$hpcc" export --output b.tar tree
cmp a.tar b.tar || fail "image and directory give different archives"
"$hpcc" -q import d.img a.tar
cmp a.img d.img || fail "import of an export is not the image"
{ cat a.tar && head -c 500000 /dev/zero; } | "$hpcc" -q import -F d.img # the sender must not die
[ "${PIPESTATUS[0]}" = 0 ] || fail "the sender got a broken pipe"
"$hpcc" -q import -F d.img <(gzip -c a.tar)
cmp a.img d.img || fail "import of a packed export is not the image"
refuse 1 "exists already" "$hpcc" import d.img a.tar
refuse 1 'b\.tar. exists already' "$hpcc" export -o b.tar a.img
"$hpcc" export -F -o b.tar a.img
mkdir out
tar -C out --xattrs --xattrs-include='*' -xpf a.tar 2> tar.log || fail "GNU tar: $(cat tar.log)"
diff -r --no-dereference -x null tree out || fail "GNU tar unpacks another tree"
facts() { (cd "$1" && find . -printf '%P %y %m %U %G %T@ %l %n\n' | sort); }
diff <(facts tree) <(facts out) || fail "GNU tar unpacks other metadata"
[ "$(stat -c %a out/usr/bin/tool)" = 4755 ] || fail "the mode is another"
[ out/usr/bin/tool -ef out/usr/bin/other ] || fail "the hard link is gone"
[ "$(stat -c %b out/sparse)" -lt 100 ] || fail "the hole is gone"
python3 -c 'import os; assert os.getxattr("out/etc/os-release", "user.note") == b"hello"' || fail "the xattr is gone"
ok "an export is what went in, and GNU tar reads it"

expect 0 '^lost\+found$' "$hpcc" ls a.img
expect 0 '^os-release$' "$hpcc" ls a.img:/etc
expect 0 '^/usr/bin/tool$' "$hpcc" ls -R a.img /
expect 0 '^-rwsr-xr-x +2 .* 2017-07-14T02:40:00Z tool$' "$hpcc" ls -l a.img:/usr/bin
expect 0 'release -> ../../etc/os-release$' "$hpcc" ls -l a.img:/usr
expect 0 '^release$' "$hpcc" ls a.img:/b/.. # of where the link leads
expect 0 '^drwxr-xr-x .*/etc$' "$hpcc" ls -ld a.img:/etc
"$hpcc" ls -R --json a.img | jq -e 'map(select(.path == "/sparse")) |
    .[0].size_bytes == 41943043 and .[0].disk_bytes < 100000 and .[0].mode == "0644"' > /dev/null || fail "ls --json"
refuse 1 'No such file' "$hpcc" ls a.img:/nothing
refuse 2 "is a directory" "$hpcc" ls tree
ok "ls lists"

[ "$("$hpcc" cat a.img:/abs)" = NAME=demo ] || fail "cat"
[ "$("$hpcc" cat a.img usr/release)" = NAME=demo ] || fail "cat of two words"
[ "$("$hpcc" cat tree:/abs)" = NAME=demo ] || fail "cat from a directory"
"$hpcc" cat a.img:/sparse | cmp - tree/sparse || fail "cat of a sparse file"
refuse 1 'it is a directory' "$hpcc" cat a.img:/etc
refuse 1 'No such file' "$hpcc" cat a.img:/nothing
refuse 2 'no file' "$hpcc" cat a.img
full() { "$hpcc" cat a.img:/sparse > /dev/full; }
expect 1 'cannot write to the standard output' full
ok "cat prints"

expect 0 '^inodes +[0-9]+' "$hpcc" df a.img
"$hpcc" df --json a.img | jq -e '.size_bytes == .file_bytes and .used_bytes + .free_bytes == .size_bytes and
    .disk_bytes + .hole_bytes == .file_bytes and .block_bytes == 4096' > /dev/null || fail "df --json"
want=$(dumpe2fs -h a.img 2> /dev/null | sed -n 's/^Free blocks: *//p')
[ "$("$hpcc" df --json a.img | jq .free_blocks)" = "$want" ] || fail "df and dumpe2fs differ"
refuse 2 'is a directory' "$hpcc" df tree
ok "df counts"

# Hostile archives: each is refused or stays inside.
evil() { # NAME PYTHON: an archive by Python's tarfile
    python3 - "$1.tar" "$2" << 'PY'
import io, sys, tarfile
t = tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT)
def add(name, kind=tarfile.REGTYPE, link='', data=b'x'):
    i = tarfile.TarInfo(name)
    i.type, i.linkname = kind, link
    i.size = len(data) if kind == tarfile.REGTYPE else 0
    t.addfile(i, io.BytesIO(data) if kind == tarfile.REGTYPE else None)
SYM, LNK, DIR = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
exec(sys.argv[2])
t.close()
PY
}
cp a.img old.img
evil up 'add("a/../../x")'
evil dot 'add(".", SYM, "/etc"); add("x")'
evil hard 'add("h", LNK, "../../etc/shadow")'
evil outside 'add("h", LNK, "/etc/shadow")'
evil loop 'add("a", SYM, "b"); add("b", SYM, "a"); add("a/x")'
evil long 'add("/".join(["d"] * 3000))'
for name in up dot hard outside loop long; do
    refuse 3 '' "$hpcc" import -F old.img "$name.tar"
    cmp -s a.img old.img || fail "$name: the old image changed"
    refuse 3 '' "$hpcc" import "$name.img" "$name.tar"
    [ ! -e "$name.img" ] || fail "$name: half an image"
done
evil through 'add("a", SYM, "/"); add("a/etc/passwd", data=b"ours"); add("w/.wh..wh..opq"); add(".wh.etc")'
"$hpcc" -q import through.img through.tar
[ "$("$hpcc" cat through.img:/etc/passwd)" = ours ] || fail "the planted link led elsewhere"
head -c 300M /dev/zero | gzip -1 > bomb.gz
refuse 3 '' "$hpcc" import -F old.img bomb.gz
evil bomb 'add("zeros", data=bytes(50 << 20))'
gzip -1 bomb.tar
refuse 3 'more than the 10 MiB' "$hpcc" import -F --max-size 10M old.img bomb.tar.gz
for bytes in 512 1024 3000 4096; do
    head -c $bytes a.tar > cut.tar
    refuse 3 '[Tt]runcated' "$hpcc" import -F old.img cut.tar
done
refuse 3 'cannot read the archive' "$hpcc" import -F old.img /bin/true
cmp a.img old.img || fail "the old image changed"
[ -z "$(find . -name '.*hpcc*')" ] || fail "temporary files are left"
ok "hostile archives are refused or stay inside"

# Killed at any moment: the old image or the new one, and nothing else.
for ms in 1 3 5 8 12 20 30 50; do
    "$hpcc" -q import -F old.img gnu.tar &
    pid=$!
    sleep "0.0$(printf %02d $ms)"
    kill -9 $pid 2> /dev/null || true
    wait $pid 2> /dev/null || true
    cmp -s a.img old.img || fail "neither old nor new after $ms ms"
done
[ -z "$(find . -name '.*hpcc*')" ] || fail "temporary files are left after kill -9"
ok "a killed import leaves the old image and no rubbish"

(
    trap '' XFSZ
    for limit in 2048 64 8; do # in KiB: every write beyond fails with EFBIG
        ulimit -f $limit
        refuse 1 '' "$hpcc" import -F old.img gnu.tar
    done
    refuse 1 'cannot write the archive' "$hpcc" export -o big.tar tree
) || exit 1
cmp a.img old.img || fail "a full disk changed the old image"
[ ! -e big.tar ] || fail "half an archive"
ok "a full disk leaves the old image"

if [ "$(id -u)" = 0 ]; then
    need_user
    chmod 644 a.img gnu.tar
    cd user
    as_user env SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH "$hpcc" -q import u.img ../gnu.tar
    cmp u.img ../a.img || fail "a user's import is another image"
    as_user "$hpcc" export u.img | cmp - ../a.tar || fail "a user's export is another archive"
    [ "$(as_user "$hpcc" ls --json u.img:/null | jq -c '.[0] | [.type, .major, .minor]')" = '["char device",1,3]' ] ||
        fail "the device is not in the image"
    as_user "$hpcc" df u.img > /dev/null
    ok "an ordinary user gets the same bytes, devices and owners too"
fi
