#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every command in the README and the other papers works as written, but for blocks that say why they are
# not run.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cd "$work"
ln -s "$HPCC_SOURCE_DIR/examples" examples
PATH=$(dirname "$hpcc"):$PATH

# One file per block, and one for each that is excused.
blocks() { # PAPER STEM
    awk -v paper="$1" -v stem="$work/block.$2" '
        /^<!-- not run: .+ -->$/ { excused = 1; next }
        /^```sh$/ { n++; file = sprintf("%s.%s%02d", stem, excused ? "excused." : "", n); excused = 0; next }
        /^```$/ { file = ""; next }
        /^```./ { print paper ":" NR ": a block that is neither sh nor plain"; exit 1 }
        file != "" { print > file }
        file == "" && NF { excused = 0 }' "$HPCC_SOURCE_DIR/$1" || fail "the blocks of $1"
}
blocks README.md README
for paper in CONTRIBUTING SECURITY STYLE; do blocks $paper.md $paper; done
for paper in "$HPCC_SOURCE_DIR"/docs/*.md; do blocks "docs/$(basename "$paper")" "$(basename "$paper" .md)"; done

ran=0
for block in block.*.[0-9]*; do
    case $block in *.excused.*) continue ;; esac
    expect 0 '' bash -eu -o pipefail "$block"
    ran=$((ran + 1))
    ok "block ${block#block.}: $(head -n 1 "$block")"
done
[ "$ran" -ge 5 ] || fail "only $ran blocks were run"

# The excused ones are at least well formed, and name programs and commands that exist.
for block in block.*.excused.*; do
    bash -n "$block" || fail "syntax of $block"
    while read -r first second _; do
        case $first in
        ./* | tests/*) [ -x "$HPCC_SOURCE_DIR/$first" ] || fail "there is no $first" ;;
        hpcc) expect 0 '' "$hpcc" help "$second" ;;
        esac
    done < "$block"
done
ok "excused blocks name what exists"
