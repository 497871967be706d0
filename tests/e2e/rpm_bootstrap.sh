#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc bootstrap of an rpm distribution: as root and as an ordinary user, from files and over http,
# from the cache, and with every way to name mirrors.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
# shellcheck source=tests/e2e/_rpm.sh
. "$(dirname "$0")/_rpm.sh"
serve
cd "$work"
os="$repo/%{OSVERSION}/os/\$basearch"
inside() { "$hpcc" -q exec "$1" "${@:2}"; }

definition OSVersion 7 MirrorURL "file://$os" Key "$good_key" Include 'rpm bash findutils' > a.def
cat >> a.def << 'DEF'
%post
    rpm -q bash
    test ! -e /etc/bootstrap-yum.conf
DEF
expect 0 "built 'a.img'" "$hpcc" bootstrap a.img a.def
"$hpcc" -q bootstrap --dry-run --json n.img a.def > plan.json 2> /dev/null
want=$(jq '[.. | objects | select(has("checksum"))] | length' plan.json)
have=$(inside a.img rpm -qa | grep -vc '^gpg-pubkey-')
[ "$want" -gt 50 ] || fail "only $want packages are planned"
[ "$have" = "$want" ] || fail "the image's rpm lists $have packages, planned were $want"
ok "a system is made whose own rpm lists the packages of the plan ($want)"

out=$(inside a.img rpm -Va 2>&1 | grep -v ' c /etc/' | head -20) || :
[ -z "$out" ] || fail "rpm -Va finds changes"
[ "$(inside a.img sh -c 'find / -xdev -perm /7000 -name ping | wc -l')" = 0 ] || fail "ping is setuid instead of capable"
debugfs -R 'ea_list usr/bin/ping' a.img 2> /dev/null | grep -q capability || inside a.img test ! -e /usr/bin/ping ||
    fail "ping has lost its capability"
[ "$(inside a.img sh -c 'rpm -qa gpg-pubkey | wc -l')" = 1 ] || fail "the key is not in the image's rpm database"
e2fsck -fn a.img > /dev/null 2>&1 || fail "the image is not clean"
ok "rpm -Va is clean, capabilities and the key are there"

expect 0 'Throwaway' "$hpcc" exec a.img cat /etc/redhat-release
for path in /dev/null /var/lib/rpm/rpmdb.sqlite-wal /var/lib/rpm/rpmdb.sqlite-shm /etc/yum.repos.d/bootstrap.repo; do
    if debugfs -R "stat $path" a.img 2> /dev/null | grep -qi inode; then fail "the image holds '$path'"; fi
done
ok "nothing of the making stays in the image"

definition OSVersion 7 MirrorURL "$http/%{OSVERSION}/os/\$basearch" Key "$good_key" Include rpm > h.def
expect 0 "built 'h.img'" "$hpcc" bootstrap h.img h.def
[ "$(grep -c '\.rpm ' "$requests")" -gt 50 ] || fail "packages did not come over http"
: > "$requests"
expect 0 '' "$hpcc" bootstrap --fresh h.img h.def
[ "$(grep -cv 'repomd.xml' "$requests")" = 0 ] || fail "the second bootstrap fetched $(grep -v repomd.xml "$requests")"
ok "a second bootstrap fetches nothing but repomd.xml"

: > "$requests"
definition OSVersion 7 MirrorURL "$http/half/%{OSVERSION}/os/\$basearch" Key "$good_key" Include rpm > half.def
status=0
HPCC_CACHEDIR=$work/cache2 "$hpcc" -q bootstrap half.img half.def > out 2>&1 || status=$?
if [ "$status" = 0 ] || [ -e half.img ]; then fail "half of a file was enough"; fi
grep -qE '^206 .* [1-9]' "$requests" || fail "nothing was resumed"
ok "a broken transfer is resumed, and given up at last"

hash=$(sha256sum "$repo/7/os/x86_64/repodata/repomd.xml" | cut -d' ' -f1)
{
    echo '<?xml version="1.0"?><metalink version="3.0"><files><file name="repomd.xml">'
    echo "<verification><hash type=\"sha256\">$hash</hash></verification><resources>"
    echo "<url protocol=\"http\" preference=\"100\">$http/nowhere/repodata/repomd.xml</url>"
    echo "<url protocol=\"http\" preference=\"99\">$http/t/good/repodata/repomd.xml</url>"
    echo "<url protocol=\"http\" preference=\"98\">$http/7/os/x86_64/repodata/repomd.xml</url>"
    echo '</resources></file></files></metalink>'
} > metalink
printf '# mirrors\n%s\n%s\n' "$http/busy/7/os/x86_64/" "$http/7/os/\$basearch/" > mirrorlist
for kind in MetaLink MirrorList; do
    definition OSVersion 7 "$kind" "file://$work/${kind,,}" Key "$good_key" Include rpm > m.def
    expect 0 '7/os/x86_64' "$hpcc" bootstrap --dry-run --json m.img m.def
done
ok "dead and stale mirrors of a metalink and a mirror list are passed over"

