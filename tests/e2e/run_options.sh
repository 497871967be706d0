#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc run, exec, shell, test: the options, as root and as an ordinary user.
# shellcheck disable=SC2016 # what is in single quotes is for the shell inside
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/_root.sh"
need_user
cd "$work"
make_root root
make_image root a.img
before=$(sha256sum a.img)
umask 022

contain() {
    me touch "$work/user/seen-$who"
    expect 0 '^$' me "$hpcc" exec -c a.img ls -A /tmp /var/tmp/
    [ "$out" = $'/tmp:\n\n/var/tmp/:' ] || fail "$who: /tmp is not empty"
    expect 1 'No such file' me "$hpcc" exec -c a.img ls "$work/user/seen-$who"
    expect 0 '' me "$hpcc" exec -c a.img sh -c 'touch /tmp/x /var/tmp/x $HOME/x && ls /dev'
    [ "$(tr '\n' ' ' <<< "$out")" = 'fd full null ptmx pts random shm stderr stdin stdout tty urandom zero ' ] ||
        fail "$who: /dev holds more"
    expect 0 '' me "$hpcc" exec -c a.img sh -c 'echo x > /dev/null && head -c 4 /dev/urandom | wc -c'
    mkdir -p w/tmp w/var_tmp
    chmod 1777 w/tmp w/var_tmp
    expect 0 '' me "$hpcc" exec -c -W "$work/w" a.img touch "/tmp/$who" "/var/tmp/$who"
    if [ ! -e "w/tmp/$who" ] || [ ! -e "w/var_tmp/$who" ]; then fail "$who: --workdir is not used"; fi
    refuse 125 'mkdir -p' me "$hpcc" exec -c -W "$work/none" a.img true
    ok "$who: --contain and --workdir"
}
both contain

namespaces() {
    expect 0 '' me "$hpcc" exec -p a.img sh -c 'echo $$; ps | wc -l'
    [ "$(head -n 1 <<< "$out")" -lt 5 ] || fail "$who: pid $out is not that of a new namespace"
    expect 0 '^1$' me "$hpcc" exec -p --no-init a.img sh -c 'echo $$'
    expect 42 '' me "$hpcc" exec -p a.img sh -c 'exit 42'
    expect 137 '' me "$hpcc" exec -p a.img sh -c 'kill -9 $$'
    expect 127 'not found' me "$hpcc" exec -p a.img nothing-there
    refuse 125 "cannot enter '/nowhere'" me "$hpcc" exec -p --pwd /nowhere a.img true
    for ns in ipc:-i net:-n uts:--uts; do
        here=$(me readlink "/proc/self/ns/${ns%%:*}")
        expect 0 '' me "$hpcc" exec "${ns##*:}" a.img readlink "/proc/self/ns/${ns%%:*}"
        [ "$out" != "$here" ] || fail "$who: ${ns##*:} makes no namespace"
        expect 0 '' me "$hpcc" exec a.img readlink "/proc/self/ns/${ns%%:*}"
        [ "$out" = "$here" ] || fail "$who: a ${ns%%:*} namespace that nobody asked for"
    done
    expect 0 '^node7$' me "$hpcc" exec --hostname node7 a.img hostname
    expect 0 'UP LOOPBACK' me "$hpcc" exec -n --network none a.img ifconfig lo
    refuse 125 'no network' me "$hpcc" exec -n --network bridge a.img true
    expect 0 '' me "$hpcc" exec -C a.img sh -c 'ps | wc -l'
    [ "$out" -lt 7 ] || fail "$who: -C shows the host's processes"
    ok "$who: namespaces"
}
both namespaces

binds() {
    mkdir -p "$work/user/outer/below" "$work/user/inner"
    touch "$work/user/outer/below/hidden" "$work/user/inner/shown"
    chmod -R a+rX "$work/user"
    expect 0 '^shown$' me "$hpcc" exec -B /:/host a.img ls "/host$work/user/inner"
    # the second one lies where a link leads that the first one is mounted by
    expect 0 '^shown$' me "$hpcc" exec -B "$work/user/outer:/link" -B "$work/user/inner:/opt/below" linked ls /link/below
    expect 0 '^shown$' me "$hpcc" exec -B "$work/user/inner:/opt/below" -B "$work/user/outer:/link" linked ls /opt/below
    expect 0 '^shown$' me "$hpcc" exec -B "$work/user/inner:/new/way/to" -B "$work/user/outer:/new/way/too" a.img ls /new/way/to
    refuse 125 "leads to '/'" me "$hpcc" exec -B "$work/user/inner:/root-link" linked true
    refuse 125 'not a directory' me "$hpcc" exec -B "$work/user/inner:/etc/passwd" a.img true
    ok "$who: binds of the host's root, by links, below each other"
}
cp -a root linked
ln -s opt linked/link
ln -s / linked/root-link
mkdir linked/opt/below
both binds

