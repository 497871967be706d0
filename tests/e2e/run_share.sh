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
# The meeting place of this test's runs alone.
places=$work/places
mkdir -m 0700 "$places"
[ "$(id -u)" != 0 ] || chown "$test_user:" "$places"
export XDG_RUNTIME_DIR=$places
# Servers of this test. They show nobody's command line; only root sees which image they have open.
before=" $(pgrep -u "$test_user" -x hpcc-serve | tr '\n' ' ') "
servers() {
    local p
    pgrep -u "$test_user" -x hpcc-serve | while read -r p; do
        if [ "$(id -u)" = 0 ]; then
            if [ -n "$(find "/proc/$p/fd" -lname "$work/*" 2> /dev/null)" ]; then echo "$p"; fi
        elif [[ $before != *" $p "* ]]; then
            echo "$p"
        fi
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

# ── directories that the image lacks lie over its root ──
mkdir -p "$work/data"
top=$work/data
for how in "-B $top:/lacking" "--home $top:/users9/u" "--pwd $work -B $work"; do
    # shellcheck disable=SC2086
    lead $how "$work/a.img"
    # shellcheck disable=SC2086
    mine=$(as_user "$hpcc" exec $how "$work/a.img" sh -c "$namespaces")
    # shellcheck disable=SC2086
    expect 0 "" as_user "$hpcc" exec $how "$work/a.img" sh -c "$namespaces"
    [ "$out" = "$mine" ] || fail "runs with $how do not share: $out"
    [ "$(n_servers)" = 1 ] || fail "$(n_servers) servers for runs with $how"
    release
done
ok "a bind, a home and a directory below what the image lacks are joined"

# ── signals to all processes of a job ──
trap_all='trap "echo got; ls -d /usr; exit 3" USR1; echo "up $$"; while :; do sleep 0.1; done'
for signal in HUP INT QUIT USR1 USR2 PIPE ALRM TERM TSTP TTIN TTOU IO PWR SYS RTMIN RTMAX SEGV; do
    if [ $signal = HUP ]; then
        as_user "$hpcc" exec "$work/a.img" sh -c "$trap_all" > signalled 2>&1 &
        run=$!
        wait_for grep -q up signalled
    fi
    kill -$signal "$(servers)"
done
server=$(servers)
for ((i = 0; i < 1000; i++)); do kill -INT "$server"; done
kill -USR1 "$server"
pgrep -u "$test_user" -f "$work/a.img.*trap" > counted || true
! grep -qx "$server" counted || fail "the server shows the command line of the run"
[ "$(tr -d '\0' < "/proc/$server/cmdline")" = hpcc-serve ] || fail "the server shows another name"
kill -USR1 "$(sed -n 's/^up //p' signalled)"
status=0
wait $run || status=$?
[ "$status" = 3 ] || fail "the run ended with $status: $(cat signalled)"
grep -q '^/usr$' signalled || fail "the trap found no files: $(cat signalled)"
wait_for no_servers
ok "a signal to every process of a job, and 1000 of Ctrl-C's, leave the server alone; it shows no command line"

# ── who else is at the door ──
# No abstract name, which anybody could take.
lead "$work/a.img"
socket=$(find "$places/hpcc" -type s)
key=${socket##*/}
[ ${#key} = 64 ] || fail "no meeting place in the directory: $(ls -lR "$places")"
if [ "$(id -u)" = 0 ]; then
    ! grep -q '@hpcc-' /proc/net/unix || echo "# abstract names of another hpcc are here"
    expect 1 'connect: Permission denied' setpriv --reuid 65534 --regid 65534 --clear-groups ./peek ask "$socket" "$key"
fi
expect 0 '^welcome' as_user ./peek ask "$socket" "$key"
expect 0 '^nothing' as_user ./peek ask "$socket" "0${key#?}"
ok "F7: another user cannot come to the meeting place; the door opens to the same plan only"
release

# What killed runs leave is replaced.
[ -S "$socket" ] || fail "the test expects the socket of the ended run"
lead "$work/a.img"
mine=$(as_user "$hpcc" exec "$work/a.img" sh -c "$namespaces")
[ "$(find "$places/hpcc" -type s | wc -l)" = 1 ] || fail "old sockets stay: $(ls "$places/hpcc")"
[ "$(n_servers)" = 1 ] || fail "an old socket keeps runs apart"
release

pretender() { # PID COMMAND-PREFIX…
    local pid=$1
    shift
    : > pretend.out
    "$@" ./peek pretend "$socket" "$key" "$pid" > pretend.out 2>&1 &
    fake=$!
    wait_for grep -q ready pretend.out
}
cleanup_hooks+=(unmask)
unmask() {
    local p
    for p in $(pgrep -f "peek pretend $socket"); do kill "$p" || true; done
    wait "${fake:-}" 2> /dev/null || true
}
alone() { # PATTERN: the run says so once, and does its work
    local begin=$SECONDS
    expect 0 "$1" as_user "$hpcc" exec "$work/a.img" echo alive
    grep -q '^alive$' <<< "$out" || fail "the run did not start"
    [ "$(grep -c 'stays alone' <<< "$out")" = 1 ] || fail "not one notice"
    [ $((SECONDS - begin)) -le 8 ] || fail "it took $((SECONDS - begin)) s"
}
controls=$HPCC_BINARY_DIR/tests/hpcc-controls
fooled() { # PATTERN: what the run shows that believes everybody
    if as_user test -x "$controls"; then
        expect 0 "$1" as_user env HPCC_TEST_OFF="share audit" "$controls" exec "$work/a.img" /bin/ls /
    fi
}

pretender 0 as_user
alone 'not that run'
unmask
pretender 1 as_user
alone 'cannot be looked at|not that run'
unmask
pretender 0 as_user unshare --user --map-current-user --mount
alone 'not that run'
fooled '^boot$'
unmask
ok "R30: the host's and a user's own namespaces are seen through (control: without the check they are entered)"

# What runs in a container hands out its own: it has the meeting place before it, but no rights there.
as_user "$hpcc" exec --contain -B "$places:$places" -B "$work:$work" "$work/a.img" "$work/peek" pretend "$socket" "$key" 0 > pretend.out 2>&1 &
fake=$!
wait_for grep -q ready pretend.out
alone 'not that run'
unmask
wait_for no_servers
as_user "$hpcc" exec -B "$work/data:/opt" "$work/c.img" "$work/peek" pretend "$socket" "$key" 0 > pretend.out 2>&1 &
fake=$!
wait_for grep -q ready pretend.out
alone 'not that run'
fooled 'only-in-c'
unmask
wait_for no_servers
ok "F6: a program in a container, contained or not, cannot hand out its namespaces (control: it can)"

pretender -1 as_user
alone 'does not answer'
unmask
ok "F7: who listens and says nothing costs seconds, once"

# ── directories that are not ours alone ──
apart() { # TEXT: two runs do not meet in the directory that XDG_RUNTIME_DIR names
    [ -z "$(find "$places" -type s)" ] || fail "$1: somebody listens in it"
}
rm -rf "$places/hpcc"
chmod 0755 "$places"
lead "$work/a.img"
apart "a directory that others may enter"
release
chmod 0700 "$places"
mkdir "$work/others" && chmod 0777 "$work/others"
ln -s "$work/others" "$places/hpcc"
[ "$(id -u)" != 0 ] || chown -h "$test_user:" "$places/hpcc"
lead "$work/a.img"
[ -z "$(ls "$work/others")" ] || fail "a link was followed"
release
if as_user test -x "$controls"; then
    chmod 0755 "$places" && rm "$places/hpcc"
    as_user env HPCC_TEST_OFF=meeting "$controls" exec "$work/a.img" true
    [ -n "$(find "$places" -type s)" ] || fail "control: a directory that others may enter is not taken"
fi
ok "a directory of another mode, or a link, is no meeting place (control: it is taken)"
