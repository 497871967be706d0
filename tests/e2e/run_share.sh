#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs of the same image that share one mount and one server; who pretends to be such a run; and that
# nothing outlives them. As an ordinary user: root's runs mount by the kernel.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/_root.sh"
need_user
command -v gcc > /dev/null || skip "needs gcc"
cd "$work"
gcc -O1 -static -o "$work/peek" "$(dirname "$0")/_peek.c" 2> /dev/null ||
    gcc -O1 -static -o "$work/peek" "$HPCC_SOURCE_DIR/tests/e2e/_peek.c"
make_root root
make_image root a.img
cp a.img b.img
touch root/only-in-c
make_image root c.img
[ "$(id -u)" != 0 ] || chown "$test_user:" ./*.img
as_user "$hpcc" exec "$work/a.img" true > /dev/null 2>&1 || skip "this host cannot run images as a user"

namespaces='readlink /proc/self/ns/user; readlink /proc/self/ns/mnt'
# Those of this test: a server still has the command line of the run that began.
servers() {
    local p
    pgrep -u "$test_user" -x hpcc-serve | while read -r p; do
        if tr '\0' ' ' 2> /dev/null < "/proc/$p/cmdline" | grep -qF "$work/"; then echo "$p"; fi
    done
}
n_servers() { servers | wc -l; }
wait_for() { # COMMAND…: until it succeeds, 5 seconds at most
    local i
    for ((i = 0; i < 100; i++)); do
        if "$@"; then return 0; fi
        sleep 0.05
    done
    fail "this never came true: $*"
}
no_servers() { [ "$(n_servers)" = 0 ]; }
wait_for no_servers

# A run that lives as long as descriptor 7 is open, and is complete when this returns.
lead() { # OPTIONS AND IMAGE…
    rm -f gate said
    mkfifo gate
    as_user "$hpcc" exec "$@" sh -c 'echo "up $$"; exec cat' < gate > said 2>&1 &
    leader=$!
    exec 7> gate
    wait_for grep -q up said
}
release() { exec 7>&-; wait $leader || true; wait_for no_servers; }

lead "$work/a.img"
mine=$(as_user "$hpcc" exec "$work/a.img" sh -c "$namespaces")
expect 0 "" as_user "$hpcc" exec "$work/a.img" sh -c "$namespaces"
[ "$out" = "$mine" ] || fail "two joined runs are in different namespaces"
[ "$(n_servers)" = 1 ] || fail "$(n_servers) servers instead of one"
ok "runs of one image share namespaces, mount and server"

for other in "--no-share $work/a.img" "--contain $work/a.img" "-B /tmp:/opt $work/a.img" "--ipc $work/a.img" "$work/b.img"; do
    # shellcheck disable=SC2086
    expect 0 "" as_user "$hpcc" exec $other sh -c "$namespaces"
    [ "$out" != "$mine" ] || fail "$other shares"
done
ok "--no-share, containment, other binds, namespaces and images do not share"
expect 0 "" as_user env SLURM_JOB_ID=7 SLURM_STEP_ID=1 "$hpcc" exec "$work/a.img" sh -c "$namespaces"
[ "$out" != "$mine" ] || fail "another job step shares"
ok "another job step has its own"
expect 3 "" as_user "$hpcc" test "$work/a.img"
expect 127 'not found|No such file' as_user "$hpcc" exec "$work/a.img" no-such-program
expect 143 "" as_user "$hpcc" exec "$work/a.img" sh -c 'kill -TERM $$'
expect 0 '^value in /tmp$' as_user sh -c "cd /tmp && '$hpcc' exec --env X=value '$work/a.img' sh -c 'echo \$X in \$PWD'"
expect 0 'CapEff:.0000000000000000' as_user "$hpcc" exec "$work/a.img" grep CapEff /proc/self/status
expect 0 'NoNewPrivs:.1' as_user "$hpcc" exec "$work/a.img" grep NoNewPrivs /proc/self/status
expect 0 'Seccomp:.2' as_user "$hpcc" exec "$work/a.img" grep Seccomp: /proc/self/status
ok "a joined run has its own status, environment, directory, and no more rights than any"
cp c.img new && mv new a.img
expect 0 only-in-c as_user "$hpcc" exec "$work/a.img" ls /
ok "an image that was replaced is another image"
release
ok "nothing is left when the last has ended"

# The first ends before the others, and is killed.
cp b.img a.img
lead "$work/a.img"
as_user "$hpcc" exec "$work/a.img" sh -c 'echo up; sleep 4; cat /etc/passwd; ls /bin | wc -l' > second 2>&1 &
second=$!
wait_for grep -q up second
first=$(servers)
kill -KILL "$(sed -n 's/^up //p' said)"
exec 7>&-
wait $leader || true
expect 0 "" as_user "$hpcc" exec "$work/a.img" true
[ "$(servers)" = "$first" ] || fail "the server changed though a run of it lives"
wait $second || fail "the second run ended with $?"
grep -q root second || fail "the second run could not read on"
wait_for no_servers
ok "the server and the mount stay for those that live, whoever began"

# A child in the background keeps the mount, as ever.
as_user "$hpcc" exec "$work/a.img" sh -c '(sleep 1; ls /bin > user/late) > /dev/null 2>&1 & exit 0' || fail "status $?"
wait_for test -s user/late
wait_for no_servers
ok "what a run leaves in the background keeps its files"

lead "$work/a.img"
kill -KILL "$(servers)"
expect 0 '^alive$' as_user "$hpcc" exec "$work/a.img" echo alive
exec 7>&-
wait $leader || true
wait_for no_servers
ok "when the server was killed, the next run starts another"

# Where hpcc stays beside the program (--pid), it tells; elsewhere the program sees ENOTCONN (R31).
as_user "$hpcc" exec --pid "$work/a.img" sh -c 'echo up; while :; do sleep 0.1; done' > pid.out 2>&1 &
run=$!
wait_for grep -q up pid.out
begin=$SECONDS
kill -KILL "$(servers)"
status=0
wait $run || status=$?
[ "$status" = 125 ] || fail "a run whose server was killed ends with $status"
[ $((SECONDS - begin)) -le 2 ] || fail "hpcc took $((SECONDS - begin)) s to see that its server was killed"
grep -q 'image server of .* died' pid.out || fail "nothing says why: $(cat pid.out)"
wait_for no_servers
ok "with --pid a killed server ends the run with 125"

pids=()
for ((i = 0; i < 128; i++)); do
    as_user "$hpcc" exec "$work/a.img" sh -c 'cat /etc/passwd > /dev/null && echo $$ && exec sleep 6' > "many.$i" 2>&1 &
    pids+=($!)
done
sleep 4
n=$(n_servers)
sleeping=0
while read -r p; do
    if [ -d "/proc/$p" ]; then sleeping=$((sleeping + 1)); fi
done < <(cat many.*)
failed=0
for p in "${pids[@]}"; do wait "$p" || failed=$((failed + 1)); done
out=$(cat many.*)
[ "$failed" = 0 ] || fail "$failed of 128 starts at once failed"
[ "$n" = 1 ] || [ "$sleeping" -lt 128 ] || fail "$n servers for 128 runs"
wait_for no_servers
ok "128 starts at once: all succeed, $n server for the $sleeping that ran together"

# ── ranks read each other's memory ──
mkfifo hold.in
as_user "$hpcc" exec "$work/a.img" "$work/peek" hold < hold.in > hold.out &
exec 8> hold.in
wait_for test -s hold.out
read -r pid address < hold.out
expect 0 'from one rank to the other' as_user "$hpcc" exec "$work/a.img" "$work/peek" "$pid" "$address"
expect 1 'not permitted' as_user "$hpcc" exec --no-share "$work/a.img" "$work/peek" "$pid" "$address"
exec 8>&-
wait_for no_servers
ok "runs that share read each other's memory (control: with --no-share they cannot)"

# ── who else is at the door ──
lead "$work/a.img"
# The meeting place of this test's server; other tests have theirs. Only root sees whose it is.
meeting_places() {
    local pid inodes=
    for pid in $(servers); do
        inodes+=" $(find "/proc/$pid/fd" -lname 'socket:*' -printf '%l ' 2> /dev/null | tr -dc '0-9 ')"
    done
    awk -v inodes=" $inodes " -v all="$(id -u)" '
        sub(/^@/, "", $8) && $8 ~ /^hpcc-[0-9]+-[0-9a-f]+$/ && (all || index(inodes, " " $7 " ")) { print $8 }' /proc/net/unix
}
name=$(meeting_places | head -n 1)
[ -n "$name" ] || fail "no meeting place in /proc/net/unix"
expect 0 '^2 descriptors' as_user ./peek ask "$name"
if [ "$(id -u)" = 0 ]; then
    expect 0 '^0 descriptors' setpriv --reuid 65534 --regid 65534 --clear-groups ./peek ask "$name"
    ok "another user is not let in (control: the same user is)"
fi
release

pretender() { # MODE USER-COMMAND…
    local mode=$1
    shift
    : > pretend.out
    "$@" ./peek pretend "$name" "$mode" > pretend.out 2>&1 &
    fake=$!
    wait_for grep -q ready pretend.out
}
cleanup_hooks+=(unmask_all)
unmask_all() { pkill -f "peek pretend" || true; }
unmask() { pkill -f "peek pretend" || true; wait $fake 2> /dev/null || true; }

if [ "$(id -u)" = 0 ]; then
    pretender own setpriv --reuid 65534 --regid 65534 --clear-groups
    expect 0 '^alive$' as_user "$hpcc" exec "$work/a.img" echo alive
    unmask
    ok "R30: another user at the meeting place is not asked for anything: the run stays alone"
fi
pretender files as_user
expect 0 'not that run' as_user "$hpcc" exec "$work/a.img" echo alive
grep -q '^alive$' <<< "$out" || fail "the run did not start"
unmask
pretender own as_user
expect 0 'not that run' as_user "$hpcc" exec "$work/a.img" echo alive
unmask
ok "R30: files and namespaces of the host are seen through: the run stays alone"

# A user namespace made by this user right below ours, with mounts of its own choice.
pretender own as_user unshare --user --map-current-user --mount
refuse 125 'is not a run of image' as_user "$hpcc" exec "$work/a.img" echo alive
expect 0 '^alive$' as_user "$hpcc" exec --no-share "$work/a.img" echo alive
ok "R30: a namespace whose root is not the image is refused, with the way around it"
controls=$HPCC_BINARY_DIR/tests/hpcc-controls
if as_user test -x "$controls"; then
    expect 0 '^boot$' as_user env HPCC_TEST_OFF="share audit" "$controls" exec "$work/a.img" /bin/ls /
    ok "R30: control: without these checks the pretender's root is entered"
fi
unmask
wait_for no_servers
