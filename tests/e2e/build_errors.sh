#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# hpcc bootstrap: each mistake has one error with its line and cure, and changes nothing.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
need_root
command -v busybox > /dev/null || skip "no busybox on this host"
cd "$work"

# def NAME LINES…: a definition on the busybox base
def() {
    local name=$1
    shift
    printf '%s\n' 'Bootstrap: busybox' "$@" > "$name"
}
untouched() {
    [ "$(sha256sum < old.img)" = "$old_sum" ] || fail "the old image was changed"
    local left
    left=$(find . -name '.*' ! -name .)
    [ -z "$left" ] || fail "left behind: $left"
}

def ok.def '%post' 'echo ok > /ok'
expect 0 '' "$hpcc" bootstrap old.img ok.def
old_sum=$(sha256sum < old.img)

# fails PATTERN LINES…: the build of these lines fails so, and leaves the old image and a log
fails() {
    local pattern=$1
    shift
    def x.def "$@"
    refuse 5 "$pattern" "$hpcc" bootstrap old.img x.def
    untouched
    [ -s old.img.log ] || fail "no log"
}
fails 'x.def:4: %post failed: exit status 1' '%post' 'true' 'false' 'true'
fails 'x.def:4: .*nosuchcommand.*not found' '%post' '' 'nosuchcommand x'
fails 'x.def:4: %post failed: exit status 127' '%post' '' 'nosuchcommand x'
fails 'x.def:5: %post failed: exit status 3' '%post' 'if true' 'then' '    (exit 3)' 'fi'
fails 'x.def:7: %post failed: exit status 1' '%post' 'true' '%help' 'h' '%post' 'false'
fails 'x.def:3: %post failed: it was ended by signal 9' '%post' '/bin/busybox sh -c "kill -9 \$\$"; exit $?'
fails 'x.def:[34]: %post failed: exit status 2' '%post' 'echo "open' 'x'
fails 'x.def:3: %setup failed: exit status 1' '%setup' 'false'
fails 'x.def:3: %pre failed: exit status 4' '%pre' 'exit 4'
fails 'x.def:3: %test failed: exit status 1' '%test' 'false'
fails "x.def:2: %post needs '/bin/bash', which the root does not have" '%post -c /bin/bash' 'true'
fails "x.def:5: there is no 'missing'" '%setup' 'true' '%files' 'missing /opt'
fails "x.def:3: '/dev/null' is neither a file nor a directory" '%files' '/dev/null /opt/'
fails 'its end is' '%post' 'echo the last words; exit 1'
grep -q 'the last words' <<< "$out" || fail "the end of the output is not shown"
grep -q 'the last words' old.img.log || fail "the log lacks the output"
ok "a failing step names its line, keeps a log and the old image"

def x.def '%test' 'false'
expect 0 '' "$hpcc" bootstrap --no-test new.img x.def
ok "--no-test leaves %test out"

# Nothing that a definition or a root says leads out of the root.
mkdir outside
def x.def '%setup' "cd \$SINGULARITY_ROOTFS && mkdir -p .$work/outside" "ln -s $work/outside abs" \
    "ln -s /../../../..$work/outside rel" "ln -s $work/outside/target file" \
    '%files' "$work/ok.def /abs/a" "$work/ok.def /rel/b" "$work/ok.def /file" "$work/ok.def ../../../../../..$work/outside/c"
expect 0 '' "$hpcc" bootstrap new.img x.def
[ -z "$(ls -A outside)" ] || fail "written outside of the root: $(ls outside)"
for name in a b c; do
    debugfs -R "stat $work/outside/$name" new.img 2> /dev/null | grep -q 'Type: regular' || fail "no $name in the root"
done
def x.def '%setup' "ln -s /nowhere \$SINGULARITY_ROOTFS/dangling" '%files' "$work/ok.def /dangling/a"
refuse 5 "x.def:5: .*'/dangling" "$hpcc" bootstrap old.img x.def
untouched
ok "links and dots of a root stay inside it"

mkdir loop
ln -s .. loop/up
def x.def '%files' "$work/loop /opt/loop"
refuse 5 'x.def:3: .*is a link into a directory above it' "$hpcc" bootstrap old.img x.def
untouched
rm -r loop
def x.def '%files' '. /opt/here'
expect 0 '' "$hpcc" bootstrap here.img x.def
debugfs -R 'ls /opt/here' here.img 2> /dev/null | grep -q stage && fail "the stage was copied into itself"
ok "a loop of links is an error, the stage is left out"

