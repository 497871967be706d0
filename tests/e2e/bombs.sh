#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Small things that would become large: a directory made of one block, an archive that is all map, a repository
# that unpacks to more than it says. Each is refused at once, in little memory, by every command that meets it.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
controls=$HPCC_BINARY_DIR/tests/hpcc-full-controls
[ -x "$controls" ] || skip "hpcc-full-controls is not built"
command -v mke2fs > /dev/null || skip "needs mke2fs"
command -v debugfs > /dev/null || skip "needs debugfs"
cd "$work"

# lean STATUS PATTERN CMD…: as expect, in 20 s and 600 MiB of memory (a sanitizer's own included)
cat > lean.py << 'PY'
import resource, subprocess, sys
rc = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
if peak > 600:
    print("took", peak, "MiB")
sys.exit(99 if peak > 600 else rc)
PY
lean() {
    local status=$1 pattern=$2
    shift 2
    expect "$status" "$pattern" timeout 20 /usr/bin/python3 lean.py "$@"
}

# /sub/d is as long as a directory may be, 1 GiB, and all of it is one block.
mkdir -p tree/sub/d tree/bin
head -c 40960000 /dev/zero | tr '\0' x > tree/x
mke2fs -q -t ext3 -b 4096 -O ^has_journal,^resize_inode,^dir_index,^metadata_csum -d tree dir.img 1200M
/usr/bin/python3 - << 'PY'
import re, struct, subprocess
def ask(words):
    return subprocess.run(["debugfs", "-R", words, "dir.img"], capture_output=True, text=True).stdout
blocks = ask("blocks /x").split()
block, indirect = int(ask("blocks /sub/d").split()[0]), int(re.search(r"\(IND\):(\d+)", ask("stat /x")).group(1))
double = int(re.search(r"\(DIND\):(\d+)", ask("stat /x")).group(1))
where = re.search(r"block (\d+), offset 0x([0-9a-f]+)", ask("imap /sub/d"))
inode = int(where.group(1)) * 4096 + int(where.group(2), 16)
with open("dir.img", "r+b") as f:
    f.seek(indirect * 4096); f.write(struct.pack("<I", block) * 1024)
    f.seek(double * 4096); f.write(struct.pack("<I", indirect) * 1024)
    f.seek(inode + 4); f.write(struct.pack("<I", 1 << 30))
    f.seek(inode + 40); f.write(struct.pack("<14I", *[block] * 12, indirect, double))
PY
lean 3 'damaged' "$hpcc" ls dir.img:/sub/d
lean 3 'damaged' "$hpcc" ls -R --json dir.img
lean 1 'damaged' "$hpcc" cat dir.img:/sub/d/absent
lean 3 'damaged' "$hpcc" check dir.img
lean 3 'damaged' "$hpcc" export dir.img -o out.tar
lean 3 'damaged' "$hpcc" expand --size 2G dir.img
lean 3 'damaged' "$hpcc" shrink --minimum dir.img
lean 3 'damaged' "$hpcc" compact dir.img
lean 3 'damaged|cleaning' "$hpcc" copy dir.img:/sub/d out
lean 3 'damaged' "$hpcc" copy lean.py dir.img:/bin/
lean 0 '^size' "$hpcc" df dir.img
lean 0 '' "$hpcc" inspect dir.img
ok "a directory of one block is refused by every command"
expect 124 '' env HPCC_TEST_OFF=dir-blocks timeout 2 "$controls" ls dir.img:/sub/d
ok "without the defence it is read"

# A map of holes: N of them are four bytes each, forty times less when packed, twelve times more in memory.
cat > sparse.py << 'PY'
import sys, tarfile, zlib
n, name = int(sys.argv[1]), sys.argv[2]
t = tarfile.TarInfo("f")
body = b"%d\n" % n + b"0\n0\n" * n
body += b"\0" * (-len(body) % 512)
t.size = len(body)
t.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "f", "GNU.sparse.realsize": "1048576"}
c = zlib.compressobj(1, zlib.DEFLATED, 31)
with open(name, "wb") as o:
    for b in (t.tobuf(tarfile.PAX_FORMAT), body, b"\0" * 1024):
        o.write(c.compress(b))
    o.write(c.flush())
PY
/usr/bin/python3 sparse.py 40000000 large.tgz
/usr/bin/python3 sparse.py 5000000 small.tgz
lean 3 'unpacks to more than the 10.0 MiB|unpacks to more than the 10 MiB' "$hpcc" import --max-size 10M x.img large.tgz
lean 3 'map of holes' "$hpcc" import x.img large.tgz
lean 3 'map of holes' "$hpcc" import x.img small.tgz
HPCC_TEST_OFF=unpacked-bytes "$controls" -q import x.img small.tgz || fail "the control is refused"
rm -f x.img ./*.tgz
ok "archives are measured before they are kept"

if [ "$(id -u)" = 0 ]; then
    cat > repo.py << 'PY'
import gzip, hashlib, os, sys
where, n, less = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.makedirs(where + "/repodata")
head = b'<?xml version="1.0"?><metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">'
text = head + b"".join(b'<package type="rpm"><name>n%x</name><arch>x86_64</arch><version epoch="0" ver="1" rel="1"/><checksum type="sha256" pkgid="YES">%064x</checksum><location href="p/%x.rpm"/><format/></package>' % (i, i, i) for i in range(n)) + b"</metadata>"
packed = gzip.compress(text, 1)
open(where + "/repodata/primary.xml.gz", "wb").write(packed)
open(where + "/repodata/repomd.xml", "w").write('<?xml version="1.0"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision><data type="primary"><checksum type="sha256">%s</checksum><location href="repodata/primary.xml.gz"/><size>%d</size><open-size>%d</open-size></data></repomd>' % (hashlib.sha256(packed).hexdigest(), len(packed), len(text) - less))
PY
    /usr/bin/python3 repo.py longer 10 1
    printf 'Bootstrap: yum\nOSVersion: 8\nMirrorURL: file://%s\nInclude: nothing\n' "$work/longer" > longer.def
    build=(bootstrap --no-verify --no-cache y.img longer.def)
    lean 3 'larger unpacked than announced' "$hpcc" "${build[@]}"
    expect 3 "no package is called or provides .* in: base" env HPCC_TEST_OFF=metadata-limits "$controls" "${build[@]}"
    ok "a repository has its limits"
fi
