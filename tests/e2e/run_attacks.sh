#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Attacks from inside a container and by hostile callers, each with its control: hpcc-controls with the
# defence in question switched off must let the attack succeed, or the test would show nothing.
# The numbers are those of the project's list of attack cases (P privilege, R runtime escape).
# shellcheck disable=SC2010,SC2086,SC2016 # what is in single quotes is for the shell inside
# shellcheck source=tests/e2e/_attacks.sh
. "$(dirname "$0")/_attacks.sh"
echo secret > secret.host
ln -s /proc/1/root root/escape
ln -s / root/opt/up
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
guard P08 user 'NoNewPrivs:.1' "$nopriv" 'NoNewPrivs:.0' exec a.img grep NoNewPrivs /proc/self/status
guard P08 user 'done' caps 0 exec a.img /attack securebits

numbers() {
    for bad in '' ' 1' +1 -1 0x1 4294967295 4294967296 1a; do
        refuse 125 'keep-fd' me "$hpcc" exec --keep-fd "$bad" a.img true
    done
    counted "P09 ($who): numbers are digits in range"
}
both numbers

hostile_environment() {
    local name vars=() plain hostile
    for name in CONTAIN OVERLAYIMAGE_X STAGE2 TEST_OFF MESSAGELEVEL CONFIG CONFIG_FILE SUID LIBEXEC ROOTFS; do
        vars+=("HPCC_$name=/evil" "SINGULARITY_X$name=/evil" "APPTAINER_X$name=1")
    done
    plain=$(me "$hpcc" exec a.img sh -c 'cut -d" " -f5-6 /proc/self/mountinfo; grep Cap /proc/self/status' 2>&1 || true)
    hostile=$(me env "${vars[@]:1}" HPCC_TEST_OFF='seccomp caps audit nosuid' "$hpcc" exec a.img \
        sh -c 'cut -d" " -f5-6 /proc/self/mountinfo; grep Cap /proc/self/status' 2>&1 || true)
    [ "$plain" = "$hostile" ] || fail "P10: variables change the policy"
    counted "P10 ($who): no variable weakens the policy"
}
both hostile_environment

refuse 125 'option' "$hpcc" exec --stage2 a.img true
refuse 2 'unknown command' "$hpcc" _join a.img true
counted "P11: no internal options"

evil_path() {
    mkdir -p evil
    for name in newuidmap newgidmap fusermount3 mount losetup sh bash; do
        printf '#!/bin/sh\necho pwned > %s/pwned-$0\n' "$work/user" > evil/$name
        chmod 755 evil/$name
    done
    expect 0 '' me env PATH="$work/evil:$PATH" "$hpcc" exec a.img true
    if ls user/pwned* > /dev/null 2>&1; then fail "P17: a program of the caller's PATH was run"; fi
    counted "P17 ($who): no program is taken from the caller's PATH"
}
both evil_path

if [ "$is_root" = yes ]; then
    cp "$hpcc" bin/suid-hpcc
    chmod 4755 bin/suid-hpcc
    who=user
    expect 4 'setuid' me bin/suid-hpcc exec a.img true
    counted "P18: a setuid hpcc refuses"
    out=$(HOME=$work/user "$hpcc" exec a.img sh -c 'echo $HOME')
    [ "$out" = "$(getent passwd root | cut -d: -f6)" ] || fail "P19: root's home is $out"
    counted "P19: another user's HOME is not root's"
fi

# ── escape ──
with_fd() { # WHO COMMAND…: descriptors of all kinds lie open at 5 … 9
    "$@" 5< /proc/self/status 6< / 7< "$work" 8< /proc/self/ns/mnt 9< /dev/zero
}
descriptors() {
    local got
    got=$(with_fd me "$hpcc" exec --no-mount tmp,cwd --silent root /attack kept /secret.host)
    [ "$got" = ENOENT ] || fail "R01: $got"
    got=$(with_fd me env HPCC_TEST_OFF=fds "$controls" exec --no-mount tmp,cwd --silent root /attack kept /secret.host)
    [ "$got" = 'done' ] || fail "R01: the control gives $got"
    n_controls=$((n_controls + 1))
    counted "R01 ($who): a directory that was left open does not come along"
    got=$(with_fd me "$hpcc" exec --silent a.img sh -c 'cd /proc/self/fd && echo [5-9]')
    [ "$got" = '[5-9]' ] || fail "R02: descriptors $got came along"
    counted "R02 ($who): neither do handles of /proc, namespaces and devices"
    out=$(with_fd me "$hpcc" exec --pwd /proc/self/fd/6 a.img pwd 2>&1) && fail "R01: --pwd leads out"
    counted "R01 ($who): --pwd does not lead out by a descriptor"
}
both descriptors