definition OSVersion 7 MirrorURL "file://$os" UpdateURL "file://$repo/t/good" Key "$good_key" Include 't-tool rpm' > u.def
expect 0 '"version": ?"2"' "$hpcc" bootstrap --dry-run --json u.img u.def
definition OSVersion 7 MirrorURL "file://$repo/t/good" OtherURL1 "file://$os" Key "$good_key" SetOpt 'other1.priority=10' Include '/usr/share/t/deep/t-data t-rich /usr/share/info' > p.def
"$hpcc" bootstrap --dry-run --json p.img p.def > out 2>&1 || :
definition OSVersion 7 MirrorURL "file://$os" OtherURL1 "file://$repo/t/good" Key "$good_key" Include 't-filereq-lists t-recommends' > f.def
expect 0 't-data' "$hpcc" bootstrap --no-cache --dry-run --json f.img f.def
! grep -q '"t-weak"' <<< "$out" || fail "a weak dependency came without being asked for"
echo 'Recommends: yes' >> f.def
expect 0 '"t-weak"' "$hpcc" bootstrap --dry-run --json f.img f.def
ok "updates win, file requirements of filelists hold, weak dependencies come when asked for"

definition OSVersion 7 MirrorURL "file://$os" OtherURL1 "file://$repo/bad/modules" Key "$good_key" Include '@core t-modular' Modules tmod:1 > g.def
expect 0 '"t-modular"' "$hpcc" bootstrap --dry-run --json g.img g.def
grep -q '"less"' <<< "$out" || fail "@core brought no 'less'"
! grep -q '"vim-tiny"' <<< "$out" || fail "@core brought an optional package"
ok "groups and module streams are known"

expect 0 'zypper' "$hpcc" bootstrap --dry-run --json z.img <(definition OSVersion 7 MirrorURL "file://$os" Key "$good_key" | sed 's/yum/zypper/')
ok "the zypper agent asks for aaa_base"

definition OSVersion 7 MirrorURL "file://$os" OtherURL1 "file://$repo/t/good" Key "$good_key" Include 'rpm t-dbpath' > d.def
expect 0 'registers the packages' "$hpcc" bootstrap d.img d.def
want=$("$hpcc" -q bootstrap --dry-run --json n.img d.def 2> /dev/null | jq '[.. | objects | select(has("checksum"))] | length')
have=$(inside d.img rpm -qa | grep -vc '^gpg-pubkey-')
[ "$have" = "$want" ] || fail "the image's rpm lists $have packages of $want"
[ "$(inside d.img sh -c 'rpm -qa gpg-pubkey | wc -l')" = 1 ] || fail "the key is not in the image's rpm database"
if debugfs -R 'stat /var/lib/rpm/rpmdb.sqlite' d.img 2> /dev/null | grep -qi inode; then fail "two databases"; fi
ok "an rpm that reads another database registers the packages itself"

mkdir home
cat > home/.rpmmacros << 'MACROS'
%_dbpath %(touch /tmp/hpcc-rpmmacros-were-read)
%_pkgverify_level none
MACROS
HOME=$work/home expect 0 '' "$hpcc" bootstrap --fresh a.img a.def
[ ! -e /tmp/hpcc-rpmmacros-were-read ] || fail "the user's rpm macros were read"
ok "macros of the user have no effect"

sum=$(sha256sum a.img)
before=$(find . -maxdepth 1 | sort)
"$hpcc" -q bootstrap --no-cache --fresh a.img a.def > /dev/null 2>&1 &
pid=$!
for _ in $(seq 500); do
    [ -z "$(find . -path '*/root-0/usr/bin/*' -print -quit 2> /dev/null)" ] || break
    sleep 0.02
done
kill -KILL $pid || fail "it was done before the kill"
wait $pid 2> /dev/null || :
for _ in $(seq 50); do # what outlives hpcc cleans up
    [ "$(find . -maxdepth 1 | sort)" != "$before" ] || break
    sleep 0.1
done
[ "$(find . -maxdepth 1 | sort)" = "$before" ] || fail "left behind: $(find . -maxdepth 1 | sort | comm -13 <(echo "$before") -)"
[ "$(sha256sum a.img)" = "$sum" ] || fail "the old image changed"
ok "SIGKILL while packages are installed leaves the old image and nothing else"

need_user
grep -q "^$test_user:" /etc/subuid || skip "user '$test_user' has no range in /etc/subuid"
export HPCC_CACHEDIR=$work/user/cache
cd "$work/user"
definition OSVersion 7 MirrorURL "$http/%{OSVERSION}/os/\$basearch" Key "$work/key" Include 'rpm iputils-ping' > user.def
cp "$good_key" "$work/key"
chmod 644 "$work/key"
expect 0 "built 'user.img'" as_user "$hpcc" bootstrap user.img user.def
have=$(as_user "$hpcc" -q exec user.img rpm -qa | grep -vc '^gpg-pubkey-')
[ "$have" -gt 50 ] || fail "the image's rpm lists $have packages"
debugfs -R 'stat etc/shadow' user.img 2> /dev/null | grep -q 'User: *0' || fail "owners are not those inside"
# Inside, the user is himself and sees few owners: root looks.
out=$(inside user.img rpm -Va 2>&1 | grep -v ' c /etc/' | head -20) || :
[ -z "$out" ] || fail "rpm -Va finds changes"
ok "an ordinary user with a subuid range makes the same"
