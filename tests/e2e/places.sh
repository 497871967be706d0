#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Root works in a directory that a user can write, and the user moves names about while the work is held right
# before it is published: nothing of root's is touched, nothing of anybody's is lost. Each attack has its control.
# shellcheck disable=SC2015 # fail ends the test
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/_root.sh"
need_root
need_user
controls=$HPCC_BINARY_DIR/tests/hpcc-full-controls
[ -x "$controls" ] || skip "hpcc-full-controls is not built"
cd "$work"
make_root base
mkdir root
echo content > base/file
"$hpcc" -q import --size 12M base.img base
printf 'Bootstrap: scratch\n' > new.def
printf 'Bootstrap: scratch\n%%setup\n    echo said\n    false\n' > bad.def
d=$work/user/d

# A fresh scene: the user's directory with his image in it, and what root would not like to lose.
scene() {
    rm -rf user/* root/* sticky
    mkdir -m 1777 sticky
    cp --sparse=always base.img user/t.img
    mkdir user/d
    mv user/t.img user/d
    cp --sparse=always base.img root/victim
    chown -R "$test_user:" user
    chmod 644 root/victim
    sum=$(sha256sum < base.img)
}
safe() { [ "$(stat -c %U root/victim)" = root ] && [ "$(sha256sum < root/victim)" = "$sum" ]; }

# Run hpcc as root with defence $1 off ('' for none), held before it publishes; the user does $2 then. $got: its status.
held() {
    local off=$1 trick=$2 pid
    shift 2
    rm -rf hold
    mkdir hold
    HPCC_TEST_HOLD="place $work/hold" HPCC_TEST_OFF=$off timeout 60 "$controls" "$@" > said 2>&1 < /dev/null &
    pid=$!
    until [ -e hold/held ]; do
        kill -0 $pid 2> /dev/null || fail "it never published: $* ($(cat said))"
        sleep 0.02
    done
    as_user sh -ec "cd '$work'; $trick"
    touch hold/go
    got=0
    wait $pid || got=$?
    out=$(cat said)
}

# A build works in a mount namespace of its own, which alone keeps a path that it looks up from meeting the place.
uncontrolled() { [[ $1 == bootstrap* ]] || fail "$1: the control did not reach root's file"; }

swap='mv user/d/t.img user/d/away; ln -s ../../root/victim user/d/t.img'
parent='mv user/d user/moved; mkdir user/d; ln -s ../../root/victim user/d/t.img'
appear='ln -s ../../root/victim user/d/new.img'
second='ln user/d/t.img user/d/second'

# What changes the image that is there. The words of a row are hpcc's.
while read -r -a row; do
    name=${row[*]:0:2}
    scene
    held '' "$swap" "${row[@]}"
    safe || fail "$name: a link in the image's place led to root's file"
    [ "$got" = 1 ] || { [ "${row[0]} $got" = 'exec 125' ] && [[ $out == *'changes are in'* ]]; } || fail "$name: exit status $got after the image was exchanged"
    [ "$(readlink user/d/t.img)" = ../../root/victim ] || fail "$name: the link is gone"
    [ "$(sha256sum < user/d/away)" = "$sum" ] || fail "$name: the image is gone"
    [ -z "$(find user/d -name '*hpcc*')" ] || fail "$name: something is left: $(ls -A user/d)"
    scene
    held 'place links' "$swap" "${row[@]}"
    safe && uncontrolled "$name"
    scene
    held '' "$parent" "${row[@]}"
    safe || fail "$name: a renamed parent led to root's file"
    [ "$got" = 0 ] && [ "$(sha256sum < user/moved/t.img)" != "$sum" ] || fail "$name: the renamed directory has no new image"
    [ "$(readlink user/d/t.img)" = ../../root/victim ] || fail "$name: the link is gone"
    scene
    held 'place links' "$parent" "${row[@]}"
    safe && uncontrolled "$name"
    scene
    held '' "$second" "${row[@]}"
    [ "$got" = 0 ] && [ "$(sha256sum < user/d/second)" = "$sum" ] || fail "$name: it wrote through a hard link"
    [ "$(stat -c %U user/d/second)" = "$test_user" ] || fail "$name: the second name changed its owner"
    ok "$name publishes only over what it found"
done << END
expand --size 16M $d/t.img
shrink --minimum $d/t.img
copy $work/new.def $d/t.img:/
create --force --size 8M $d/t.img
import --force $d/t.img base
export --force --output $d/t.img base.img
bootstrap --fresh --no-cache $d/t.img new.def
exec --writable --silent $d/t.img touch /made
END

scene
expect 0 '' "$hpcc" -q expand --size 16M "$d/t.img"
[ "$(stat -c '%U %a' user/d/t.img)" = "$test_user 755" ] || fail "the image changed its owner: $(stat -c '%U %a' user/d/t.img)"
ok "an image stays its owner's"

# What makes one that was not there.
while read -r -a row; do
    name=${row[*]:0:2}
    scene
    held '' "$appear" "${row[@]}"
    safe || fail "$name: a new link led to root's file"
    [ "$got" = 1 ] && [ -L user/d/new.img ] || fail "$name: exit status $got, or the link is gone"
    scene
    held 'place links' "$appear" "${row[@]}"
    safe && uncontrolled "$name"
    scene
    held '' 'echo mine > user/d/new.img' "${row[@]}"
    [ "$got" = 1 ] && [ "$(cat user/d/new.img)" = mine ] || fail "$name: a file that came meanwhile is gone"
    ok "$name makes no name that is taken meanwhile"
done << END
create --size 8M $d/new.img
import $d/new.img base
export --output $d/new.img base.img
bootstrap --no-cache $d/new.img new.def
END

# Links that lie there before: a user's are not followed, in his directory and in one like /tmp; root's own are.
while read -r -a row; do
    name=${row[*]:0:2}
    for where in user/d/l.img sticky/l.img; do
        for off in '' links; do
            scene
            as_user ln -s "$work/root/victim" "$where"
            got=0
            out=$(HPCC_TEST_OFF=$off timeout 60 "$controls" "${row[@]/LINK/$where}" 2>&1 < /dev/null) || got=$?
            if [ -n "$off" ]; then
                [ "$(sha256sum < root/victim)" != "$sum" ] || [[ $out == compacted* ]] || fail "$name: the control did not follow the link"
            else
                safe || fail "$name followed a user's link"
                [ "$got" = 1 ] && [[ $out == *'symbolic link of another user'* ]] || fail "$name: exit status $got"
                [ -L "$where" ] || fail "$name took the link away"
            fi
        done
    done
    ok "$name follows no link of a user's"
done << 'END'
expand --size 16M LINK
shrink --minimum LINK
compact LINK
copy new.def LINK:/
create --force --size 8M LINK
import --force LINK base
export --force --output LINK base.img
bootstrap --fresh --no-cache LINK new.def
END
scene
ln -s "$work/root/victim" sticky/mine.img
expect 0 '' "$hpcc" -q expand --size 16M sticky/mine.img
[ -L sticky/mine.img ] && [ "$(stat -c %s root/victim)" = $((16 << 20)) ] || fail "root's own link is not followed"
ok "an image may be a link to where it lies"

# The log of a build that failed.
scene
for off in '' 'place links'; do
    rm -f user/d/w.img.log
    as_user ln -s ../../root/victim user/d/w.img.log
    out=$(HPCC_TEST_OFF=$off "$controls" bootstrap --no-cache "$d/w.img" bad.def 2>&1 < /dev/null) && fail "it was built"
    if [ -n "$off" ]; then
        safe && fail "log: the control did not reach root's file"
    else
        safe || fail "the log went through a user's link"
        [[ $out == *'no log was kept'*said* ]] || fail "it does not say what became of the log"
    fi
done
rm -f user/d/w.img.log
as_user sh -c "echo mine > $d/w.img.log"
expect 5 'no log was kept' "$hpcc" bootstrap --no-cache "$d/w.img" bad.def
[ "$(cat user/d/w.img.log)" = mine ] || fail "a file of the user gave way to the log"
rm -f user/d/w.img.log
expect 5 "is in '$d/w.img.log'" "$hpcc" bootstrap --no-cache "$d/w.img" bad.def
expect 5 "is in '$d/w.img.log'" "$hpcc" bootstrap --no-cache "$d/w.img" bad.def
grep -q said user/d/w.img.log || fail "the log is empty"
ok "a log takes nobody's place"

# Out of an image: nothing that gives power, and nothing under a name that was taken meanwhile.
mkdir -p power/results
cp /bin/true power/results/tool
chmod 4755 power/results/tool
cp /bin/true power/results/capped
setcap cap_net_raw+ep power/results/capped 2> /dev/null || setfattr -n trusted.x -v y power/results/capped || true
mknod power/results/disk b 7 0
"$hpcc" -q import --size 12M p.img power
scene
expect 0 '^hpcc: warning: 3 setuid or setgid bits, devices and capabilities were left out' "$hpcc" copy p.img:/results "$d/"
[ "$(stat -c '%a %U' user/d/results/tool)" = '755 root' ] || fail "a setuid bit came out"
[ ! -e user/d/results/disk ] || fail "a device came out"
[ -z "$(getfattr -d -m - user/d/results/capped 2> /dev/null)" ] || fail "a capability came out"
expect 0 '' "$hpcc" copy --archive p.img:/results root/kept
[ "$(stat -c %a root/kept/tool)" = 4755 ] && [ -b root/kept/disk ] || fail "--archive does not keep them"
for off in '' 'place links'; do
    scene
    held "$off" "mkdir user/d/results" copy p.img:/results "$d/"
    [ -n "$off" ] || [ "$got" = 1 ] || fail "copy: exit status $got over what came meanwhile"
    [ -n "$off" ] || [ -z "$(ls -A user/d/results)" ] || fail "copy: what came meanwhile is filled"
done
[ "$got" = 0 ] || fail "copy: the control did not replace what came meanwhile"
ok "nothing dangerous leaves an image by itself"

# The trace: no system call names a path in the user's directory, whose name is walked over once a command.
if command -v strace > /dev/null; then
    scene
    mv user/d user/traced
    t=$work/user/traced
    while read -r -a row; do
        name=${row[0]}
        ASAN_OPTIONS=detect_leaks=0 timeout 100 strace -f -qq -s 400 -e trace=%file -o trace "$hpcc" -q "${row[@]}" > said 2>&1 < /dev/null || fail "$name: $(cat said)"
        # Whether a file has the whole word IMAGE:/PATH as its name is asked before.
        grep -vE 'execve|t\.img:/' trace | grep -F "user/traced/" > again || true
        [ ! -s again ] || fail "$name resolves a path again: $(head -n 3 again)"
        [ "$(grep -c '"traced"' trace)" = 1 ] || fail "$name walks there more than once: $(grep '"traced"' trace)"
    done << END
expand --size 16M $t/t.img
shrink --minimum $t/t.img
copy new.def $t/t.img:/
create --force --size 8M $t/t.img
import --force $t/t.img base
export --output $t/out.tar base.img
bootstrap --fresh --no-cache --tmpdir $work/root $t/t.img new.def
copy base.img:/file $t/copied
END
    ok "a path is resolved once"
fi