pwd_out() {
    out=$(me "$hpcc" exec --pwd /escape root ls 2>&1) && fail "R04: --pwd leads out by a link"
    counted "R04 ($who): --pwd does not lead out by a link of the image"
}
both pwd_out

special_files() {
    mkfifo fifo 2> /dev/null || true
    for file in /dev/null fifo /proc/self/status /proc/kcore; do
        if [ -e "$file" ]; then refuse 125 '' timeout 10 "$hpcc" exec "$file" true; fi
    done
    rm -f fifo
    counted "R06: what is no image is refused, and nothing hangs"
}
special_files

swapped() {
    (for ((i = 0; i < 4000; i++)); do
        ln -sf /dev/null sw.new && mv -T sw.new sw
        mkfifo sw.new && mv -T sw.new sw
        ln a.img sw.new && mv -T sw.new sw
    done) &
    local swapper=$! i rc
    for ((i = 0; i < 25; i++)); do
        rc=0
        timeout 10 "$hpcc" exec sw true > /dev/null 2>&1 || rc=$?
        if [ "$rc" != 0 ] && [ "$rc" != 125 ]; then fail "R05: status $rc while the image is swapped"; fi
    done
    kill "$swapper" 2> /dev/null || true
    wait "$swapper" 2> /dev/null || true
    rm -f sw sw.new
    counted "R05: an image that is swapped all the time is run or refused"
}
swapped

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
destinations() {
    mkdir -p into
    local before after
    before=$(listing /opt "$work/into")
    guard "R10" "$who" one in-root '.*' exec -B "$work/user/src:/opt/up/mnt2" root cat /mnt2/f
    for dst in /opt/up/../../x /opt/up/opt/up/y// "/$(printf 'a%.0s' $(seq 300))" $'/new\nline' /a:b:c \
        /proc/self/root/tmp/z /escape/tmp/z /escape/opt/z; do
        me timeout 20 "$hpcc" exec -B "$work/user/src:$dst" root true > /dev/null 2>&1 || true
    done
    me "$hpcc" exec -B "$work/user/src:/$(printf 'b/%.0s' $(seq 3000))" root true > /dev/null 2>&1 || true
    after=$(listing /opt "$work/into")
    [ "$before" = "$after" ] || fail "R11: the host was changed by a bind's target"
    [ ! -e /tmp/z ] || fail "R13: a mount point was made through a magic link"
    counted "R11, R13 ($who): targets stay in the root"
}
both destinations

hostile_root() {
    local host
    make_root hostile
    rm -rf hostile/dev hostile/etc/resolv.conf hostile/etc/passwd hostile/etc/group hostile/sys
    mkdir -p "$work/user/victim"
    for name in passwd group resolv.conf; do echo "host's" > "$work/user/victim/$name"; done
    ln -s "$work/user/victim/passwd" hostile/etc/passwd
    ln -s "../../../../../..$work/user/victim/group" hostile/etc/group
    ln -s "$work/user/victim/resolv.conf" hostile/etc/resolv.conf
    ln -s /tmp/hpcc-e2e-dev hostile/dev
    ln -s / hostile/sys
    host=$(listing "$work/user/victim")
    for options in -s -c -C --writable-tmpfs; do
        if [ "$options" = -s ]; then options=--silent; fi
        me timeout 20 "$hpcc" exec "$options" hostile true > /dev/null 2>&1 || true
    done
    [ ! -e /tmp/hpcc-e2e-dev ] || fail "R15: /dev of the image led to the host's /tmp"
    [ "$host" = "$(listing "$work/user/victim")" ] || fail "R16: a file of the host was changed"
    rm -rf hostile
    counted "R15, R16 ($who): links at /dev, /sys and in /etc of an image stay inside"
}
both hostile_root

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
done
guard R27 root 'EPERM' "$nopriv" 'done' exec a.img /attack mount
guard R29 root 'EPERM' "$nopriv" 'done' exec a.img /attack umount /proc
guard R29 root 'EPERM' "$nopriv" 'done' exec -B "$work/user/src:/ro:ro" a.img /attack remount /ro
[ "$host_mounts" = "$(our_mounts)" ] || fail "R27: the host's mounts have changed"
counted "R27: the host's mounts are as before"