homes() {
    echo mine > "$work/user/note"
    chmod a+r "$work/user/note"
    expect 0 '^mine$' me "$hpcc" exec --home "$work/user:/home/me" a.img sh -c 'cat ~/note'
    expect 0 '^/home/me$' me "$hpcc" exec -c --home "$work/user:/home/me" a.img sh -c 'echo $HOME'
    expect 0 '' me "$hpcc" exec --home "$work/user" a.img sh -c 'cat $HOME/note'
    refuse 125 'no directory' me "$hpcc" exec --home /no/such a.img true
    expect 0 '' me "$hpcc" exec --silent --no-home --no-mount tmp,cwd a.img ls -A /tmp /home
    [ "$out" = $'/home:\n\n/tmp:' ] || fail "$who: --no-mount tmp or --no-home has no effect"
    refuse 125 'no mount' me "$hpcc" exec --no-mount tpm a.img true
    expect 0 '' me "$hpcc" exec -S /scratch/a a.img touch /scratch/a/x
    ok "$who: home, scratch, --no-mount"
}
both homes

writes() {
    expect 0 '^new$' me "$hpcc" exec --writable-tmpfs a.img sh -c 'echo new > /etc/new && cat /etc/new'
    expect 1 'No such file' me "$hpcc" exec --writable-tmpfs a.img cat /etc/new
    me mkdir -p "$work/user/layer-$who"
    expect 0 '' me "$hpcc" exec --overlay "$work/user/layer-$who" a.img sh -c 'echo kept > /etc/kept; rm /bin/true'
    expect 0 '^kept$' me "$hpcc" exec -o "$work/user/layer-$who" a.img cat /etc/kept
    expect 1 'No such file' me "$hpcc" exec -o "$work/user/layer-$who" a.img ls /bin/true
    refuse 125 'mkdir -p' me "$hpcc" exec --overlay "$work/no-layer" a.img true
    me rm -rf "$work/user/layer-$who"
    refuse 125 'together' me "$hpcc" exec -w --writable-tmpfs a.img true
    ok "$who: overlays"
}
both writes
[ "$(sha256sum a.img)" = "$before" ] || fail "the image was changed"

fakeroot() {
    expect 0 '^0$' me "$hpcc" exec -f a.img id -u
    expect 0 '^root$' me "$hpcc" exec -f a.img id -un
    mkdir -p "own-$who"
    [ "$who" = root ] || chown "$test_user:" "own-$who"
    expect 0 '' me "$hpcc" exec -f -B "$work/own-$who:/u" a.img touch "/u/fake-$who"
    [ "$(stat -c %u "own-$who/fake-$who")" = "$(me id -u)" ] || fail "$who: fakeroot's file has another owner"
    ok "$who: --fakeroot"
}
both fakeroot

plans() {
    expect 0 '^root +.*/a.img by (loop|fuse), read-only$' me "$hpcc" exec --dry-run a.img true
    me "$hpcc" exec --dry-run --json -B /usr:/u:ro a.img true > plan.json 2> /dev/null
    python3 - plan.json << 'PY' || fail "$who: the plan is no JSON of its schema"
import json, sys
plan = json.load(open(sys.argv[1]))
assert plan["schema"] == "hpcc.plan.v1" and plan["argv"] == ["true"]
assert any(m["target"] == "/u" and "ro" in m["options"] for m in plan["mounts"])
PY
    ok "$who: --dry-run"
}
if command -v python3 > /dev/null; then both plans; fi

environment_file() {
    printf '# comment\nA=1\nexport B=two words\n\nC=$A\n' > env.list
    expect 0 '^1/two words/\$A$' me "$hpcc" exec --env-file env.list a.img sh -c 'echo "$A/$B/$C"'
    refuse 125 'NAME=VALUE' me "$hpcc" exec --env 1A=x a.img true
    expect 0 '^host$' me env LD_TEST=host "$hpcc" exec --env LD_TEST a.img sh -c 'echo $LD_TEST'
    ok "$who: --env-file and --env NAME"
}
both environment_file

