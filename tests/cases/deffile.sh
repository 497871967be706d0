#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Every tests/cases/deffile/NAME.def is dumped; NAME.json is the exact document, NAME.err the exact
# findings on stderr (no such file: none). HPCC_UPDATE=1 writes what hpcc says now: read the diff.
set -eu
cd "$HPCC_SOURCE_DIR/tests/cases/deffile"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
full=${HPCC%hpcc}hpcc-full
n=0 bad=0
for def in *.def; do
    name=${def%.def}
    status=0
    "$full" deffile dump --json "$def" >"$work/json" 2>"$work/err" || status=$?
    if [ -n "${HPCC_UPDATE:-}" ]; then
        cp "$work/json" "$name.json"
        rm -f "$name.err"
        [ ! -s "$work/err" ] || cp "$work/err" "$name.err"
    fi
    want=0
    ! grep -q '^  "ok":false' "$name.json" || want=3
    expected_err=/dev/null
    [ ! -e "$name.err" ] || expected_err=$name.err
    n=$((n + 1))
    if [ "$status" = "$want" ] && cmp -s "$name.json" "$work/json" && cmp -s "$expected_err" "$work/err"; then
        continue
    fi
    bad=$((bad + 1))
    echo "not ok $n - $def: status $status, wanted $want"
    diff -u "$name.json" "$work/json" || true
    diff -u "$expected_err" "$work/err" || true
done
echo "$n cases, $bad differ"
[ "$n" -ge 67 ] && [ "$bad" = 0 ]
