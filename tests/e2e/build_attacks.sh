#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Whoever can write the directory in which another user builds: in a sticky one (/tmp), in one of his own,
# and where --tmpdir lies. The stage is ours or there is no build; renaming it changes nothing. Each attack
# has its control, hpcc-full-controls with the defence in question switched off.
# shellcheck disable=SC2016 # what is in single quotes is for the shell of the script
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/_root.sh"
need_root
need_user
command -v flock > /dev/null || skip "needs flock"
full=$HPCC_BINARY_DIR/tests/hpcc-full-controls
[ -x "$full" ] || skip "hpcc-full-controls is not built"
mkdir -p "$work/bin"
cp "$full" "$work/bin/controls"
chmod 755 "$work/bin/controls"
controls=$work/bin/controls
foe() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
cd "$work"
mkdir -m 1777 open
umask 022
cat > v.def << 'E2'
Bootstrap: busybox
%pre
    sleep 0.7
%setup
    echo "$(id -u)" > "$SINGULARITY_ROOTFS/by-setup"
E2

# In DIR, with the name STAGE-* (and before it is there: NAME): take it away, lay a script in its place.
cat > attacker << 'E2'
cd "$1"
if [ -n "$2" ]; then mkdir -m 777 "$2"; fi
for _ in $(seq 300); do
    for s in .v.img.hpcc-stage-*; do
        if [ -n "$2" ] && { [ "$s" != "$2" ] || [ ! -e "$s/v.def" ] && [ -z "$(ls -A "$s" 2> /dev/null)" ]; }; then continue; fi
        sleep 0.2 # %pre is at work
        mv "$s" "gone-$$" 2> /dev/null || continue
        mkdir -m 755 "$s"
        printf '#!/bin/sh\nid -u > %s/pwned\n' "$3" > "$s/v.def"
        chmod 755 "$s/v.def"
        exit
    done
    sleep 0.01
done
E2
zeros=.v.img.hpcc-stage-0000000000000000

# attack PRECREATED DIR COMMAND…: true when the foe's script was run.
attack() {
    local name=$1 dir=$2 foe_pid
    shift 2
    rm -f open/pwned
    foe bash attacker "$dir" "$name" "$work/open" &
    foe_pid=$!
    sleep 0.1
    out=$(me "$@" 2>&1 < /dev/null) || true
    kill $foe_pid 2> /dev/null || true
    wait $foe_pid 2> /dev/null || true
    [ -e open/pwned ]
}
built() { # by the definition's own scripts
    debugfs -R 'cat /by-setup' "$1" 2> /dev/null | grep -qx '[0-9]*' || fail "$who: no image, or another one"
    rm -f "$1"
}
fresh() { # a folder of OWNER with MODE in which $who builds
    rm -rf dir
    mkdir dir
    chown "$1" dir
    chmod "$2" dir
}

in_sticky() {
    fresh root 1777
    if attack "$zeros" dir env HPCC_TEST_OFF=stage-place "$controls" bootstrap -q dir/v.img v.def; then fail "$who: a name that exists is taken"; fi
    built dir/v.img
    fresh root 1777
    attack "$zeros" dir env HPCC_TEST_OFF='stage stage-place' "$controls" bootstrap -q dir/v.img v.def || fail "$who: the control does nothing"
    fresh root 1777
    rm -rf image && mkdir -m 1777 image
    if attack "$zeros" dir "$hpcc" bootstrap -q --tmpdir dir image/v.img v.def; then fail "$who: --tmpdir"; fi
    built image/v.img
    ok "$who: a stage that a stranger made beforehand is not used"
}

in_foreign() {
    fresh 65534 777
    if attack '' dir "$hpcc" bootstrap -q dir/v.img v.def; then fail "$who: the renamed stage is looked up again"; fi
    grep -q 'the stage stays' <<< "$out" || fail "$who: the stage was not renamed"
    [ -z "$(ls -A dir/gone-*)" ] || fail "$who: what was in the stage stays"
    built dir/v.img
    fresh 65534 777
    attack '' dir env HPCC_TEST_OFF=stage-place "$controls" bootstrap -q dir/v.img v.def || fail "$who: the control does nothing"
    fresh 65534 777
    rm -rf image && mkdir -m 1777 image
    if attack '' dir "$hpcc" bootstrap -q --tmpdir dir image/v.img v.def; then fail "$who: --tmpdir"; fi
    built image/v.img
    ok "$who: renaming the stage leads no script astray"
}