descriptors() {
    mkdir -p fds
    expect 0 '^pipe$' me sh -c "echo pipe | { exec 7<&0; '$hpcc' exec a.img sh -c 'cat <&7'; }"
    expect 0 '^closed$' me sh -c "exec 7< /; '$hpcc' exec a.img sh -c '[ -e /proc/self/fd/7 ] || echo closed'"
    expect 0 '^closed$' me sh -c "echo x | { exec 7<&0; '$hpcc' exec -c a.img sh -c '[ -e /proc/self/fd/7 ] || echo closed'; }"
    expect 0 '^kept$' me sh -c "echo kept | { exec 7<&0; '$hpcc' exec -c --keep-fd 7 a.img sh -c 'cat <&7'; }"
    refuse 125 'not an open descriptor' me "$hpcc" exec --keep-fd 99 a.img true
    expect 0 '^few$' me sh -c "ulimit -n 64; '$hpcc' exec a.img echo few"
    refuse 125 'Too many open files' me sh -c "ulimit -n 20; '$hpcc' exec a.img true"
    ok "$who: which descriptors pass"
}
both descriptors

signals() {
    for how in '' -p; do
        rm -f "out-$who"
        # shellcheck disable=SC2086
        "$hpcc" exec $how a.img sh -c 'trap "echo got it; exit 5" TERM; echo ready; while :; do sleep 0.1; done' > "out-$who" &
        local pid=$!
        for _ in $(seq 100); do if grep -qs ready "out-$who"; then break; fi; sleep 0.05; done
        kill -TERM "$pid"
        local status=0
        wait "$pid" || status=$?
        if [ "$status" != 5 ] || ! grep -q 'got it' "out-$who"; then fail "$who: SIGTERM $how gives $status"; fi
    done
    ok "$who: a signal sent to hpcc reaches the program"
}
who=root
if [ "$(id -u)" = 0 ]; then signals; fi

no_server_left() {
    expect 0 '' me "$hpcc" exec a.img sh -c 'sleep 0.3 & exit 0'
    expect 0 '' me timeout 10 sh -c "'$hpcc' exec a.img true | cat"
    ok "$who: background children keep their mount, pipes end with the program"
}
both no_server_left

if [ "$(id -u)" = 0 ]; then
    cp a.img w.img
    chmod 644 w.img
    expect 0 '' "$hpcc" exec -w w.img sh -c 'echo inside > /written; mkdir /made'
    expect 0 '^inside$' "$hpcc" exec w.img cat /written
    expect 0 '' e2fsck -fn w.img
    "$hpcc" exec w.img sleep 2 &
    sleep 0.5
    refuse 125 'w.img' "$hpcc" exec -w w.img true
    wait
    as_user "$hpcc" exec w.img sleep 2 &
    sleep 0.7
    refuse 125 'w.img' "$hpcc" exec -w w.img true
    wait
    expect 0 '' "$hpcc" exec -w w.img true
    who=user
    refuse 125 'another user' me "$hpcc" exec -w w.img true
    ok "--writable: by the image's owner; by the kernel, one writer and no reader"
    chown "$test_user:" w.img
    expect 0 'by fuse' "$hpcc" exec --dry-run w.img true
    expect 0 '^inside$' "$hpcc" exec w.img cat /written
    ok "root reads other people's images through the reader, never the kernel's driver"
fi
chmod -R a+rwX root
who=user
expect 0 '' me "$hpcc" exec -w root touch /by-user
[ -e root/by-user ] || fail "a directory is not written with --writable"
ok "--writable on a directory"

doctor() {
    expect 0 '^ok +userns' me "$hpcc" doctor
    grep -qE '^(ok|limited) +squashfs' <<< "$out" || fail "$who: doctor does not look for the squashfs server"
    expect 0 '"schema":"hpcc.doctor.v1"' me "$hpcc" doctor --json
    expect 0 'LD_PRELOAD +dropped' me env LD_PRELOAD= "$hpcc" env --explain a.img
    expect 0 'FROM_IMAGE +set +the image: /.singularity.d/env/90-environment.sh' me "$hpcc" env --explain a.img
    ok "$who: doctor and env"
}
both doctor
