#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# squashfs and SIF images, as root and as an ordinary user.
# shellcheck disable=SC2016 # what is in single quotes is for the shell inside
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/_root.sh"
for tool in mksquashfs unsquashfs python3; do
    command -v $tool > /dev/null || skip "needs $tool"
done
need_user
server=$(dirname "$hpcc")/hpcc-squashfs
[ -x "$server" ] || skip "built without libsquashfuse"
cd "$work"

# The server shows nobody's command line; only root sees which image it has open.
before_us=" $(pgrep -x hpcc-serve | tr '\n' ' ') "
server_of() { # IMAGE [USER]
    local p
    for p in $(pgrep ${2:+-u "$2"} -x hpcc-serve); do
        if [ "$(id -u)" = 0 ]; then
            if [ -n "$(find "/proc/$p/fd" -lname "$work/$1" 2> /dev/null)" ]; then echo "$p"; fi
        elif [[ $before_us != *" $p "* ]]; then
            echo "$p"
        fi
    done
}

make_root root
for name in find sort md5sum xargs seq cmp; do ln -s busybox root/bin/$name; done
mkdir -p root/data/deep root/data/many
seq 40000 > root/data/deep/numbers
ln root/data/deep/numbers root/data/hard
truncate -s 3M root/data/sparse
echo end >> root/data/sparse
for ((i = 0; i < 700; i++)); do echo $i > "root/data/many/a-name-of-some-length-$i"; done
chmod 4755 root/data/many/a-name-of-some-length-1
cat > root/data/look << 'END'
#!/bin/sh
parts='/bin /data /opt /usr /.singularity.d'
find $parts | sort | xargs stat -c '%n %f %h %s %u %g %Y %t %T'
find $parts -type f | sort | xargs md5sum
find $parts -type l | sort | while read -r link; do echo "$link $(readlink "$link")"; done
END
chmod 755 root/data/look
if [ "$(id -u)" = 0 ]; then chown -R 0:0 root; fi

squash() { # IMAGE WORDS…
    local image=$1
    shift
    rm -f "$image"
    mksquashfs root "$image" -quiet -no-progress -noappend "$@" > /dev/null 2>&1
    chmod 644 "$image"
}

# sif IMAGE PARTITION KIND [ROLE]: a definition, labels and the partition, as Apptainer lays them out.
sif() {
    python3 - "$@" << 'END'
import struct, sys
out, part, kind = sys.argv[1], open(sys.argv[2], "rb").read(), int(sys.argv[3])
role = int(sys.argv[4]) if len(sys.argv) > 4 else 2
TABLE, DATA = 4096, 32768
deffile = b"Bootstrap: scratch\n"
def descriptor(data, number, at, size, extra, name):
    d = struct.pack("<i?III", data, True, number, 0xf0000001, 0) + struct.pack("<qqqqqqq", at, size, size, 0, 0, 0, 0)
    d = d[:73].ljust(73, b"\0") + name.ljust(128, b"\0") + extra.ljust(384, b"\0")
    assert len(d) == 585, len(d)
    return d
head = b"#!/usr/bin/env run-singularity\n".ljust(32, b"\0") + b"SIF_MAGIC\0" + b"01\0" + b"02\0" + bytes(16)
head = head.ljust(64, b"\0")
head += struct.pack("<8q", 0, 0, 46, 48, TABLE, 48 * 585, DATA, 4096 + len(part))
table = descriptor(0x4001, 1, DATA, len(deffile), b"", b"Singularity")
table += descriptor(0x4004, 2, DATA + 4096, len(part), struct.pack("<ii", kind, role), b"squashfs-1.img")
with open(out, "wb") as f:
    f.write(head.ljust(TABLE, b"\0") + table.ljust(DATA - TABLE, b"\0") + deffile.ljust(4096, b"\0") + part)
END
    chmod 644 "$1"
}

squash a.sqsh
before=$(sha256sum a.sqsh)
# What the program sees is what unsquashfs unpacks.
same_tree() { # IMAGE
    rm -rf unpacked
    unsquashfs -q -n -no-xattrs -d unpacked "$1" > /dev/null 2>&1 || fail "cannot unpack $1"
    me "$hpcc" exec --no-home --pwd / --userns "$1" /data/look > seen
    me "$hpcc" exec --no-home --pwd / --userns unpacked /data/look > want
    # what a directory's size counts is its file system's own affair
    sed -i -E 's/^(\S+ 4[0-9a-f]{3}) [0-9]+ [0-9]+/\1/' seen want
    out=$(diff want seen | head -5)
    [ -z "$out" ] || fail "$who: $1 is not what unsquashfs gives"
    [ "$(wc -l < seen)" -gt 1400 ] || fail "$who: the tree is too small to tell"
}