printf 'Bootstrap: bussybox\n' > x.def
refuse 3 "x.def:1: unknown agent 'bussybox'" "$hpcc" bootstrap old.img x.def
printf '%%post\ntrue\n' > x.def
refuse 3 'x.def:1: .*agent' "$hpcc" bootstrap old.img x.def
def x.def '%pots' 'true'
refuse 3 "x.def:2: unknown section '%pots'" "$hpcc" bootstrap old.img x.def
def x.def '%arguments' 'a=1'
refuse 3 "x.def:2: '%arguments' is not supported" "$hpcc" bootstrap old.img x.def
def x.def '%files' 'ok.def /opt/' 'missing /opt'
refuse 3 "x.def:4: there is no 'missing'" "$hpcc" bootstrap old.img x.def
def x.def '%appfiles one' "$work/missing*"
refuse 3 "x.def:3: there is no '$work/missing" "$hpcc" bootstrap old.img x.def
expect 0 ok "$hpcc" deffile check x.def
refuse 3 'cannot open definition' "$hpcc" bootstrap old.img nosuch.def
refuse 3 'is a directory' "$hpcc" bootstrap old.img .
untouched
ok "a bad definition is refused on paper"

refuse 3 'is a directory, not an image file' "$hpcc" bootstrap outside ok.def
refuse 3 'neither a file nor absent' "$hpcc" bootstrap /dev/null ok.def
mkfifo pipe
refuse 3 'neither a file nor absent' "$hpcc" bootstrap pipe ok.def
refuse 1 "cannot find 'no/such/x.img': cannot open directory 'no'" "$hpcc" bootstrap no/such/x.img ok.def
echo text > text.img
refuse 3 'text.img' "$hpcc" bootstrap text.img ok.def
[ "$(cat text.img)" = text ] || fail "a file that is no image was overwritten"
refuse 3 'text.img' "$hpcc" bootstrap --fresh text.img ok.def
: > empty.img
expect 0 '' "$hpcc" bootstrap empty.img ok.def
expect 0 '' "$hpcc" create --size 64M made.img
expect 0 '' "$hpcc" bootstrap made.img ok.def
[ "$(stat -c %s made.img)" = $((64 << 20)) ] || fail "the size of the image was not kept"
chmod 600 made.img
expect 0 '' "$hpcc" bootstrap made.img ok.def
[ "$(stat -c %a made.img)" = 600 ] || fail "a private image became public"
ok "the target is looked at first"

mkdir full
mount -t tmpfs -o size=6m none full
cleanup_hooks+=("umount $work/full")
def full/x.def '%post' 'dd if=/dev/urandom of=/x bs=64k count=200'
refuse 5 'full/x.def:3: %post failed' "$hpcc" bootstrap full/x.img full/x.def
grep -q 'No space left' <<< "$out" || fail "the reason is not shown"
def full/x.def '%post' 'dd if=/dev/urandom of=/x bs=64k count=45'
refuse 1 'No space left' "$hpcc" bootstrap full/x.img full/x.def
[ -z "$(find full -mindepth 1 ! -name x.def ! -name x.img.log)" ] || fail "left behind: $(ls -A full)"
umount full
cleanup_hooks=()
ok "a full disk is told, and nothing is left"

def big.def '%post' 'dd if=/dev/urandom of=/big bs=1024k count=12 2> /dev/null'
expect 0 '' "$hpcc" create --size 8M small.img
refuse 1 'small.img' "$hpcc" bootstrap --no-grow small.img big.def
[ "$(stat -c %s small.img)" = $((8 << 20)) ] || fail "--no-grow grew it"
expect 0 '' "$hpcc" bootstrap small.img big.def
[ "$(stat -c %s small.img)" -gt $((12 << 20)) ] || fail "it did not grow"
expect 0 '' e2fsck -fn small.img
ok "an image too small grows, or fails with --no-grow"

expect 0 'agent: busybox' "$hpcc" bootstrap --dry-run dry.img ok.def
expect 0 '"agent":"busybox"' "$hpcc" bootstrap --dry-run --json dry.img ok.def
[ ! -e dry.img ] || fail "--dry-run made an image"
expect 0 '"disk_bytes"' "$hpcc" bootstrap -q --json json.img ok.def
"$hpcc" bootstrap -q --json json.img ok.def | jq -e '.kept and (.steps | length) == 3' > /dev/null || fail "report"
ok "--dry-run writes nothing, --json reports"

export SOURCE_DATE_EPOCH=1700000000
expect 0 '' "$hpcc" bootstrap r1.img ok.def
sleep 1.1
(umask 077 && "$hpcc" bootstrap -q r2.img ok.def > /dev/null 2>&1) || fail "second build"
cmp r1.img r2.img || fail "two builds differ"
ok "SOURCE_DATE_EPOCH: same input, same bytes"
