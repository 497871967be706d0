#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs that write: --overlay with directories and images, --writable by merging, --writable-tmpfs, as
# root and as an ordinary user, on images of root's and of the user's.
# shellcheck disable=SC2016 # what is in single quotes is for the shell inside
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/_root.sh"
command -v cc > /dev/null || skip "needs a C compiler"
need_user
cd "$work"
make_root root
echo old > root/etc/old
ln root/etc/old root/etc/old-too
mkdir root/opt/d
touch root/usr/old
echo in-d > root/opt/d/x
make_image root a.img
as_user mkdir -p user
user_root() { # the same, owned by the user
    cp -a root theirs
    if [ "$(id -u)" = 0 ]; then chown -R "$test_user:" theirs; fi
    make_image theirs b.img
}
user_root
before=$(sha256sum a.img b.img)
umask 022

# A folder and an image of $who's own.
mine() {
    rm -rf "user/$who"
    me mkdir "$work/user/$who"
    cp --sparse=always a.img "user/$who/i.img"
    if [ "$who" = user ] && [ "$(id -u)" = 0 ]; then chown "$test_user:" "user/$who/i.img"; fi
    cd "$work/user/$who"
}

nothing_hidden() { # …beside the images, after a moment
    for _ in $(seq 100); do
        if [ -z "$(find "$work" -maxdepth 3 -name '.*hpcc*')" ]; then return 0; fi
        sleep 0.1
    done
    fail "$who: something hidden is left: $(find "$work" -maxdepth 3 -name '.*hpcc*')"
}

sound() { expect 0 '' e2fsck -fn "$1"; }

# ── layers that are read, directories ──

directories() {
    mine
    me mkdir -p low/upper/etc high/upper/etc top
    me sh -c 'echo low > low/upper/etc/which; echo low > low/upper/etc/low; echo high > high/upper/etc/which'
    expect 0 '^high low$' me "$hpcc" exec -o low:ro -o high:ro i.img sh -c 'echo $(cat /etc/which /etc/low)'
    expect 0 '^low$' me "$hpcc" exec -o high:ro,low:ro i.img cat /etc/which
    expect 0 '' me "$hpcc" exec -o low:ro -B "$work/root:/not/there" i.img ls /not/there/bin
    expect 1 'Read-only' me "$hpcc" exec -o low:ro i.img touch /x
    expect 0 '' me "$hpcc" exec -o top -o low:ro i.img sh -c 'cat /etc/low && echo top > /etc/which'
    expect 0 '^top$' me "$hpcc" exec -o low:ro -o top:rw i.img cat /etc/which
    expect 0 '' me "$hpcc" exec -o low:ro --writable-tmpfs i.img sh -c 'rm /etc/low && ! cat /etc/low'
    [ "$(cat low/upper/etc/low)" = low ] || fail "$who: a layer that is read was changed"
    refuse 125 'only one layer' me "$hpcc" exec -o top -o low i.img true
    refuse 125 "no directory 'upper'" me "$hpcc" exec -o "$work/root:ro" i.img true
    refuse 125 'mkdir -p' me "$hpcc" exec -o none i.img true
    refuse 125 'together' me "$hpcc" exec -w -o low:ro i.img true
    refuse 125 'two ways' me "$hpcc" exec --writable-tmpfs -o top i.img true
    refuse 125 'no ext file system|is empty|not an image' me "$hpcc" exec -o "$work/root/etc/passwd:ro" i.img true
    cd "$work"
    ok "$who: directories as layers, the later over the earlier"
}
both directories

# ── an image of an ordinary user, in which nothing belongs to root ──

other_owner() {
    for options in --writable-tmpfs "-o $PWD/user/layer-$who"; do
        me mkdir -p "$work/user/layer-$who"
        # shellcheck disable=SC2086
        expect 0 '^in-d$' me "$hpcc" exec $options b.img sh -c 'echo new > /etc/old && mkdir /opt/d/y && rm -r /usr && cat /opt/d/x'
    done
    ok "$who: writes over an image of another owner"
}
both other_owner

# ── overlay images ──

