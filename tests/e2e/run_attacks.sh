#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Attacks from inside a container and by hostile callers, each with its control: hpcc-controls with the
# defence in question switched off must let the attack succeed, or the test would show nothing.
# The numbers are those of the project's list of attack cases (P privilege, R runtime escape).
# shellcheck disable=SC2010,SC2086,SC2016 # what is in single quotes is for the shell inside
# shellcheck source=tests/e2e/_attacks.sh
. "$(dirname "$0")/_attacks.sh"
echo secret > secret.host
make_image root a.img

# ── privilege ──
if [ "$is_root" = yes ]; then
    cp attack root/suid
    chmod 4755 root/suid
    mknod -m 666 root/zero c 1 5
    mkdir -p "$work/user/nodes"
    mknod -m 666 user/nodes/zero c 1 5
    cp attack user/nodes/suid
    chmod 4755 user/nodes/suid
    guard P01 root 'EPERM' "nosuid audit $nopriv" 'done' exec root /attack as "$(id -u "$test_user")" /suid setuid
    guard P01 user 'EPERM|EINVAL' '' '' exec root /suid setuid
    guard P02 root 'EACCES' 'nodev audit' 'done' exec root /attack read /zero
    guard P02 user 'EACCES' 'nodev audit' 'done' exec root /attack read /zero
    guard P04 root 'EACCES' 'nodev audit' 'done' exec -B "$work/user/nodes:/n" root /attack read /n/zero
    guard P04 user 'EACCES' 'nodev audit' 'done' exec -B "$work/user/nodes:/n" root /attack read /n/zero
    cp a.img u.img
    chown "$test_user:" u.img
    expect 0 ' by fuse, read-only' "$hpcc" exec --dry-run u.img true
    expect 0 ' by loop, read-only' env HPCC_TEST_OFF=trust "$controls" exec --dry-run u.img true
    n_controls=$((n_controls + 1))
    counted "P05 (root): other people's images never reach the kernel's driver"
    guard B02 root 'EPERM' "$nopriv nodev audit" 'done' exec root /attack device /tmp/hpcc-e2e-device
    rm -f /tmp/hpcc-e2e-device
fi
guard P07 user 'CapBnd:.0000000000000000' caps 'CapBnd:.0*[1-9a-f][0-9a-f]*' exec a.img grep CapBnd /proc/self/status
for set in CapInh CapPrm CapEff CapAmb; do
    guard "P07 $set" user "$set:.0000000000000000" '' '' exec a.img grep $set /proc/self/status