compressors() {
    local how
    for how in gzip lzo lz4 xz zstd; do
        [ -e $how.sqsh ] || squash $how.sqsh -comp $how
        expect 0 '^40000$' me "$hpcc" exec $how.sqsh sh -c 'tail=$(wc -l < /data/deep/numbers); echo $tail'
        [ -e $how.sif ] || sif $how.sif $how.sqsh 1
        expect 0 '' me "$hpcc" exec $how.sif cmp /data/hard /data/deep/numbers
    done
    same_tree zstd.sqsh
    ok "$who: every compressor, the tree is what unsquashfs gives"
}
both compressors

actions() {
    for i in a.sqsh gzip.sif; do
        expect 0 '' me "$hpcc" run $i 'a b' '$x'
        [ "$out" = $'args 2\n<a b>\n<$x>' ] || fail "$who: arguments of run were changed"
        expect 3 testing me "$hpcc" test $i
        expect 42 '' me "$hpcc" exec $i sh -c 'exit 42'
        expect 127 'not found' me "$hpcc" exec $i no-such-program
        expect 0 '^image$' me "$hpcc" exec $i sh -c 'echo $FROM_IMAGE'
        expect 0 "^$(me id -u)\$" me "$hpcc" exec $i id -u
        expect 0 '^in a shell$' me "$hpcc" shell $i -c 'echo in a shell'
        expect 1 'Read-only' me "$hpcc" exec $i touch /data/x
        expect 0 '^1$' me "$hpcc" exec --pid --no-init $i sh -c 'echo $$'
        expect 0 '' me "$hpcc" exec $i sh -c 'md5sum /data/deep/* & md5sum /data/hard & wait'
        expect 0 '^0$' me "$hpcc" exec --fakeroot $i id -u
        expect 0 '^root +.* by (loop|fuse)' me "$hpcc" exec --dry-run $i true
    done
    ok "$who: run, test, exec, shell"
}
both actions

changes() {
    for i in a.sqsh gzip.sif; do
        expect 0 '^new$' me "$hpcc" exec --writable-tmpfs $i \
            sh -c 'echo new > /data/x; rm /data/hard; [ ! -e /data/hard ] && cat /data/x'
        rm -rf "user/layer"
        me mkdir "$work/user/layer"
        expect 0 '' me "$hpcc" exec --overlay "$work/user/layer" $i sh -c 'echo kept > /data/x'
        expect 0 '^kept$' me "$hpcc" exec --overlay "$work/user/layer" $i cat /data/x
        refuse 125 'a squashfs image, which never changes' me "$hpcc" exec --writable $i true
    done
    ok "$who: changes go to memory or to a directory"
}
# an overlay of an ordinary user needs Linux 5.11
if me "$hpcc" exec --writable-tmpfs a.sqsh true 2> /dev/null; then both changes; fi

# The image of another user, which the kernel must not read for root.
of_another_user() {
    cp gzip.sif other.sif
    cp a.sqsh other.sqsh
    chown "$test_user" other.sif other.sqsh
    for i in other.sif other.sqsh; do
        expect 0 '^root +.* by fuse' "$hpcc" exec --dry-run $i true
        expect 0 '^fuse' "$hpcc" exec $i sh -c 'grep " / " /proc/mounts | cut -d" " -f3 | head -1'
        "$hpcc" exec $i sleep 5 &
        local run=$! server_pid=
        for _ in {1..100}; do
            server_pid=$(server_of $i "$test_user")
            [ -z "$server_pid" ] || break
            sleep 0.05
        done
        [ -n "$server_pid" ] || fail "root's server does not run as the owner"
        kill $run
        wait $run || true
    done
    expect 0 '^squashfs' "$hpcc" exec a.sqsh sh -c 'grep " / " /proc/mounts | cut -d" " -f3 | head -1'
    ok "root: the image of another user is read as that user"
}
if [ "$(id -u)" = 0 ]; then of_another_user; fi

# libsquashfuse works locked up, and the server ends with the mount.
confined() {
    me "$hpcc" exec --no-home --no-share --userns a.sqsh sleep 3 &
    local run=$! pid='' word
    for _ in {1..200}; do
        pid=$(server_of a.sqsh)
        if [ -n "$pid" ] && grep -q '^Seccomp:.2' "/proc/$pid/status"; then break; fi
        sleep 0.05
    done
    for word in 'NoNewPrivs:.1' 'Seccomp:.2' 'Name:.hpcc-serve'; do
        grep -q "^$word" "/proc/$pid/status" || fail "$who: the server is not confined: $word"
    done
    [ "$(tr '\0' '\n' < "/proc/$pid/environ" | wc -l)" = 0 ] || fail "$who: the server has an environment"
    wait $run || fail "$who: sleep failed"
    for _ in {1..40}; do
        [ -e "/proc/$pid" ] || break
        sleep 0.05
    done
    [ ! -e "/proc/$pid" ] || fail "$who: the server stays"
    ok "$who: the server is confined and ends with the mount"
}
if [ "$(id -u)" = 0 ]; then both confined; fi