overlay_image() {
    mine
    me "$hpcc" create -s 16M o.img > /dev/null 2>&1
    refuse 125 "no directory 'upper'" me "$hpcc" exec -o o.img:ro i.img true
    expect 7 '' me "$hpcc" exec -o o.img i.img sh -c 'echo new > /etc/new; rm /etc/old; rm -r /opt/d; exit 7'
    expect 0 '^new$' me "$hpcc" exec -o o.img:ro i.img sh -c 'cat /etc/new; ls /etc/old /opt/d 2> /dev/null; cat /etc/old-too > /dev/null'
    expect 1 'Read-only' me "$hpcc" exec -o o.img:ro i.img touch /x
    expect 0 '' me "$hpcc" exec -o o.img i.img sh -c 'mkdir /opt/d && rm /etc/new && mkdir /etc/new && touch /etc/new/y'
    expect 0 '^y$' me "$hpcc" exec -o o.img:ro i.img sh -c 'ls /opt/d /etc/new | grep y; [ ! -e /opt/d/x ]'
    sound o.img
    expect 0 '' me "$hpcc" exec i.img cat /etc/old /opt/d/x
    nothing_hidden
    cd "$work"
    ok "$who: an overlay image keeps changes, deletions and replaced directories"
}
both overlay_image

# An overlay image is anybody's bytes: its upper directory must not be a way out of it.
hostile_layer() {
    mine
    local access
    mkdir -p "$work/evil-$who"
    ln -sfn "$work/root" "$work/evil-$who/upper"
    make_image "$work/evil-$who" "$work/user/$who/o.img"
    if [ "$(id -u)" = 0 ]; then chown "$test_user:" o.img; fi
    for access in '' :ro; do
        refuse 125 "o.img/upper' as a directory" me "$hpcc" exec -o "o.img$access" i.img true
    done
    : > o.img
    refuse 125 'is empty' me "$hpcc" exec -o o.img i.img true
    nothing_hidden
    cd "$work"
    ok "$who: an overlay image cannot lead out of itself"
}
both hostile_layer

# What one wrote the others read: root's kernel marks directories in another way than a user's does.
exchange() {
    who=user
    mine
    me "$hpcc" create -s 16M o.img > /dev/null 2>&1
    expect 0 '' me "$hpcc" exec -o o.img i.img sh -c 'rm -r /opt/d; mkdir /opt/d; touch /opt/d/by-user; rm /etc/old'
    cp o.img r.img
    chmod 644 r.img
    expect 0 'by loop, read-write' "$hpcc" exec --dry-run -o r.img i.img true
    expect 0 '^by-user$' "$hpcc" exec -o r.img ../../a.img sh -c 'ls /opt/d; [ ! -e /etc/old ] && rm -r /opt/d && mkdir /opt/d && touch /opt/d/by-root; rm -r /usr; mkdir /usr'
    expect 0 '^by-root$' me "$hpcc" exec -o r.img:ro i.img sh -c 'ls /opt/d; [ -z "$(ls /usr)" ]'
    expect 0 '^by-root$' "$hpcc" exec -o r.img:ro i.img ls /opt/d
    refuse 125 'another user' me "$hpcc" exec -o r.img i.img true
    expect 0 'by fuse, merged-at-end' "$hpcc" exec --dry-run -o o.img i.img true
    expect 0 '' "$hpcc" exec -o o.img i.img sh -c 'touch /opt/d/by-root'
    expect 0 'by-root' me "$hpcc" exec -o o.img:ro i.img ls /opt/d
    [ "$(stat -c %U o.img)" = "$test_user" ] || fail "root's merge took the image's owner away"
    soon "$hpcc" exec -o r.img i.img true
    "$hpcc" exec -o r.img i.img sleep 2 &
    sleep 0.7
    refuse 125 'r.img' "$hpcc" exec -o r.img:ro i.img true
    wait
    cd "$work"
    ok "overlay images pass between root and a user"
}
if [ "$(id -u)" = 0 ]; then exchange; fi

# ── --writable by merging ──

# As the user, or as root on an image that others can write.
mine_to_merge() {
    mine
    if [ "$who" = root ]; then chown "$test_user:" i.img; fi
}