done
# Root's program keeps some; what its caller wanted to hand on, it does not.
handed_on() { # COMMAND…: the five sets of a program whose caller had made CAP_SYS_ADMIN ambient
    setpriv --inh-caps=+sys_admin --ambient-caps=+sys_admin "$@" exec --silent a.img \
        sh -c 'echo $(grep ^Cap /proc/self/status)' 2>&1
}
if [ "$is_root" = yes ] && setpriv --inh-caps=+sys_admin --ambient-caps=+sys_admin true 2> /dev/null; then
    out=$(handed_on "$hpcc")
    for set in Inh Prm Eff Bnd Amb; do
        value=${out#*Cap"$set": }
        [ $((0x${value%% *} >> 21 & 1)) = 0 ] || fail "P07: CAP_SYS_ADMIN is in Cap$set"
        value=$(HPCC_TEST_OFF=caps handed_on "$controls")
        value=${value#*Cap"$set": }
        control "P07 Cap$set" 1 $((0x${value%% *} >> 21 & 1))
        counted "P07 (root): Cap$set does not hold what the caller hands on"
    done
fi
guard P08 user 'NoNewPrivs:.1' "$nopriv" 'NoNewPrivs:.0' exec a.img grep NoNewPrivs /proc/self/status
guard P08 root 'NoNewPrivs:.1' 'no-new-privs seccomp' 'NoNewPrivs:.0' exec a.img grep NoNewPrivs /proc/self/status
guard P08 user 'done' caps 0 exec a.img /attack securebits

numbers() {
    local bad
    for bad in '' ' 1' +1 -1 0x1 4294967295 4294967296 1a; do
        refuse 125 'keep-fd' me "$hpcc" exec --keep-fd "$bad" a.img true
    done
    for bad in ' 1' +1 0x1 1a; do
        control "P09 ($who)" taken "$(off numbers exec --silent --keep-fd "$bad" a.img echo taken)"
    done
    counted "P09 ($who): numbers are digits in range"
}
both numbers

# Every variable that options know, each alone, and some that they do not know.
hostile_environment() {
    local name names probe='echo $(grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status) $(grep -vc nosuid /proc/self/mountinfo)'
    names=$(grep -ohE '\.env = "[A-Z_ ]+"' "$HPCC_SOURCE_DIR/cli/action.c" | grep -oE '[A-Z][A-Z_]+')
    [ "$(wc -w <<< "$names")" -ge 30 ] || fail "P10: the names of variables are not found"
    for name in $names STAGE2 TEST_OFF CONFIG CONFIG_FILE SUID LIBEXEC ROOTFS SECURITY ADD_CAPS ALLOW_SETUID; do
        out=$(me env "HPCC_$name=1" "SINGULARITY_$name=/evil" "$hpcc" exec --silent root sh -c "$probe" 2>&1) || continue
        [ "${out##*$'\n'}" = 'NoNewPrivs: 1 Seccomp: 2 0' ] || fail "P10: HPCC_$name changes the policy"
    done
    out=$(me env HPCC_TEST_OFF="$nopriv nosuid audit" "$hpcc" exec --silent root sh -c "$probe" 2>&1)
    [ "$out" = 'NoNewPrivs: 1 Seccomp: 2 0' ] || fail "P10: the product knows the variable of the tests"
    control "P10 ($who)" 'NoNewPrivs: 0 Seccomp: 0 [1-9][0-9]*' "$(off "$nopriv nosuid audit" exec --silent a.img sh -c "$probe")"
    counted "P10 ($who): no variable weakens the policy"
}
both hostile_environment

for word in --stage2 --server --child --rootfs-fd=3 --internal; do refuse 125 'option' "$hpcc" exec $word a.img true; done
for word in _join _stage2 __complete serve worker; do refuse 2 'unknown command' "$hpcc" $word a.img true; done
counted "P11: no internal options"

evil_path() {
    local name
    mkdir -p evil
    for name in newuidmap newgidmap fusermount fusermount3 mount umount losetup modprobe e2fsck mke2fs resize2fs \
        debootstrap gpgv tar; do
        printf '#!/bin/sh\necho pwned > %s/pwned-${0##*/}\n' "$work/user" > evil/$name
        chmod 755 evil/$name
    done
    chmod 777 user
    for options in '' -f --writable-tmpfs; do
        expect 0 '' me env PATH="$work/evil:$PATH" "$hpcc" exec $options a.img true
    done
    me env PATH="$work/evil:$PATH" "$hpcc" check a.img > /dev/null 2>&1 || true
    me env PATH="$work/evil:$PATH" "$hpcc" create -s 8 "$work/user/new.img" > /dev/null 2>&1 || true
    if ls user/pwned* > /dev/null 2>&1; then fail "P17: a program of the caller's PATH was run"; fi
    me env PATH="$work/evil:$PATH" sh -c 'losetup; e2fsck'
    control "P17 ($who)" 2 "$(find user -name 'pwned-*' | wc -l)" # who looks into PATH falls into the trap
    rm -f user/pwned-* user/new.img
    counted "P17 ($who): no program is taken from the caller's PATH"
}
both evil_path

if [ "$is_root" = yes ]; then
    cp "$hpcc" bin/suid-hpcc
    cp "$controls" bin/suid-controls
    chmod 4755 bin/suid-hpcc bin/suid-controls
    cp -a root bare # without scripts, since a shell drops the privilege by itself
    rm -rf bare/.singularity.d
    who=user
    expect 4 'setuid' me bin/suid-hpcc exec bare /attack setuid
    control P18 'done' "$(me env HPCC_TEST_OFF=secure bin/suid-controls exec bare /attack setuid 2>&1 | tail -n 1)"
    rm -rf bare bin/suid-*
    counted "P18: a setuid hpcc refuses"

    # sudo that keeps the user's HOME: neither it nor the settings in it are root's.
    mkdir -p user/.config/hpcc
    echo 'environment: {set: {FROM_USER: users}}' > user/.config/hpcc/hpcc.yaml
    chown -R "$test_user:" user/.config
    out=$(HOME=$work/user PYTHONPATH=/evil "$hpcc" exec a.img sh -c 'echo "$HOME $FROM_USER $PYTHONPATH"')
    [ "$out" = "$(getent passwd root | cut -d: -f6)  " ] || fail "P19: root has the user's: $out"
    control P19 users "$(me env HOME="$work/user" "$hpcc" exec a.img sh -c 'echo $FROM_USER')"
    control P19 "$work/other" "$(mkdir other && chown 20001 other && HOME=$work/other setpriv --reuid 20001 --regid 20001 --clear-groups \
        "$hpcc" exec a.img sh -c 'echo $HOME')" # who has no home of his own: there the variable counts
    rm -rf user/.config
    counted "P19: another user's HOME and its settings are not root's"
fi

# ── escape ──
descriptors() {
    local got
    got=$(me "$hpcc" exec --no-mount tmp,cwd --silent root /attack kept /secret.host 7< "$work")
    [ "$got" = ENOENT ] || fail "R01: $got"
    control "R01 ($who)" 'done' "$(off fds exec --no-mount tmp,cwd --silent root /attack kept /secret.host 7< "$work")"
    counted "R01 ($who): a directory that was left open does not come along"
    refuse 125 "outside the container" me "$hpcc" exec --pwd /proc/self/fd/6 root ls 6< /
    control "R01 ($who)" home "$(off inside exec --pwd /proc/self/fd/6 root ls -d home 6< /)"
    counted "R01 ($who): --pwd does not lead out by a descriptor"
    for options in '' -c -p; do
        got=$(me ./rival hold "$hpcc" exec $options --silent a.img sh -c 'cd /proc/self/fd && echo 2?')
        [ "$got" = '2?' ] || fail "R02: descriptors $got came along ($options)"
    done
    control "R02 ($who)" '20 21 22 23 24 25 26 27.*' \
        "$(me env HPCC_TEST_OFF=fds ./rival hold "$controls" exec --silent a.img sh -c 'cd /proc/self/fd && echo 2?' 2>&1)"
    counted "R02 ($who): neither do handles of /proc, /sys, namespaces, mounts, events and devices"
}
both descriptors

self_exe() {
    printf '#!/proc/self/exe\n' > root/self
    chmod 755 root/self
    ln -sf /proc/self/exe root/self-link
    mkdir -p bare
    cp -a root/. bare/
    rm -rf bare/.singularity.d
    for file in /self /self-link /proc/self/exe; do
        expect 126 'Permission denied' me "$hpcc" exec bare $file
    done
    out=$(me env HPCC_TEST_OFF=self-exe "$controls" exec bare /self 2>&1) || true
    if grep -q 'Permission denied' <<< "$out"; then fail "R08: the control was refused too"; fi
    n_controls=$((n_controls + 1))
    rm -rf bare
    counted "R08 ($who): hpcc itself is not run as a program of the image"
}
both self_exe

overlay_links() {
    local layer=$work/user/layer-$who
    me mkdir -p "$layer/real" "$layer/work"
    me ln -s real "$layer/upper"
    refuse 125 'as a directory' me "$hpcc" exec --overlay "$layer" a.img touch /x
    me env HPCC_TEST_OFF=overlay-link "$controls" exec --overlay "$layer" a.img touch /x
    [ -e "$layer/real/x" ] || fail "R09: the control did not follow the link"
    n_controls=$((n_controls + 1))
    me rm -rf "$layer"
    counted "R09 ($who): links in an overlay directory are refused"
}
both overlay_links

mkdir -p user/src
echo one > user/src/f

library_path() {
    out=$(me env LD_PRELOAD=/tmp/evil.so "$hpcc" exec a.img sh -c 'echo "[$LD_PRELOAD]"' 2> /dev/null)
    [ "$out" = '[]' ] || fail "R20: $out"
    out=$(me env LD_PRELOAD=/tmp/evil.so HPCC_TEST_OFF=env "$controls" exec a.img sh -c 'echo "[$LD_PRELOAD]"' 2> /dev/null)
    [ "$out" = '[/tmp/evil.so]' ] || fail "R20: the control gives $out"
    n_controls=$((n_controls + 1))
    counted "R20 ($who): the host's LD_PRELOAD does not reach the container"
}
both library_path

our_mounts() { grep -E "hpcc|$work" /proc/self/mountinfo | cut -d' ' -f5- || true; }
host_mounts=$(our_mounts)
for who in root user; do
    guard R27 $who 'EPERM' '' '' exec a.img /attack mount
    guard R29 $who 'EPERM' '' '' exec a.img /attack umount /proc
    guard R29 $who 'EPERM' '' '' exec a.img /attack remount /
    guard R29 $who 'EPERM' '' '' exec -B "$work/user/src:/ro:ro" a.img /attack remount /ro
    # A user is nobody to the mounts unless he is root in the container's view.
    guard R27 $who 'EPERM' "$nopriv" 'done' exec -f a.img /attack mount
    guard R29 $who 'EPERM' "$nopriv" 'done' exec -f a.img /attack umount /proc
    guard R29 $who 'EPERM' "$nopriv" 'done' exec -f a.img /attack remount /
    guard R29 $who 'EPERM' "$nopriv" 'done' exec -f -B "$work/user/src:/ro:ro" a.img /attack remount /ro
done
guard R27 root 'EPERM' "$nopriv" 'done' exec a.img /attack mount
guard R29 root 'EPERM' "$nopriv" 'done' exec a.img /attack umount /proc
guard R29 root 'EPERM' "$nopriv" 'done' exec -B "$work/user/src:/ro:ro" a.img /attack remount /ro
[ "$host_mounts" = "$(our_mounts)" ] || fail "R27: the host's mounts have changed"
counted "R27: the host's mounts are as before"

# A run of s.img by COMMAND…, which waits for the file stop and then reads what the kernel cannot have
# in its cache; $server is its server.
start_served() {
    cp a.img user/s.img
    rm -f user/stop server.out
    (rc=0
    me "$@" exec --silent -B "$work/user:/u" user/s.img sh -c 'echo up; i=0
        while [ ! -e /u/stop ] && [ $((i += 1)) -lt 400 ]; do sleep 0.05; done
        cat /bin/busybox > /dev/null; echo "status $?"; exit 7' > server.out 2>&1 || rc=$?
    echo "rc $rc" >> server.out) &
    for _ in $(seq 200); do if grep -qs up server.out; then break; fi; sleep 0.05; done
    server=$(server_of "$work/user/s.img" | head -n 1)
    [ -n "$server" ] || fail "R31: no server is found"
}
end_served() { # prints what became of it
    touch user/stop
    for _ in $(seq 40); do if grep -qs rc server.out; then break; fi; sleep 0.05; done
    wait
    tr '\n' ' ' < server.out | grep -oE 'status.*|rc.*' || true
}
servers() {
    local what
    start_served "$hpcc"
    for what in peek exe; do
        for place in inside beside; do
            case $place in
                inside) out=$(me "$hpcc" exec a.img /attack $what "$server") ;;
                beside) out=$(me ./attack $what "$server") ;;
            esac
            case $out in EPERM | EACCES | ETXTBSY | EROFS) ;; *) fail "R32: $what of the server gives $out $place" ;; esac
        done
        counted "R32 ($who): $what of the image server is refused, inside and beside the container"
    done
    kill -9 "$server"
    out=$(end_served)
    case $out in 'status 0'* | '') fail "R31: a killed server goes unseen" ;; esac
    counted "R31 ($who): a killed server ends the run within 2 s, and nothing hangs"
    start_served "$hpcc"
    control R31 'status 0 rc 7 ' "$(end_served)" # a server that lives
    start_served env HPCC_TEST_OFF=dumpable "$controls"
    control R32 'done' "$(me ./attack peek "$server")"
    end_served > /dev/null
    rm -f user/s.img user/stop
}
who=user
if [ "$is_root" = yes ]; then servers; fi # nobody else sees what the server has open

