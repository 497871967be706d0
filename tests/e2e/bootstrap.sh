#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc bootstrap from definition to image, without any network: what it makes, what it refuses, and
# that a failure changes nothing.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
command -v busybox > /dev/null || skip "busybox-static is not installed"
export HPCC_CACHEDIR=$work/cache
mkdir "$work/t"
cd "$work/t"

cat > good.def << 'DEF'
Bootstrap: busybox

%files
    given /opt/given

%labels
    Flavour vanilla

%environment
    export COLOUR=red

%post
    echo made > /opt/made
    test -s /opt/given

%runscript
    echo "run $*"

%test
    test -s /opt/made

%help
    a small image
DEF
echo data > given

clean_image() { e2fsck -fn "$1" > "$work/fsck.log" 2>&1 || fail "$1 is not clean: $(cat "$work/fsck.log")"; }
content() { debugfs -R "cat $2" "$1" 2> /dev/null; }
nothing_else() { # NAMES...
    local have want
    have=$(find . -mindepth 1 -maxdepth 1 -printf '%P\n' | sort | tr '\n' ' ')
    want=$(printf '%s\n' good.def given "$@" | sort -u | tr '\n' ' ')
    [ "$have" = "$want" ] || fail "the folder holds '$have' instead of '$want'"
}

expect 0 "built 'a.img'" "$hpcc" bootstrap a.img good.def
clean_image a.img
expect 0 'ext3' file a.img
[ "$(content a.img opt/made)" = made ] || fail "%post did not happen"
[ "$(content a.img opt/given)" = data ] || fail "%files did not happen"
expect 0 '^Flavour: vanilla$' "$hpcc" inspect a.img
"$hpcc" inspect -d a.img | cmp - good.def || fail "the definition is not kept"
expect 0 'a small image' "$hpcc" help a.img
expect 0 'COLOUR=red' "$hpcc" inspect -e a.img
nothing_else a.img
ok "a missing image is made, sized from its content"

# A mount point that an image lacks costs a run a mount for each of its neighbours.
for place in dev proc sys tmp var/tmp home root etc/hosts etc/resolv.conf etc/localtime etc/passwd etc/group; do
    debugfs -R "stat $place" a.img 2> /dev/null | grep -q '^Inode:' || fail "the image has no '/$place'"
done
covered=$(HOME=/root "$hpcc" exec a.img sh -c 'cut -d " " -f 5 /proc/self/mountinfo' | grep -xE '/etc|/home|/var|/' || true)
[ "$covered" = / ] || fail "a run covers what the image has: $covered"
ok "an image has every mount point that a run binds"

"$hpcc" -q create --size 64M b.img
expect 0 '' "$hpcc" bootstrap b.img good.def
[ "$(stat -c %s b.img)" = $((64 << 20)) ] || fail "the image's size changed to $(stat -c %s b.img)"
clean_image b.img
ok "an empty image keeps its size"

sed 's/echo made/echo more >> \/opt\/more; echo again/' good.def > again.def
expect 0 '' "$hpcc" bootstrap b.img again.def
[ "$(content b.img opt/made)" = again ] || fail "%post was not performed again"
sed -i 's/echo more/ls \/opt\/more; echo more/' again.def
expect 0 '' "$hpcc" bootstrap b.img again.def
[ "$(content b.img opt/more | wc -l)" = 2 ] || fail "the system was not kept"
refuse 5 'again\.def:' "$hpcc" bootstrap --fresh b.img again.def
expect 0 '' "$hpcc" bootstrap --fresh b.img good.def
[ -z "$(content b.img opt/more)" ] || fail "--fresh kept the system"
rm -f again.def b.img.log
ok "a second bootstrap keeps the system, --fresh does not"

expect 0 '' "$hpcc" bootstrap --json b.img good.def
"$hpcc" -q bootstrap --json b.img good.def 2> /dev/null | jq -e 'type == "object"' > /dev/null || fail "--json is not one document"
expect 0 '' "$hpcc" bootstrap --dry-run n.img good.def
[ ! -e n.img ] || fail "--dry-run made an image"
ok "--json is one document, --dry-run writes nothing"

