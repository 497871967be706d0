#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The same runs on a kernel that lacks the newer system calls (before Linux 5.2, 5.6, 5.12, 6.15), and on
# hosts that refuse user namespaces.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "$0")/_root.sh"
command -v cc > /dev/null || skip "needs a C compiler"
need_user
cd "$work"
cc -D_GNU_SOURCE -o deny "$HPCC_SOURCE_DIR/tests/e2e/_deny.c"
if ! ./deny 38 -- true; then skip "no seccomp filters here"; fi
enosys=38
eperm=1
enospc=28
make_root root
make_image root a.img
ln -s / root/opt/a
mkdir -p "$work/user/src"
echo one > user/src/f
before=$(sha256sum a.img)

old() { me ./deny $enosys "${missing[@]}" -- "$hpcc" "$@"; }

runs() {
    for i in a.img root; do
        expect 0 '^args 1' old run $i x
        expect 1 'Read-only' old exec $i touch /x
        expect 1 'Read-only' old exec $i touch /home/x
        expect 0 '^one$' old exec -B "$work/user/src:/opt/deep/er:ro" $i cat /opt/deep/er/f
        expect 1 'Read-only' old exec -B "$work/user/src:/opt/deep/er:ro" $i touch /opt/deep/er/g
        expect 0 '^one$' old exec -B "$work/user/src/f:/etc/f" $i cat /etc/f
        expect 0 '^one$' old exec -B /:/host $i cat "/host$work/user/src/f"
        expect 0 '' old exec -C $i sh -c 'ls /dev/null && touch /tmp/x'
        expect 0 '' old exec $i cat /proc/self/mountinfo
        # What another mount covers completely does not count: the last one at each place does.
        if awk '{ o[$5] = $6 } END { for (p in o) if (o[p] !~ /nosuid/) print p }' <<< "$out" | grep .; then
            fail "$who: a mount is not nosuid"
        fi
    done
    expect 0 '^one$' old exec -B "$work/user/src:/opt/a/new" root cat /new/f
    [ ! -e /new ] || fail "$who: a mount point was made on the host"
    [ "$(sha256sum a.img)" = "$before" ] || fail "$who: the image was changed"
    ok "$who: without ${missing[*]}"
}

missing=(open_tree_attr)
both runs
missing=(open_tree_attr mount_setattr)
both runs
missing=(openat2)
both runs
missing=(openat2 open_tree open_tree_attr move_mount mount_setattr fsopen fsconfig fsmount close_range pidfd_open)
both runs

# Whatever step of giving up power fails: the program is not started.
fails() {
    local call
    for call in capset pivot_root umount2 prctl; do
        refuse 125 '' me ./deny $eperm $call -- "$hpcc" exec root sh -c 'echo started'
        if grep -q started <<< "$out"; then fail "$who: started although $call failed"; fi
    done
    ok "$who: P12: a failing step stops the run"
}
both fails

refused() {
    who=user
    refuse 125 "user namespace" me ./deny $eperm unshare -- "$hpcc" exec a.img true
    refuse 125 "max_user_namespaces" me ./deny $enospc unshare -- "$hpcc" exec a.img true
    expect 4 '^missing +userns' me ./deny $enospc unshare -- "$hpcc" doctor
    ok "a host without user namespaces is told with the cure"
}
refused
