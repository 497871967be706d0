#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc bootstrap as an ordinary user: single id (no subuid needed), keep, kill, no way to gain.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_user
command -v busybox > /dev/null || skip "no busybox on this host"
unshare -Ur true 2> /dev/null || skip "no user namespaces here"
mkdir -p "$work/user/dir"
cd "$work/user/dir"
[ "$(id -u)" != 0 ] || chown "$test_user:" .

cat > ../x.def <<'E2'
Bootstrap: busybox
%setup
    id -u > "$SINGULARITY_ROOTFS/setup-uid"
    sleep 1000 &
%post
    id -u > /post-uid
    sleep 1000 &
%files
    ../x.def /opt/
%test
    test "$(cat /setup-uid) $(cat /post-uid)" = "0 0"
E2
expect 0 '' as_user "$hpcc" bootstrap u.img ../x.def
[ "$(stat -c %U u.img)" = "$test_user" ] || fail "owner $(stat -c %U u.img)"
expect 0 '' e2fsck -fn u.img
debugfs -R 'stat /opt/x.def' u.img 2> /dev/null | grep -q 'User: *0 ' || fail "owner inside"
[ "$(find . -mindepth 1)" = ./u.img ] || fail "left behind: $(find .)"
ok "an ordinary user builds an image; what scripts left running is gone"

expect 0 "keeping the system" as_user "$hpcc" bootstrap u.img ../x.def
expect 0 '' e2fsck -fn u.img
ok "and performs the sections again"

sum=$(sha256sum < u.img)
as_user "$hpcc" bootstrap -q --fresh u.img ../x.def > /dev/null 2>&1 &
pid=$!
sleep 0.3
kill -9 $pid 2> /dev/null || true
wait $pid || true
for ((n = 0; n < 20; n++)); do
    [ "$(find . -mindepth 1)" != ./u.img ] || break
    sleep 0.2
done
[ "$(find . -mindepth 1)" = ./u.img ] || fail "left behind: $(find .)"
[ "$(sha256sum < u.img)" = "$sum" ] || e2fsck -fn u.img > /dev/null 2>&1 || fail "the image is damaged"
ok "a kill leaves nothing"

if [ "$(id -u)" = 0 ]; then
    "$hpcc" bootstrap -q root.img ../x.def > /dev/null 2>&1
    sum=$(sha256sum < root.img)
    refuse 1 'cannot write to the image' as_user "$hpcc" bootstrap root.img ../x.def
    refuse 1 'cannot write into' as_user "$hpcc" bootstrap ../../other.img ../x.def
    [ "$(sha256sum < root.img)" = "$sum" ] || fail "root's image was changed"
    chown "$test_user:" root.img
    expect 0 '' "$hpcc" bootstrap root.img ../x.def
    [ "$(stat -c %U root.img)" = "$test_user" ] || fail "the owner was not kept"
    ok "someone else's image is refused; root keeps its owner"
fi