rm b.img
before=$(listing . | grep -v ' d ')
sum=$(sha256sum a.img)
unharmed() { # after a failure the image is the old one and nothing else came
    rm -f a.img.log
    [ "$(sha256sum a.img)" = "$sum" ] || fail "$1: the image changed"
    [ "$(listing . | grep -v ' d ' | grep -v '^./bad.def ')" = "$before" ] || fail "$1: $(listing . | grep -v ' d ')"
}
wrong() { # STATUS PATTERN NAME; the definition on stdin
    cat > bad.def
    refuse "$1" "$2" "$hpcc" bootstrap a.img bad.def
    unharmed "$3"
    rm -f bad.def
    ok "$3"
}
wrong 3 "did you mean 'busybox'" 'an unknown agent is named' <<< 'Bootstrap: busbox'
wrong 3 "did you mean '%post'" 'an unknown section is named' << 'DEF'
Bootstrap: busybox
%pots
true
DEF
wrong 5 'bad.def:5:' 'the line of %post that failed is named' << 'DEF'
Bootstrap: busybox
%post
    true
    # a comment
    false
    echo never
DEF
wrong 5 'bad.def:' 'a failing %test fails the bootstrap' << 'DEF'
Bootstrap: busybox
%test
    exit 3
DEF
wrong 3 'bad.def:3:.*nosuchfile' 'a missing file is named' << 'DEF'
Bootstrap: busybox
%files
    nosuchfile /opt/
DEF
wrong 3 '' 'an empty definition is refused' < /dev/null

refuse 3 'missing\.def' "$hpcc" bootstrap a.img missing.def
refuse 2 'the image comes first' "$hpcc" bootstrap good.def a.img
unharmed 'wrong arguments'
gzip -c given > packed.img
head -c 100000 a.img > cut.img
refuse 3 'gzip' "$hpcc" bootstrap packed.img good.def
refuse 3 'truncated' "$hpcc" bootstrap cut.img good.def
refuse 1 'No such file' "$hpcc" bootstrap nowhere/x.img good.def
rm -f packed.img cut.img
unharmed 'no image'
ok "what is no image is not overwritten"

cat > big.def << 'DEF'
Bootstrap: busybox
%post
    dd if=/dev/urandom of=/opt/big bs=1M count=24
DEF
"$hpcc" -q create --size 8M small.img
refuse 1 'grow|expand|--size' "$hpcc" bootstrap --no-grow small.img big.def
[ "$(stat -c %s small.img)" = $((8 << 20)) ] || fail "--no-grow: the image changed"
expect 0 'grow' "$hpcc" bootstrap small.img big.def
[ "$(stat -c %s small.img)" -gt $((24 << 20)) ] || fail "the image did not grow"
clean_image small.img
rm -f small.img small.img.log big.def
ok "a too small image grows with a notice, or fails by request"

mkdir tiny
mount -t tmpfs -o size=12m none tiny
untiny() { umount "$work/t/tiny" 2> /dev/null || true; }
cleanup_hooks+=(untiny)
cat > big.def << 'DEF'
Bootstrap: busybox
%post
    dd if=/dev/urandom of=/opt/big bs=1M count=24
DEF
expect 5 '' "$hpcc" bootstrap tiny/x.img big.def
rm -f tiny/x.img.log
[ -z "$(ls -A tiny)" ] || fail "a full disk keeps $(ls -A tiny)"
untiny
rmdir tiny
rm big.def
unharmed 'a full disk'
ok "a full disk leaves nothing behind"

cat > slow.def << 'DEF'
Bootstrap: busybox
%post
    touch /opt/started
    sleep 600 & sleep 601
DEF
slow_sleeps() { pgrep -fc '^sleep 60[01]$' || true; }
sleeping_before=$(slow_sleeps)
for signal in INT TERM; do
    # a shell starts background jobs with SIGINT ignored, and hpcc respects that
    env --default-signal=INT "$hpcc" bootstrap a.img slow.def > "$work/log" 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        if [ "$(slow_sleeps)" -gt "$sleeping_before" ]; then break; fi
        sleep 0.1
    done
    kill "-$signal" "$pid"
    status=0
    wait "$pid" || status=$?
    out=$(cat "$work/log")
    case $signal in INT) want=130 ;; TERM) want=143 ;; esac
    [ "$status" = "$want" ] || fail "SIG$signal: status $status instead of $want"
    [ "$(slow_sleeps)" = "$sleeping_before" ] || fail "SIG$signal: processes of %post live on"
    rm -f a.img.log
done
rm slow.def
unharmed 'signals'
ok "SIGINT and SIGTERM end it cleanly"

HPCC_KILLS=3 "$HPCC_SOURCE_DIR/tests/long/kill.sh" > "$work/log" 2>&1 || fail "kills: $(cat "$work/log")"
ok "SIGKILL leaves the old image and nothing else"