if [ "$is_root" = yes ]; then
    guard R35 root 'EROFS' 'proc-seal tree-seal' 'done' exec a.img /attack write /proc/sys/kernel/hostname
    if [ -e /proc/sysrq-trigger ]; then
        guard R35 root 'EACCES' 'proc-seal tree-seal' 'done' exec a.img /attack write /proc/sysrq-trigger
    fi
    sys_file=$(find /sys/fs/cgroup /sys/kernel -maxdepth 2 -type f -perm -200 2> /dev/null | head -n 1)
    if [ -n "$sys_file" ]; then
        guard R36 root 'EROFS|EACCES|EPERM' 'ro audit tree-seal' 'done' exec a.img /attack write "$sys_file"
    fi
fi
guard R35 user 'EACCES|EPERM' '' '' exec a.img /attack write /proc/sys/kernel/hostname
guard R37 user 'EPERM' '' '' exec a.img /attack handle
guard R37 root 'EPERM' "$nopriv" 'done|ESTALE' exec -B "$work/user:/u" root /attack handle
inside=(--silent --no-mount "tmp,cwd,home")
for who in root user; do
    guard R38 $who 'ENOENT' 'old-root audit' 'done' exec "${inside[@]}" -f root /attack chroot "$work/secret.host"
    guard R38 $who '.*No such file or directory' 'old-root audit' secret exec "${inside[@]}" root cat "/../$work/secret.host"