writable() {
    mine_to_merge
    expect 0 'by fuse, merged-at-end' me "$hpcc" exec --dry-run -w i.img true
    expect 0 '"access":"merged-at-end"' sh -c "\"\$@\" | tr -d ' \n'" sh "$hpcc" exec --dry-run --json -w i.img true
    ino=$(stat -c %i i.img)
    expect 0 '' me "$hpcc" exec -w i.img true
    [ "$(stat -c %i i.img)" = "$ino" ] || fail "$who: a run that wrote nothing made a new image"
    expect 9 '' me "$hpcc" exec -w i.img sh -c 'echo newer > /etc/old; echo a > /a; ln /a /b; ln -s /a /c
        chmod 4711 /a; touch -d @1000000000 /a; rm -r /opt/d; mkdir -p /opt/d/sub; rm /bin/true; exit 9'
    expect 0 '^newer$' me "$hpcc" exec i.img cat /etc/old
    expect 0 '^old$' me "$hpcc" exec i.img cat /etc/old-too
    expect 0 '^sub$' me "$hpcc" exec i.img ls -A /opt/d
    expect 1 'No such file' me "$hpcc" exec i.img ls /bin/true
    expect 0 '^711 2 1000000000|^4711 2 1000000000$' me "$hpcc" exec i.img stat -c '%a %h %Y' /b
    expect 0 '^/a$' me "$hpcc" exec i.img readlink /c
    expect 0 " /etc/old\$" me "$hpcc" ls -l i.img /etc/old
    grep -qE ' 0 +0 ' <<< "$out" || fail "$who: a changed file lost its owner"
    me "$hpcc" ls -l i.img /a > ls.out 2>&1
    if [ "$who" = user ]; then
        grep -qE " $(me id -u) +$(me id -g) " ls.out || fail "$who: a new file is not his"
    else
        grep -qE ' 0 +0 ' ls.out || fail "$who: a new file is not root's"
    fi
    expect 0 '' me "$hpcc" ls i.img /home
    [ -z "$out" ] || fail "$who: a mount point was left in the image"
    sound i.img
    nothing_hidden
    cd "$work"
    ok "$who: --writable changes the image when the program has ended"
}
both writable

odd_modes() { # what only root of a user namespace can read and remove
    mine_to_merge
    expect 0 '' me "$hpcc" exec -w i.img sh -c 'mkdir /shut; echo s > /shut/s; chmod 0 /shut/s /shut; mkdir /ro; touch /ro/f; chmod 555 /ro
        head -c 20000000 /dev/urandom > /big; mkdir /deep; cd /deep; for i in $(busybox seq 60); do mkdir d; cd d; done' 2> /dev/null
    expect 0 '----------.* /shut/s' me "$hpcc" ls -lR i.img /shut
    [ "$(stat -c %s i.img)" -gt $((16 << 20)) ] || fail "$who: the image did not grow"
    sound i.img
    nothing_hidden
    cd "$work"
    ok "$who: modes that shut out the user himself, growth"
}
both odd_modes

fakeroot() {
    mine_to_merge
    expect 0 '' me "$hpcc" exec -w -f i.img sh -c '[ "$(id -u)" = 0 ] && touch /by-root && echo changed > /etc/passwd'
    me "$hpcc" ls -l i.img /by-root > ls.out 2>&1
    grep -qE ' 0 +0 ' ls.out || fail "$who: a file of --fakeroot's root has another owner"
    expect 0 '^changed$' me "$hpcc" cat i.img /etc/passwd
    cd "$work"
    ok "$who: --writable --fakeroot"
}
both fakeroot

rivals() {
    mine_to_merge
    me "$hpcc" exec -w i.img sh -c 'touch /first; echo ready; sleep 3' > out &
    for _ in $(seq 100); do if grep -qs ready out; then break; fi; sleep 0.05; done
    refuse 125 'is being changed' me "$hpcc" exec -w i.img true
    refuse 1 'is being changed' me "$hpcc" expand -s 8M i.img
    expect 1 'No such file' me "$hpcc" exec i.img ls /first
    me "$hpcc" exec i.img sh -c 'sleep 4; cat /etc/old-too' > reader &
    wait
    [ "$(cat reader)" = old ] || fail "$who: a reader was disturbed"
    expect 0 '/first' me "$hpcc" exec i.img ls /first
    cd "$work"
    ok "$who: one writer, readers undisturbed"
}

# ── the end of a run, in all its ways ──

start() { # OPTIONS…: a run that says ready and waits; $pid is hpcc itself, alone in its session
    local as=()
    if [ "$who" = user ] && [ "$(id -u)" = 0 ]; then
        as=(setpriv --reuid "$test_user" --regid "$(id -g "$test_user")" --init-groups env HOME="$work/user")
    fi
    rm -f out
    setsid "${as[@]}" "$hpcc" exec "$@" \
        sh -c 'trap "echo trapped > /trapped; exit 5" TERM; echo x > /x; echo ready; while :; do sleep 0.1; done' > out 2>&1 &
    pid=$!
    for _ in $(seq 200); do if grep -qs ready out; then break; fi; sleep 0.05; done
    grep -q ready out || fail "the run did not start: $(cat out)"
}