servers() {
    cp a.img s.img
    (me "$hpcc" exec s.img sh -c 'echo up; i=0; while [ ! -e /tmp/hpcc-e2e-stop ] && [ $((i += 1)) -lt 400 ]; do sleep 0.05; done; cat /bin/busybox > /dev/null; echo "status $?"' > server.out 2>&1) &
    for _ in $(seq 200); do if grep -q up server.out; then break; fi; sleep 0.05; done
    local pid
    pid=$(server_of "$work/s.img" | head -n 1)
    [ -n "$pid" ] || fail "R31: no server is found"
    for what in peek exe; do
        out=$(me "$hpcc" exec a.img /attack $what "$pid")
        case $out in EPERM | EACCES | ETXTBSY | EROFS) ;; *) fail "R32: $what of the server gives $out" ;; esac
        counted "R32 ($who): $what of the image server is refused"
    done
    kill -9 "$pid"
    touch /tmp/hpcc-e2e-stop
    local i
    for i in $(seq 100); do if grep -q status server.out; then break; fi; sleep 0.05; done
    rm -f /tmp/hpcc-e2e-stop
    wait
    if grep -q 'status 0' server.out || [ "$i" = 100 ]; then out=$(cat server.out) fail "R31: a killed server goes unseen"; fi
    counted "R31 ($who): a killed server ends the run, and nothing hangs"
}
who=user
if [ "$is_root" = yes ]; then servers; fi

if [ "$is_root" = yes ]; then
    guard R35 root 'EROFS' proc-seal 'done' exec a.img /attack write /proc/sys/kernel/hostname
    if [ -e /proc/sysrq-trigger ]; then
        guard R35 root 'EACCES' proc-seal 'done' exec a.img /attack write /proc/sysrq-trigger
    fi
    sys_file=$(find /sys/fs/cgroup /sys/kernel -maxdepth 2 -type f -perm -200 2> /dev/null | head -n 1)
    if [ -n "$sys_file" ]; then
        guard R36 root 'EROFS|EACCES|EPERM' 'ro audit' 'done' exec a.img /attack write "$sys_file"
    fi
fi
guard R35 user 'EACCES|EPERM' '' '' exec a.img /attack write /proc/sys/kernel/hostname
guard R37 user 'EPERM' '' '' exec a.img /attack handle
guard R37 root 'EPERM' "$nopriv" 'done|ESTALE' exec -B "$work/user:/u" root /attack handle
guard R38 user 'EPERM' '' '' exec a.img /attack chroot /secret.host
guard R38 root 'ENOENT' '' '' exec a.img /attack chroot "$work/secret.host.never"
rmdir /tmp/hpcc-attack-jail 2> /dev/null || true

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
for who in root user; do
    guard R43 $who EPERM seccomp 'done' exec -c --silent a.img /attack newuser
    guard R43 $who ENOSYS seccomp 'done|EINVAL' exec -c --silent a.img /attack clone3
    guard R43 $who EPERM seccomp 'done' exec -c --silent a.img /attack keyring
    guard R43 $who 'done' '' '' exec a.img /attack newuser
    guard calls $who 'EPERM' '' '' exec a.img /attack bpf
    guard calls $who 'EPERM' '' '' exec a.img /attack module
    guard calls $who 'EPERM' '' '' exec a.img /attack swap
    guard calls $who 'EPERM' '' '' exec a.img /attack clock
done
guard calls root 'EPERM' "$nopriv" 'done' exec a.img /attack clock

contained() {
    me touch "$work/user/private-$who"
    out=$(me "$hpcc" exec -C --silent a.img sh -c 'ls -A /tmp /var/tmp $HOME; ls /proc | grep "^[0-9]" | wc -l; echo /proc/self/fd/*; env')
    if grep -qE "private|$work" <<< "${out//SINGULARITY_CONTAINER*/}" && grep -q private <<< "$out"; then fail "R44: the host shows"; fi
    if [ "$(grep -cE '^[0-9]+$' <<< "$out")" != 1 ] || [ "$(grep -E '^[0-9]+$' <<< "$out")" -gt 8 ]; then fail "R44: processes of the host show"; fi
    counted "R44 ($who): --containall shows neither files nor processes of the host"
}
both contained

cp a.img $'bad\e[31mname.img'
printf 'junk' > $'junk\e[31m.img'
out=$("$hpcc" exec $'junk\e[31m.img' true 2>&1) && fail "R45: junk was run"
if grep -q $'\e' <<< "$out"; then fail "R45: an escape sequence reached the terminal"; fi
counted "R45: escape sequences in names are shown, not sent"

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
    counted "F2: root's image server runs as the image's owner"
fi
echo "# $n_cases cases, $n_controls with a control"
