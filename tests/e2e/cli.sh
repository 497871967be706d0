#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The front door: help, version, misspellings, closed descriptors, readers that leave, setuid.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cd "$work"

expect 0 '^hpcc version [0-9]+\.[0-9]+\.[0-9]+$' "$hpcc" --version
ok "the version has the form that workflow engines parse"

expect 0 '^Commands:$' "$hpcc" help
[ "$(wc -l <<< "$out")" -le 40 ] || fail "help is longer than a screen"
first=$out
expect 0 '' "$hpcc" --help
[ "$first" = "$out" ] || fail "--help differs from help"
ok "help fits a screen"

sed -nE 's/^COMMAND\(([a-z_]+),.*/\1/p' "$HPCC_SOURCE_DIR/cli/commands.list" | while read -r name; do
    expect 0 "^Usage: hpcc $name" "$hpcc" help "$name"
    first=$out
    expect 0 '' "$hpcc" "$name" --help
    [ "$first" = "$out" ] || fail "hpcc $name --help differs from hpcc help $name"
    expect 0 '' "$hpcc" --help "$name"
    [ "$first" = "$out" ] || fail "hpcc --help $name differs from hpcc help $name"
done
ok "each command explains itself in three ways"

expect 0 '^debootstrap: ' "$hpcc" help agents
expect 0 '  \* OSVersion ' "$hpcc" help agents
ok "the agents explain their header keys"

refuse 2 "did you mean 'hpcc create'" "$hpcc" help craete
refuse 2 "did you mean 'hpcc create'" "$hpcc" craete x.img
refuse 2 "did you mean '--size'" "$hpcc" create --sise 1G x.img
refuse 2 "hpcc help" "$hpcc"
refuse 2 "unknown option '--frobnicate'" "$hpcc" --frobnicate create x.img
refuse 2 "unknown option '-Z'" "$hpcc" create -Z x.img
refuse 2 "usage: hpcc create" "$hpcc" create
refuse 2 "unexpected argument 'b'" "$hpcc" create a b
refuse 2 "needs a value" "$hpcc" create x.img --size
[ -z "$(ls -A)" ] || fail "a refused command line left files"
ok "wrong command lines are refused with what to type"

refuse 1 'standard output' bash -c "'$hpcc' --version > /dev/full"
expect 0 '' bash -c "set -o pipefail; '$hpcc' completion bash | cat | tail -n 1 > /dev/null"
# the reader is gone before hpcc writes
(sleep 0.3; "$hpcc" --version || echo $? > status) 2> err | true
[ "$(cat status)" = 141 ] || fail "a reader that left: status $(cat status) instead of 141"
[ ! -s err ] || fail "a reader that left: $(cat err)"
ok "a full disk is told, a reader that left is not"

status=0
"$hpcc" create --size 8M closed.img >&- 2>&- <&- || status=$?
[ "$status" = 0 ] || fail "closed descriptors: status $status"
expect 0 'ext3' file closed.img
ok "closed standard descriptors do no harm"

expect 0 '' env -i "$hpcc" create --size 8M bare.img
ok "an empty environment does no harm"

expect 0 '' "$hpcc" -q create --size 8M quiet.img
[ -z "$out" ] || fail "--quiet before the command says: $out"
expect 0 '' "$hpcc" create --quiet --size 8M quiet2.img
[ -z "$out" ] || fail "--quiet after the command says: $out"
expect 0 '' env HPCC_QUIET=1 "$hpcc" create --size 8M quiet3.img
[ -z "$out" ] || fail "HPCC_QUIET says: $out"
ok "--quiet is quiet in all three places"

# shellcheck disable=SC2016
expect 0 '^create$' bash -c 'source <("$1" completion bash); COMP_WORDS=(hpcc cre); COMP_CWORD=1; _hpcc; echo "${COMPREPLY[@]}"' - "$hpcc"
# shellcheck disable=SC2016
expect 0 '^--size --silent$' bash -c 'source <("$1" completion bash); COMP_WORDS=(hpcc create --si); COMP_CWORD=2; _hpcc; echo "${COMPREPLY[@]}"' - "$hpcc"
ok "bash completes commands and options"

if command -v readelf > /dev/null; then
    ! readelf -d "$hpcc" | grep -E 'NEEDED.*(rpm|solv|curl|archive|ext2fs|crypto)' || fail "hpcc loads build libraries"
    ok "the launcher loads no build libraries"
fi

if [ "$(id -u)" = 0 ]; then
    need_user
    mkdir setuid
    cp "$hpcc" setuid/hpcc
    chmod 4755 setuid/hpcc
    refuse 4 'refuses to run setuid' as_user setuid/hpcc --version
    rm -r setuid
    ok "a setuid copy refuses to run"
fi

mkdir alone
cp "$hpcc" alone/hpcc
refuse 4 'not installed completely' alone/hpcc create x.img
ok "a lone launcher says what is missing"

cmake --install "$HPCC_BINARY_DIR" --prefix "$work/inst" > /dev/null
expect 0 "created 'i.img'" inst/bin/hpcc create --size 8M i.img
[ "$(readlink inst/bin/run-hpcc)" = hpcc ] || fail "run-hpcc is not a link to hpcc"
[ -x inst/libexec/hpcc/hpcc-full ] || fail "hpcc-full is not in libexec"
[ -s inst/share/bash-completion/completions/hpcc ] || fail "no completion installed"
ok "an installed hpcc finds its other half"