nothing_left() {
    nothing_hidden
    for _ in $(seq 100); do if [ -z "$(leftovers)" ]; then return 0; fi; sleep 0.1; done
    fail "$who: something is left: $(leftovers)"
}

killed() {
    mine_to_merge
    me "$hpcc" create -s 16M o.img > /dev/null 2>&1
    if [ "$who" = root ]; then chown "$test_user:" o.img; fi
    local sums options status
    for options in '-w i.img' '-o o.img i.img'; do
        sums=$(sha256sum i.img o.img)
        # shellcheck disable=SC2086
        start $options
        kill -9 "$pid"
        wait "$pid" 2> /dev/null || true
        nothing_left
        [ "$(sha256sum i.img o.img)" = "$sums" ] || fail "$who: kill -9 changed an image ($options)"
        # shellcheck disable=SC2086
        start $options # the lock is gone as well
        kill -TERM "$pid"
        status=0
        wait "$pid" || status=$?
        [ "$status" = 5 ] || fail "$who: SIGTERM gives $status ($options)"
        nothing_left
    done
    expect 0 '^trapped$' me "$hpcc" exec i.img cat /trapped
    expect 0 '^trapped$' me "$hpcc" exec -o o.img:ro i.img cat /trapped
    cd "$work"
    ok "$who: kill -9 changes nothing and leaves nothing, SIGTERM reaches the program and its work is kept"
}

background() {
    mine_to_merge
    expect 0 '' me timeout 20 "$hpcc" exec -w i.img sh -c 'echo 1 > /one; (sleep 300; echo 2 > /two) & exit 0'
    expect 0 '^1$' me "$hpcc" exec i.img cat /one
    cd "$work"
    ok "$who: what the program left running ends with it"
}

# The merge cannot be written: the changes are kept, and can be used.
kept() {
    mine_to_merge
    me sh -c "ulimit -f 40000; trap '' XFSZ; exec '$hpcc' exec -w i.img sh -c 'echo kept > /etc/kept; head -c 15000000 /dev/zero | tr \"\\\\0\" x > /l1; cp /l1 /l2; exit 3'" > out 2>&1 && fail "$who: no error"
    out=$(cat out)
    grep -q 'could not be written' out || fail "$who: the failed merge is not told"
    local dir
    dir=$(sed -nE "s/.*the changes are in '([^']+)'.*/\1/p" out)
    [ -d "$dir" ] || fail "$who: the changes are not where they should be: '$dir'"
    expect 1 'No such' me "$hpcc" exec i.img ls /etc/kept
    expect 0 '^kept$' me "$hpcc" exec -o "$dir" i.img cat /etc/kept
    sound i.img
    me "$hpcc" exec -f -o "$dir" i.img true
    rm -rf "$dir"
    nothing_hidden
    cd "$work"
    ok "$who: changes that cannot be merged are kept"
}

# So they are when the process that keeps them is killed.
keeper_killed() {
    mine_to_merge
    local keeper status=0 dir
    start -w i.img
    for keeper in $(pgrep -P "$pid"); do
        if [ "$(ps -o sid= -p "$keeper" | tr -d ' ')" = "$keeper" ]; then break; fi
    done
    kill -9 "$keeper"
    kill -TERM "$pid"
    wait "$pid" || status=$?
    [ "$status" = 125 ] || fail "$who: a killed keeper gives $status"
    dir=$(sed -nE "s/.*the changes are in '([^']+)'.*/\1/p" out)
    expect 0 '^trapped$' me "$hpcc" exec -o "$dir" i.img cat /trapped
    rm -rf "$dir"
    nothing_left
    # Both killed: what they leave is swept by the next run that writes.
    start -w i.img
    for keeper in $(pgrep -P "$pid"); do
        if [ "$(ps -o sid= -p "$keeper" | tr -d ' ')" = "$keeper" ]; then break; fi
    done
    kill -9 "$keeper" "$pid"
    wait "$pid" 2> /dev/null || true
    [ -n "$(find . -name '.i.img.hpcc-changes-*')" ] || fail "$who: the test's stage is not there"
    expect 0 '' me "$hpcc" exec -w i.img true
    nothing_left
    cd "$work"
    ok "$who: changes outlive their keeper; what nobody keeps is swept"
}

