# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Sourced by the tests of attacks: each has its control, hpcc-controls with the defence in question
# switched off, which must let the attack succeed, or the test would show nothing. The numbers are
# those of docs/security.md (P privilege, R runtime escape).
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/_lib.sh"
# shellcheck source=tests/e2e/_root.sh
. "$(dirname "${BASH_SOURCE[0]}")/_root.sh"
controls=$HPCC_BINARY_DIR/tests/hpcc-controls
[ -x "$controls" ] || skip "hpcc-controls is not built"
command -v cc > /dev/null || skip "needs a C compiler"
need_user
cd "$work"
for name in attack rival; do
    cc -static -D_GNU_SOURCE -o $name "$HPCC_SOURCE_DIR/tests/e2e/_$name.c" || skip "cannot link statically"
    chmod 755 $name
done
mkdir -p bin
cp "$controls" bin/controls
controls=$work/bin/controls
chmod 755 "$controls"
make_root root
cp attack rival root
is_root=$([ "$(id -u)" = 0 ] && echo yes || echo no)
# shellcheck disable=SC2034
tries=${HPCC_TRIES:-40} # of what depends on the moment
n_cases=0
n_controls=0

# guard CASE WHO WANT OFF CONTROL ARGS…: with all defences the last line matches WANT; with OFF switched
# off it matches CONTROL. An empty OFF: the kernel itself is the defence.
guard() {
    local name=$1 want=$3 off=$4 control=$5 got
    who=$2
    shift 5
    if [ "$who" = root ] && [ "$is_root" = no ]; then return; fi
    got=$(me "$hpcc" "$@" 2>&1 < /dev/null | tail -n 1) || true
    out=$got
    grep -qE -- "^($want)\$" <<< "$got" || fail "$name: '$got' instead of '$want': $*"
    n_cases=$((n_cases + 1))
    if [ -n "$off" ]; then
        got=$(me env HPCC_TEST_OFF="$off" "$controls" "$@" 2>&1 < /dev/null | tail -n 1) || true
        out=$got
        grep -qE -- "^($control)\$" <<< "$got" || fail "$name: control gives '$got' instead of '$control': $*"
        n_controls=$((n_controls + 1))
    fi
    ok "$name ($who)"
}

# The last line of what hpcc-controls says as $who with the defences NAMES off.
off() { # NAMES ARGS…
    local names=$1
    shift
    me env HPCC_TEST_OFF="$names" "$controls" "$@" 2>&1 < /dev/null | tail -n 1 || true
}

counted() {
    n_cases=$((n_cases + 1))
    ok "$1"
}

# The control of a case that is no single run: what the attack gives where nothing stands against it.
control() { # CASE WANT GOT
    out=$3
    grep -qE -- "^($2)\$" <<< "$3" || fail "$1: control gives '$3' instead of '$2'"
    n_controls=$((n_controls + 1))
}

# Exchange $1 with the names that follow, without end, as $who.
swap_names() {
    local as=()
    if [ "$who" = user ] && [ "$is_root" = yes ]; then
        as=(setpriv --reuid "$test_user" --regid "$(id -g "$test_user")" --init-groups)
    fi
    (exec ${as[@]+"${as[@]}"} "$work/rival" swap "$@") &
    swapper=$!
}
stop_swapping() {
    kill "$swapper" || fail "the names were not swapped to the end"
    wait "$swapper" 2> /dev/null || true
}

server_of() { # the image server that reads $1
    local p
    for p in /proc/[0-9]*; do
        case $(readlink "$p/exe" 2> /dev/null) in */hpcc*) ;; *) continue ;; esac
        # shellcheck disable=SC2010
        if ls -l "$p/fd" 2> /dev/null | grep -qF -- "-> $1" && ls -l "$p/fd" 2> /dev/null | grep -q /fuse; then
            echo "${p#/proc/}"
        fi
    done
}
# shellcheck disable=SC2034
nopriv='caps no-new-privs seccomp'