both in_sticky
both in_foreign

# Names of others, with and without their locks: they stop nobody, and nobody touches them.
strangers() {
    local holder word
    fresh root 1777
    for word in stage changes new; do
        foe mkdir -m 700 "dir/.v.img.hpcc-$word-1" "dir/.v.img.hpcc-$word-2"
        foe mkdir -m 777 "dir/.v.img.hpcc-$word-3"
        foe touch "dir/.v.img.hpcc-$word-4"
        foe ln -s /etc "dir/.v.img.hpcc-$word-5"
        foe mkfifo "dir/.v.img.hpcc-$word-6"
        foe touch "dir/.v.img.hpcc-$word-1/kept"
    done
    foe sh -c 'cd dir; exec 3< .v.img.hpcc-stage-2 4< .v.img.hpcc-changes-2 5< .v.img.hpcc-new-4; flock 3; flock 4; flock 5; touch ready; exec sleep 60' &
    holder=$!
    soon test -e dir/ready
    listing dir/.v* > before
    sed '/sleep/d; /%pre/d' v.def > quick.def
    expect 0 '' me "$hpcc" bootstrap -q dir/v.img quick.def
    expect 0 '' me "$hpcc" bootstrap -q --fresh dir/v.img quick.def
    expect 0 '' me "$hpcc" expand --size +8 dir/v.img
    expect 0 '' me "$hpcc" exec -w --userns dir/v.img touch /x
    listing dir/.v* > after
    kill $holder
    wait $holder 2> /dev/null || true
    diff before after > out || { out=$(cat out) && fail "$who: names of others were touched"; }
    ok "$who: names and locks of others in the same directory"
}
both strangers

# Our own, which a killed process left: whatever writes the image next takes them away.
leftover() {
    local word
    fresh root 1777
    sed '/sleep/d; /%pre/d' v.def > quick.def
    expect 0 '' me "$hpcc" bootstrap -q dir/v.img quick.def
    for word in stage changes; do
        me mkdir -m 700 "dir/.v.img.hpcc-$word-00112233445566ff"
        me mkdir -p "dir/.v.img.hpcc-$word-00112233445566ff/upper/d"
        me chmod 0 "dir/.v.img.hpcc-$word-00112233445566ff/upper/d"
        me mkdir -m 700 "dir/.v.img.hpcc-$word-of-mine" "dir/.v.img.hpcc-$word-"
    done
    expect 0 "removed '.v.img.hpcc-changes-00112233445566ff', which a killed process left" me "$hpcc" expand --size +8 dir/v.img
    [ "$(find dir -name '.*ff' | wc -l)" = 0 ] || fail "$who: left: $(ls -A dir)"
    [ "$(find dir -name '.*-' -o -name '.*mine' | wc -l)" = 4 ] || fail "$who: others are gone: $(ls -A dir)"
    ok "$who: what a killed process left goes with the next change"
}
both leftover

# Root's own, which the owner of the directory gave the name of something left.
if [ "$(id -u)" = 0 ]; then
    who=root
    sed '/sleep/d; /%pre/d' v.def > quick.def
    moved() { # the binary
        fresh "$(foe id -u)" 755
        mkdir -m 700 dir/keep
        touch dir/keep/file
        foe mv dir/keep dir/.v.img.hpcc-stage-00112233445566ff
        expect 0 '' "$@" bootstrap -q dir/v.img quick.def
        [ -e dir/.v.img.hpcc-stage-00112233445566ff/file ]
    }
    moved "$hpcc" || fail "root's directory is gone"
    if moved env HPCC_TEST_OFF=sweep "$controls"; then fail "control: root's directory is still there"; fi
    ok "root: what is root's in a user's directory keeps its content, whatever it is called"
fi
