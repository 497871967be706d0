#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Attacks on the host's kernel by a program that root runs: whoever is uid 0 on the host needs no
# capability to write to its settings, in whatever namespace he sits and wherever they are mounted.
# R is of docs/security.md.
# shellcheck disable=SC2016 # what is in single quotes is for the shell inside
# shellcheck source=tests/e2e/_attacks.sh
. "$(dirname "$0")/_attacks.sh"
need_root
make_image root a.img
setting=/sys/kernel/hostname # of procfs: opened for writing, never written

# R46: the namespace of root's program is his own, the files are not.
for how in --userns --fakeroot "--fakeroot --containall" "--userns --pid" "--containall"; do
    # shellcheck disable=SC2086
    guard "R46 $how" root EROFS 'proc-seal tree-seal' 'done' exec --silent $how a.img /attack write /proc$setting
done
got=$(unshare --user --map-root-user "$hpcc" exec --silent root /attack write /proc$setting 2>&1 | tail -n 1)
[ "$got" = EROFS ] || fail "R46: root of a namespace that root made: $got"
got=$(HPCC_TEST_OFF='proc-seal tree-seal' unshare --user --map-root-user "$controls" exec --silent root /attack write /proc$setting 2>&1 | tail -n 1)
control "R46 from a namespace" 'done' "$got"
counted "R46 root of a namespace that root made is sealed"

# R47: procfs, sysfs and cgroupfs that a bind brings along.
mkdir -p chroot "blank a b"
away() { umount -l "$work/blank a b" 2> /dev/null; }
cleanup_hooks+=(away)
mount --bind chroot chroot # the host's own mounts need not be shared
mount --make-shared chroot
mkdir -p chroot/proc chroot/sys chroot/up
mount -t proc proc chroot/proc
mount -t proc proc "blank a b"
mount --bind /sys chroot/sys
sys_file=$(cd /sys && find kernel/mm fs/cgroup -maxdepth 2 -type f -perm -200 2> /dev/null | head -n 1)
below() { # CASE DIR-INSIDE ARGS…
    local name=$1 dir=$2
    shift 2
    guard "R47 $name" root EROFS tree-seal 'done' exec --silent "$@" /attack write "$dir/proc$setting"
    if [ -n "$sys_file" ]; then
        guard "R47 $name" root EROFS tree-seal 'done' exec --silent "$@" /attack write "$dir/sys/$sys_file"
    fi
}
cd chroot
below "the working directory" "$work/chroot" ../a.img
cd ..
below "a bind" /mnt2 --contain --pid -B "$work/chroot:/mnt2" a.img
below "a bind as root of a namespace" /mnt2 --userns -B "$work/chroot:/mnt2" a.img
below "a writable root" /mnt2 --writable-tmpfs -B "$work/chroot:/mnt2" a.img
guard "R47 a name with a blank" root EROFS tree-seal 'done' exec --silent -B "$work/blank a b:/mnt2" a.img /attack write "/mnt2$setting"
guard "R47 /proc itself elsewhere" root EROFS tree-seal 'done' exec --silent -B /proc:/mnt2 a.img /attack write "/mnt2$setting"
guard "R47 over the sealed one" root EROFS tree-seal 'done' exec --silent -B /proc/sys:/proc/sys a.img /attack write /proc$setting
cp -a root sandbox
mkdir sandbox/inner
mount -t proc proc sandbox/inner
guard "R47 in the root directory" root EROFS 'tree-seal ro audit' 'done' exec --silent sandbox /attack write "/inner$setting"
guard "R47 in a writable root directory" root EROFS tree-seal 'done' exec --silent --writable sandbox /attack write "/inner$setting"
umount sandbox/inner
mkdir -p layer/upper/inner layer/work
mount -t proc proc layer/upper/inner
got=$("$hpcc" exec --silent --no-mount cwd --overlay layer a.img /attack write "/inner$setting" 2>&1 | tail -n 1)
grep -qE 'ENOENT|EROFS|cannot' <<< "$got" || fail "R47: a procfs in an overlay's directory: $got"
counted "R47 a procfs in an overlay's directory"
umount layer/upper/inner
# What programs write to their own stays theirs.
expect 0 '^7$' "$hpcc" exec --silent a.img sh -c 'echo 7 > /proc/self/oom_score_adj && cat /proc/self/oom_score_adj'

# R48: what the host mounts while the program runs.
mkfifo go
"$hpcc" exec --silent -B "$work/chroot:/mnt2" a.img sh -c 'read -r x < '"$work"'/go; /attack write /mnt2/up'$setting > late &
late=$!
sleep 0.5
mount -t proc proc chroot/up
echo > go
wait $late
out=$(cat late)
[ "$out" = ENOENT ] || fail "R48: a procfs that was mounted later: $out"
umount chroot/up
HPCC_TEST_OFF=tree-seal "$controls" exec --silent -B "$work/chroot:/mnt2" a.img sh -c 'read -r x < '"$work"'/go; /attack write /mnt2/up'$setting > late &
late=$!
sleep 1
mount -t proc proc chroot/up
echo > go
wait $late
control R48 'done' "$(cat late)"
umount chroot/up
counted "R48 what the host mounts later does not appear"
umount chroot/proc chroot/sys chroot "blank a b"

# R49: a fresh one in namespaces of the program's own.
for kind in proc sysfs cgroup2; do
    got=$(off nested exec --silent a.img /attack $kind)
    if [ "$got" != 'done' ]; then continue; fi # this kernel or host allows none
    guard "R49 $kind" root EPERM nested 'done' exec --silent a.img /attack $kind
    guard "R49 $kind in a namespace" root EPERM nested 'done' exec --silent --userns a.img /attack $kind
done
guard "R49 by clone3" root ENOSYS nested 'done|EINVAL' exec --silent a.img /attack clone3
guard "R49 by joining" root EPERM '' '' exec --silent a.img /attack setns /proc/self/ns/user

# R50: somebody has root's image open for writing from the time when it was his.
cp a.img adopted.img
chown "$test_user" adopted.img
driver='grep -q "^/dev/loop" /proc/mounts && echo kernel || echo ours'
exec 8<> adopted.img
chown root:root adopted.img
guard "R50 an open writer" root ours open-writer kernel exec --silent --no-mount "cwd,home,tmp" adopted.img sh -c "$driver"
exec 8<&-
expect 0 kernel "$hpcc" exec --silent --no-mount "cwd,home,tmp" adopted.img sh -c "$driver"
counted "R50 without a writer the kernel's driver mounts it"
echo "# $n_cases cases, $n_controls with a control"
