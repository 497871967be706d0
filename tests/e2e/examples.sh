#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The definitions that users start from: each is understood without a warning; what needs no network
# is built and run.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
export HPCC_DISABLE_CACHE=1
cd "$work"

n=0
for def in "$HPCC_SOURCE_DIR"/examples/*.def; do
    name=$(basename "$def")
    expect 0 '' "$hpcc" deffile check "$def"
    if grep -qE '(error|warning)\[' <<< "$out"; then fail "$name is not clean"; fi
    grep -q "hpcc bootstrap .*examples/$name" "$def" || fail "$name does not say how it is built"
    n=$((n + 1))
done
[ $n -ge 10 ] || fail "only $n examples"
ok "$n examples are understood without a warning"

if [ -x /usr/sbin/debootstrap ]; then
    expect 0 '' "$hpcc" -q bootstrap --dry-run --json d.img "$HPCC_SOURCE_DIR/examples/debian.def"
    jq -e '.stages[0].base | .suite == "bookworm" and .verified and (.command | index("--force-check-gpg"))' \
        <<< "$out" > /dev/null || fail "the plan does not tell what debootstrap will do"
    [ ! -e d.img ] || fail "--dry-run made an image"
    ok "--dry-run tells what debootstrap would be asked"
fi

[ -x /bin/busybox ] || skip "busybox-static is not installed"
expect 0 "built 'b.img'" "$hpcc" bootstrap b.img "$HPCC_SOURCE_DIR/examples/busybox.def"
expect 0 'Hello from busybox' "$hpcc" run b.img
expect 0 '^6$' "$hpcc" run b.img expr 1 + 5
expect 0 '' "$hpcc" test b.img
ok "busybox.def is built, runs and passes its test"
