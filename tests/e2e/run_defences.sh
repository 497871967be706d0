#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every defence that can be switched off is one whose absence alone lets some attack succeed: none of the
# switches is dead, and none of the tests that lean on them is empty. A defence that stands behind another
# one is tried with that one off in both runs.
# shellcheck disable=SC2016,SC2034 # what is in single quotes is for the shell inside
# shellcheck source=tests/e2e/_attacks.sh
. "$(dirname "$0")/_attacks.sh"
need_root
make_image root a.img
echo secret > secret.host
plain=(--silent --no-mount "tmp,cwd,home")
mkdir -p user/src into
echo one > user/src/f
chmod 755 user/src

# lone NAME BEHIND WHO WANT CONTROL ARGS…: with BEHIND off the last line is WANT, with NAME off as well CONTROL.
lone() {
    local name=$1 behind=$2 want=$4 control=$5 got
    who=$3
    shift 5
    got=$(off "$behind" "$@")
    out=$got
    grep -qE -- "^($want)\$" <<< "$got" || fail "$name: '$got' instead of '$want': $*"
    got=$(off "$behind $name" "$@")
    out=$got
    grep -qE -- "^($control)\$" <<< "$got" || fail "$name is off, and yet '$got' instead of '$control': $*"
    tried+=" $name "
    ok "$name"
}
tried=' '

cp attack root/suid
cp attack root/capped
chmod 4755 root/suid
mknod -m 666 root/zero c 1 5
ln -s / root/opt/up
lone nosuid 'caps no-new-privs seccomp audit' root EPERM 'done' exec root /attack as "$(id -u "$test_user")" /suid setuid
lone no-new-privs 'nosuid caps seccomp audit' root EPERM 'done' exec root /attack as "$(id -u "$test_user")" /suid setuid
lone audit nosuid root ".*lacks 'nosuid'" 'done' exec root /attack read /attack
lone nodev audit user EACCES 'done' exec root /attack read /zero
lone ro audit root '.*Read-only file system' '' exec -B "$work/user/src:/u:ro" root touch /u/made
lone caps '' user 'CapBnd:.0000000000000000' 'CapBnd:.0*[1-9a-f][0-9a-f]*' exec a.img grep CapBnd /proc/self/status
lone seccomp '' user EPERM 'done' exec -c --silent a.img /attack newuser
real=$controls
printf '#!/bin/sh\nexec %s/attack with-key hpcc-e2e-key %s "$@"\n' "$work" "$real" > bin/keyed
chmod 755 bin/keyed
controls=$work/bin/keyed
if [ "$(./attack with-key hpcc-e2e-key "$work/attack" find-key hpcc-e2e-key)" = 'done' ]; then
    lone keyring seccomp user ENOKEY 'done' exec -c --silent a.img /attack find-key hpcc-e2e-key
else
    tried+=' keyring ' # no keys here
fi
controls=$real
exec 7< "$work"
lone fds '' user ENOENT 'done' exec "${plain[@]}" root /attack kept /secret.host
exec 7< /
lone inside '' user '.*outside the container' home exec "${plain[@]}" --pwd /proc/self/fd/7 root ls -d home
exec 7<&-
lone in-root '' user in outside exec "${plain[@]}" -B "$work/user/src:/opt/up$work/into" root \
    sh -c 'grep -q "/user/src /" /proc/self/mountinfo && echo in || echo outside'
lone old-root audit user '.*No such file or directory' secret exec "${plain[@]}" root cat "/../$work/secret.host"
lone proc-seal tree-seal root EROFS 'done' exec a.img /attack write /proc/sys/kernel/hostname
export PYTHONPATH=/x
lone env '' user '\[\]' '\[/x\]' exec --silent a.img sh -c 'echo "[$PYTHONPATH]"'
lone numbers '' user ".*is not an open descriptor" taken exec --silent --keep-fd ' 1' a.img echo taken
tune2fs -e panic a.img > /dev/null
lone errors '' root 'errors=remount-ro' 'errors=panic' exec --silent a.img \
    sh -c 'set -- $(grep " / " /proc/mounts); grep errors= /proc/fs/ext4/${1#/dev/}/options'

# Those that need more of a scene are switched off alone in the scripts of the attacks themselves.
grep -rhoE 'defence\("[a-z-]+"\)' "$HPCC_SOURCE_DIR"/{base,bootstrap,build,cli,deffile,image,jail,runtime} | sort -u | cut -d'"' -f2 > names.list
[ "$(wc -l < names.list)" -ge 20 ] || fail "the names of the defences are not found"
while read -r name; do
    if [[ $tried == *" $name "* ]]; then continue; fi
    grep -qE "(HPCC_TEST_OFF=|(off|control|guard) .*)['\" ]?${name}(['\" ]|\$)" "$HPCC_SOURCE_DIR"/tests/e2e/*.sh ||
        fail "nothing tries the defence '$name'"
done < names.list
ok "every defence is tried"