# One server for runs that start together.
together() {
    local i pids=()
    for i in {1..8}; do
        me "$hpcc" exec a.sqsh sh -c 'wc -l < /data/deep/numbers' > "together.$i" 2>&1 &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || fail "$who: a run among eight fails"; done
    [ "$(cat together.* | grep -cx 40000)" = 8 ] || fail "$who: eight runs at once"
    ok "$who: eight runs at once"
}
both together

# What does not run squashfs says where to look.
elsewhere() {
    for command in inspect ls; do
        refuse 3 'holds a squashfs' me "$hpcc" $command gzip.sif
        grep -q 'unsquashfs -o 36864 ' <<< "$out" || fail "the hint of $command does not name the offset"
    done
    refuse 3 'holds a squashfs' me "$hpcc" export gzip.sif
    ok "$who: inspect, ls and export tell what to do instead"
}
both elsewhere

# What is wrong is told once, with its cure, and nothing stays.
mistakes() {
    head -c 60000 a.sqsh > short.sqsh
    sif short.sif short.sqsh 1
    sif encrypted.sif a.sqsh 5
    sif data.sif a.sqsh 1 3
    head -c 100000 gzip.sif > cut.sif
    cp a.sqsh zero.sqsh
    dd if=/dev/zero of=zero.sqsh bs=1 seek=12 count=4 conv=notrunc status=none
    cp a.sqsh old.sqsh
    printf '\3' | dd of=old.sqsh bs=1 seek=28 count=1 conv=notrunc status=none
    chmod 644 ./*.sqsh ./*.sif
    refuse 125 'truncated squashfs.*' me "$hpcc" exec --userns short.sqsh true
    refuse 125 'truncated' me "$hpcc" exec --userns short.sif true
    refuse 125 'truncated SIF' me "$hpcc" exec --userns cut.sif true
    refuse 125 'an encrypted SIF file' me "$hpcc" exec --userns encrypted.sif true
    refuse 125 'without a primary system partition' me "$hpcc" exec --userns data.sif true
    refuse 125 'its block size is 0' me "$hpcc" exec --userns zero.sqsh true
    refuse 125 'version 3.0, only 4.0' me "$hpcc" exec --userns old.sqsh true
    ok "$who: damaged images are refused with one error"
}
both mistakes

ext_in_sif() {
    make_image root a.ext3
    sif ext.sif a.ext3 2
    expect 0 '^args 0$' me "$hpcc" run ext.sif
    ok "$who: a SIF file with ext3 inside"
}
both ext_in_sif

launcher() {
    { printf '#!/usr/bin/env run-singularity\n'; cat a.sqsh; } > launcher.sqsh
    chmod 755 launcher.sqsh
    expect 0 '^args 1$' me "$hpcc" run launcher.sqsh x
    ok "$who: the squashfs of Singularity 2.x behind its launcher line"
}
both launcher

without_server() {
    mkdir -p bare
    cp "$hpcc" bare/hpcc
    chmod -R a+rX bare
    refuse 125 'built without libsquashfuse' me bare/hpcc exec --userns gzip.sif true
    grep -q 'unsquashfs -o 36864 ' <<< "$out" || fail "the cure does not name the offset"
    ok "$who: without the server there is a cure"
}
both without_server

by_hand() {
    expect 2 'of no use by hand' me "$server"
    expect 2 'of no use by hand' me "$server" 0 1 0 0 0 x
    expect 2 'of no use by hand' me "$server" 3 4 0 0 0 x
    expect 2 'of no use by hand' me "$server" 99999999999 -1 x y z image
    expect 2 'of no use by hand' me bash -c "exec '$server' 8 9 0 0 0 x 8< a.sqsh 9< a.sqsh"
    ok "$who: the server by hand is a usage error"
}
both by_hand

# A program that outlives hpcc keeps its mount; a server that is killed leaves errors, no hang.
killed() {
    # shellcheck disable=SC2094 # the one waits for what the other writes
    me "$hpcc" exec --no-home --userns a.sqsh sh -c \
        'echo up; read -r line; cat /data/deep/numbers > /dev/null; echo "status $?"' \
        > kill.out 2>&1 < <(until grep -q up kill.out; do sleep 0.05; done; sleep 0.2
            kill -9 "$(server_of a.sqsh)"; echo go; sleep 1) || true
    # or a signal: the program's own code is a file of the mount
    grep -qE '^status [1-9]' kill.out || { out=$(cat kill.out); fail "$who: a killed server is not an error"; }
    ok "$who: a killed server is an error to the program"
}
both killed
[ "$(sha256sum a.sqsh)" = "$before" ] || fail "the image was changed"
