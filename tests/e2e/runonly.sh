#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# -DHPCC_BUILD=OFF, for compute nodes: builds, links neither librpm nor libsolv, and says what it
# lacks.
# shellcheck source=tests/e2e/_lib.sh
. "$(dirname "$0")/_lib.sh"
cd "$work"
command -v ninja > /dev/null || skip "ninja is not installed"

launcher=()
if command -v ccache > /dev/null; then launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache); fi
expect 0 '' cmake -G Ninja -S "$HPCC_SOURCE_DIR" -B "$work/out" -DHPCC_BUILD=OFF -DBUILD_TESTING=OFF \
    "${launcher[@]}"
expect 0 '' cmake --build "$work/out"
hpcc=$work/out/bin/hpcc
ok "it builds"

for program in hpcc hpcc-full; do
    needed=$(readelf -d "out/bin/$program" | grep NEEDED)
    ! grep -E 'rpm|solv|curl|expat' <<< "$needed" || fail "$program links build libraries"
done
ok "it links neither librpm nor libsolv"

expect 0 '^  create ' "$hpcc" help
! grep -qE '^  (bootstrap|deffile) ' <<< "$out" || fail "help lists commands that are not there"
refuse 4 'to run images only' "$hpcc" deffile check x.def
expect 0 '' "$hpcc" create --size 8M x.img
expect 0 'has no labels' "$hpcc" inspect x.img
ok "it says what it lacks and does the rest"

cmake --install out --prefix "$work/inst" > /dev/null
[ ! -e inst/share/man/man1/hpcc-deffile.1 ] || fail "a page of a missing command is installed"
ok "it installs no pages of what it lacks"

mkdir -p src/build
cp "$HPCC_SOURCE_DIR/CMakeLists.txt" src
expect 1 'configure into out/' cmake -G Ninja -S src -B src/build
expect 1 'configure into out/' cmake -G Ninja -S src -B src
ok "the source room build/ is refused as a place for output"