done
guard R38 root 'ENOENT' 'old-root audit' 'done' exec "${inside[@]}" root /attack chroot "$work/secret.host"
guard R38 user 'EPERM' '' '' exec "${inside[@]}" root /attack chroot "$work/secret.host"

if [ "$(cat /proc/sys/dev/tty/legacy_tiocsti 2> /dev/null || echo 1)" = 1 ]; then
    for who in root user; do
        for call in tiocsti tiocsti-high tioclinux; do
            control='done'
            if [ $call = tioclinux ]; then control='EINVAL|ENOTTY|done|EFAULT'; fi
            guard "R40-R41 $call" $who EPERM seccomp "$control" exec a.img /attack $call
        done
    done
fi
if [ "$(uname -m)" = x86_64 ]; then
    who=user
    out=$(./attack tiocsti-i386 2>&1) || true
    if [ "$out" = 'done' ]; then guard R42 user EPERM seccomp 'done' exec a.img /attack tiocsti-i386; fi
    guard R42 user ENOSYS '' '' exec a.img /attack x32
fi
guard R43 user 'done' '' '' exec a.img /attack newuser
for who in root user; do
    guard R43 $who EPERM seccomp 'done' exec -c --silent a.img /attack newuser
    guard R43 $who ENOSYS seccomp 'done|EINVAL' exec -c --silent a.img /attack clone3
    guard R43 $who EPERM seccomp 'done' exec -c --silent a.img /attack keyring
    guard calls $who 'EPERM' '' '' exec a.img /attack bpf
    guard calls $who 'EPERM' '' '' exec a.img /attack module
    guard calls $who 'EPERM' '' '' exec a.img /attack swap
    guard calls $who 'EPERM' '' '' exec a.img /attack clock
