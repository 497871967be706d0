# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Sourced by the end-to-end tests. Gives a work folder that goes away, and these words:
#   ok TEXT                      a TAP line
#   expect STATUS PATTERN CMD…   run CMD: its exit status, and an extended regular expression that
#                                stdout and stderr together must hold ('' for any); then $out has both
#   refuse STATUS PATTERN CMD…   as expect; besides, CMD must say exactly one error
#   as_user CMD…                 run CMD as the ordinary user; `need_user` first
#   skip REASON                  end with 77, unless HPCC_MUST_RUN=1
# At the end no mount, loop device or process of the test may be left.
set -eu
export LC_ALL=C.UTF-8
unset HPCC_DEBUG HPCC_VERBOSE HPCC_QUIET NO_COLOR
export HPCC_SOURCE_DIR=${HPCC_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
export HPCC_BINARY_DIR=${HPCC_BINARY_DIR:-$HPCC_SOURCE_DIR/out/dev}
export HPCC=${HPCC:-$HPCC_BINARY_DIR/bin/hpcc}
export hpcc=$HPCC
work=$(mktemp -d "${TMPDIR:-/tmp}/hpcc-e2e.XXXXXX")
chmod 755 "$work"
test_user=${HPCC_TEST_USER:-}
out=
tap_n=0
cleanup_hooks=()

leftovers() {
    grep -F " $work" /proc/self/mountinfo | sed 's/^/mount left: /' || true
    if [ -e /sys/block ]; then
        grep -lsF "$work" /sys/block/loop*/loop/backing_file | sed 's/^/loop device left: /' || true
    fi
    local p line
    for p in /proc/[0-9]*; do
        if [ "${p#/proc/}" = $$ ] || [ "${p#/proc/}" = "${BASHPID:-0}" ]; then continue; fi
        line=$({ tr '\0' ' ' < "$p/cmdline"; } 2> /dev/null || true) # it may have ended meanwhile
        if [[ $line == *"$work"* ]]; then echo "process left: ${p#/proc/} $line"; fi
    done
}

# rm goes through binds of the same file system: no mount may be left before it runs.
remove_work() {
    local point
    awk -v below="$work" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while read -r point; do umount -l "$point" || true; done
    if grep -qF " $work" /proc/self/mountinfo; then
        echo "# '$work' stays: something is mounted below it"
    else
        rm -rf --one-file-system "$work"
    fi
}

finish() {
    local status=$? left hook
    trap - EXIT
    cd /
    for hook in ${cleanup_hooks[@]+"${cleanup_hooks[@]}"}; do "$hook" || true; done
    left=$(leftovers)
    if [ -n "$left" ] && [ "$status" = 0 ]; then
        sleep 1 # a worker may be on its last breath
        left=$(leftovers)
    fi
    remove_work
    if [ "$status" = 0 ] && [ -n "$left" ]; then
        echo "not ok - something is left behind"
        echo "$left"
        status=1
    fi
    if [ "$status" = 0 ]; then echo "1..$tap_n"; fi
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ok() {
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1"
}

fail() {
    echo "not ok - $1"
    if [ -n "$out" ]; then printf '# %s\n' "${out//$'\n'/$'\n'# }"; fi
    exit 1
}

skip() {
    echo "1..0 # skip $1"
    if [ "${HPCC_MUST_RUN:-0}" = 1 ]; then exit 1; fi
    exit 77
}

expect() {
    local want=$1 pattern=$2 got=0
    shift 2
    out=$("$@" 2>&1 < /dev/null) || got=$?
    if [ "$got" != "$want" ]; then fail "exit status $got instead of $want: $*"; fi
    if [ -n "$pattern" ] && ! grep -qE -- "$pattern" <<< "$out"; then
        fail "'$pattern' is not in what this says: $*"
    fi
}

refuse() {
    expect "$@"
    if [ "$(grep -c '^hpcc: error: ' <<< "$out")" != 1 ]; then fail "not exactly one error: ${*:3}"; fi
}

# Whatever stands in the folders given, with sizes and times: to compare before and after.
listing() { find "$@" -printf '%p %y %m %s %T@ %C@\n' | sort; }

need_root() { if [ "$(id -u)" != 0 ]; then skip "needs root"; fi; }

# An ordinary user who can reach hpcc: the build tree may lie where only root may look.
need_user() {
    if [ "$(id -u)" != 0 ]; then
        test_user=$(id -un)
        mkdir -p "$work/user"
        return 0
    fi
    if [ -z "$test_user" ]; then test_user="hpcc-test"; fi
    id "$test_user" > /dev/null 2>&1 || skip "no ordinary user '$test_user' (tests/run makes one)"
    mkdir -p "$work/user"
    chown "$test_user:" "$work/user"
    if ! as_user test -x "$HPCC"; then
        mkdir -p "$work/bin"
        cp -a "$(dirname "$HPCC")/." "$work/bin/"
        chmod -R a+rX "$work/bin"
        hpcc=$work/bin/hpcc
    fi
}

as_user() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
        return
    fi
    setpriv --reuid "$test_user" --regid "$(id -g "$test_user")" --init-groups \
        env HOME="$work/user" USER="$test_user" LOGNAME="$test_user" "$@"
}