fails_to_start() {
    mine_to_merge
    local sum
    sum=$(sha256sum i.img)
    expect 127 'not found' me "$hpcc" exec -w i.img nothing-there
    refuse 125 'cannot enter' me "$hpcc" exec -w --pwd /no/where i.img true
    [ "$(sha256sum i.img)" = "$sum" ] || fail "$who: a run that did not start changed the image"
    nothing_hidden
    me mkdir "$work/user/$who/shut"
    me cp i.img shut/i.img
    me chmod 555 shut
    if [ "$who" = user ]; then refuse 125 'Permission denied' me "$hpcc" exec -w shut/i.img true; fi
    me chmod 755 shut
    cd "$work"
    ok "$who: a run that does not start changes nothing"
}

# A group that the user namespace of the merge has no name for; hpcc without the rest of it.
shared_and_alone() {
    who=user
    mine
    chgrp daemon i.img
    chmod 664 i.img
    expect 0 '' setpriv --reuid "$test_user" --regid "$(id -g "$test_user")" --groups "$(id -g daemon)" "$hpcc" exec -w i.img touch /g
    [ "$(stat -c '%G %a' i.img)" = 'daemon 664' ] || fail "the image's group or mode is lost: $(stat -c '%G %a' i.img)"
    me mkdir alone
    cp "$hpcc" alone/
    refuse 125 "no 'hpcc-full'" me alone/hpcc exec -w i.img true
    expect 0 '' me env HPCC_WRITABLE=1 "$(dirname "$hpcc")/run-hpcc" i.img x
    cd "$work"
    ok "a group's image stays its, an hpcc without hpcc-full says what is missing"
}
if [ "$(id -u)" = 0 ]; then shared_and_alone; fi

# An overlay cannot be the upper directory of another: the changes wait elsewhere.
elsewhere() {
    who=user
    mine
    me mkdir up work "$work/user/temp"
    # shellcheck disable=SC2016
    expect 0 "changes wait in '$work/user/temp'" unshare -m sh -ec 'mount -t overlay -o lowerdir=.,upperdir=up,workdir=work none "$1"
        cd "$1"; shift; "$@" --dry-run -w i.img true; "$@" -w i.img touch /elsewhere; "$@" i.img ls /elsewhere' sh "$PWD" \
        setpriv --reuid "$test_user" --regid "$(id -g "$test_user")" --clear-groups env TMPDIR="$work/user/temp" "$hpcc" exec
    [ -z "$(ls -A "$work/user/temp")" ] || fail "something is left in TMPDIR"
    cd "$work"
    ok "changes wait in TMPDIR where an upper directory cannot lie beside the image"
}
if [ "$(id -u)" = 0 ]; then elsewhere; fi

both rivals
both killed
both background
both kept
both keeper_killed
both fails_to_start

# ── older kernels ──

old_kernel() {
    cc -D_GNU_SOURCE -o deny "$HPCC_SOURCE_DIR/tests/e2e/_deny.c"
    ./deny 38 -- true || return 0
    who=user
    for who in root user; do
        if [ "$who" = root ] && [ "$(id -u)" != 0 ]; then continue; fi
        mine_to_merge
        expect 0 '' me "$work/deny" 38 openat2 open_tree move_mount mount_setattr fsopen fsconfig fsmount close_range pidfd_open -- \
            "$hpcc" exec -w i.img sh -c 'echo new > /etc/old; rm -r /opt/d'
        expect 0 '^new$' me "$hpcc" exec i.img cat /etc/old
        me "$hpcc" create -s 16M o.img > /dev/null 2>&1
        expect 0 '' me "$work/deny" 38 openat2 open_tree move_mount mount_setattr fsopen fsconfig fsmount close_range pidfd_open -- \
            "$hpcc" exec -o o.img i.img sh -c 'echo newer > /etc/old'
        expect 0 '^newer$' me "$work/deny" 38 openat2 open_tree move_mount mount_setattr fsopen fsconfig fsmount close_range pidfd_open -- \
            "$hpcc" exec -o o.img:ro i.img cat /etc/old
        cd "$work"
        ok "$who: merging without the newer system calls"
    done
}
old_kernel

[ "$(sha256sum a.img b.img)" = "$before" ] || fail "an image that was only read has changed"