done
guard calls root 'EPERM' "$nopriv" 'done' exec a.img /attack clock

contained() {
    local home list='ls -A /tmp /var/tmp $HOME; ls /proc | grep -c "^[0-9]"; echo end'
    home=$(getent passwd "$(me id -un)" | cut -d: -f6)
    touch /tmp/hpcc-e2e-private
    out=$(me "$hpcc" exec -C --silent a.img sh -c "$list")
    [ "$out" != "${out/hpcc-e2e-private/}" ] && fail "R44: files of the host show"
    [ "$(grep -E '^[0-9]+$' <<< "$out")" -le 8 ] || fail "R44: processes of the host show"
    [ "$(grep -cE '^[^/0-9]' <<< "$out")" = 1 ] || fail "R44: there is something in /tmp, /var/tmp or $home"
    control "R44 ($who)" '.*hpcc-e2e-private.*' "$(me "$hpcc" exec --silent a.img sh -c "$list" | tr '\n' ' ')"
    rm -f /tmp/hpcc-e2e-private
    counted "R44 ($who): --containall shows neither files nor processes of the host"

    if [ "$(me ./attack with-key hpcc-e2e-key "$work/attack" find-key hpcc-e2e-key)" = 'done' ]; then
        key=(./attack with-key hpcc-e2e-key)
        out=$(me "${key[@]}" "$hpcc" exec -C --silent a.img /attack find-key hpcc-e2e-key)
        [ "$out" = EPERM ] || fail "R44: a key of the caller's session gives $out"
        control "R44 ($who)" 'done' \
            "$(me env HPCC_TEST_OFF='seccomp keyring' "${key[@]}" "$controls" exec -C --silent a.img /attack find-key hpcc-e2e-key)"
        control "R44 ($who)" ENOKEY \
            "$(me env HPCC_TEST_OFF=seccomp "${key[@]}" "$controls" exec -C --silent a.img /attack find-key hpcc-e2e-key)"
        counted "R44 ($who): nor the keys of the caller's session"
    fi

    ./rival listen hpcc-e2e-socket > listen.out &
    for _ in $(seq 100); do if grep -q ready listen.out; then break; fi; sleep 0.05; done
    guard "R44 sockets" "$who" ECONNREFUSED '' '' exec -C --net --silent a.img /attack connect hpcc-e2e-socket
    control "R44 ($who)" 'done' "$(me "$hpcc" exec -C --silent a.img /attack connect hpcc-e2e-socket)"
    kill %%
    wait 2> /dev/null || true
}
both contained

# What a file or an image is called and says, on a terminal.
escapes() {
    printf 'junk' > $'junk\e[31m.img'
    out=$("$hpcc" exec $'junk\e[31m.img' true 2>&1) && fail "R45: junk was run"
    if grep -q $'\e' <<< "$out"; then fail "R45: an escape sequence reached the terminal"; fi
    control R45 1 "$(printf '%s\n' junk*.img | grep -c $'\e')" # it is there
    command -v script > /dev/null || return 0
    cp -a root esc
    printf '{"a\\u001b[31m": "x\\u001b[32m\\u009b1m"}\n' > esc/.singularity.d/labels.json
    printf 'help \e[31m\e]0;title\a\n' > esc/.singularity.d/runscript.help
    : > $'esc/opt/evil\e[31m'
    ln -s $'to\e[31m' $'esc/opt/link\e[31m'
    make_image esc esc.img
    for command in 'inspect --all esc.img' 'inspect --helpfile esc.img' 'ls -l esc.img /opt' 'env --explain esc.img'; do
        out=$(NO_COLOR=1 TERM=dumb script -qc "$hpcc $command" /dev/null < /dev/null)
        if grep -qE $'\e|\a|\u9b' <<< "$out"; then fail "R45: '$command' sends an escape sequence"; fi
        counted "R45: escape sequences of an image are shown, not sent: ${command% esc*}"
    done
    control R45 1 "$("$hpcc" inspect --helpfile esc.img | grep -c $'\e')" # a file gets the bytes
    rm -rf esc
}
escapes

guard ro user '.*Read-only file system' 'ro audit' '' exec -B "$work/user:/u:ro" a.img touch /u/made-ro
if [ "$is_root" = yes ]; then
    "$hpcc" exec u.img sh -c 'echo up; exec sleep 60' > owner.out &
    for _ in $(seq 100); do if grep -q up owner.out; then break; fi; sleep 0.05; done
    pid=$(server_of "$work/u.img" | head -n 1)
    [ -n "$pid" ] || fail "F2: no server is found"
    out=$(grep '^Uid:' "/proc/$pid/status")
    [ "$out" = "Uid:	$(id -u "$test_user")	$(id -u "$test_user")	$(id -u "$test_user")	$(id -u "$test_user")" ] ||
        fail "F2: root's server runs as $out"
    kill %%
    wait 2> /dev/null || true
    HPCC_TEST_OFF=owner "$controls" exec u.img sh -c 'echo up; exec sleep 60' > owner.out &
    for _ in $(seq 100); do if grep -q up owner.out; then break; fi; sleep 0.05; done
    control F2 'Uid:.0.0.0.0' "$(grep '^Uid:' "/proc/$(server_of "$work/u.img" | head -n 1)/status")"
    kill %%
    wait 2> /dev/null || true
    counted "F2: root's image server runs as the image's owner"
fi
echo "# $n_cases cases, $n_controls with a control"
